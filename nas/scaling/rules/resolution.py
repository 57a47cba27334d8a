"""Scaling resolution alone: a single dimension of arXiv 1905.11946, section 3.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.scaling.coefficients import Coefficients, power
from nas.scaling.rules.contract import Rule


@dataclass(frozen=True, kw_only=True)
class Resolution(Rule):
    """2^(phi / 2) times the pixels a side: MACs double with every step of phi, but for rounding."""

    name: ClassVar[str] = "resolution"
    summary: ClassVar[str] = "a finer input only, 2^(phi/2) times the pixels a side"

    def coefficients(self, phi: float) -> Coefficients:
        return Coefficients(resolution=power(2.0, phi / 2))
