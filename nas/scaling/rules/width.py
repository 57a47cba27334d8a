"""Scaling width alone: a single dimension of arXiv 1905.11946, section 3.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.scaling.coefficients import Coefficients, power
from nas.scaling.rules.contract import Rule


@dataclass(frozen=True, kw_only=True)
class Width(Rule):
    """2^(phi / 2) times the channels: MACs double with every step of phi, but for rounding."""

    name: ClassVar[str] = "width"
    summary: ClassVar[str] = "more channels only, 2^(phi/2) times as many"

    def coefficients(self, phi: float) -> Coefficients:
        return Coefficients(width=power(2.0, phi / 2))
