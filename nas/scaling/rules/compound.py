"""Compound scaling: depth, width and resolution together (arXiv 1905.11946, equation 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.scaling.coefficients import PAPER, Coefficients, compound
from nas.scaling.rules.contract import Rule


@dataclass(frozen=True, kw_only=True)
class Compound(Rule):
    """depth alpha^phi, width beta^phi, resolution gamma^phi; the paper's own by default."""

    name: ClassVar[str] = "compound"
    summary: ClassVar[str] = "depth, width and resolution together, alpha^phi, beta^phi, gamma^phi"
    alpha: float = PAPER.depth
    beta: float = PAPER.width
    gamma: float = PAPER.resolution

    def __post_init__(self) -> None:
        Coefficients(depth=self.alpha, width=self.beta, resolution=self.gamma)

    def coefficients(self, phi: float) -> Coefficients:
        return compound(self.alpha, self.beta, self.gamma, phi)
