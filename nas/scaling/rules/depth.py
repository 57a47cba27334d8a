"""Scaling depth alone: a single dimension of arXiv 1905.11946, section 3.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.scaling.coefficients import Coefficients, power
from nas.scaling.rules.contract import Rule


@dataclass(frozen=True, kw_only=True)
class Depth(Rule):
    """2^(phi) times the repeats: MACs double with every step of phi, but for rounding."""

    name: ClassVar[str] = "depth"
    summary: ClassVar[str] = "more blocks only, 2^phi times as many"

    def coefficients(self, phi: float) -> Coefficients:
        return Coefficients(depth=power(2.0, phi))
