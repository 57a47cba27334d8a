"""Fast scaling (arXiv 2103.06877): mostly width, so that activations grow slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import Coefficients, power
from nas.scaling.rules.contract import Rule
from nas.scaling.transform import Rounding

_ROUNDING = Rounding(channels="round_filters_v2", repeats="nearest", resolution_step=4)


@dataclass(frozen=True, kw_only=True)
class Fast(Rule):
    """For s = 2^phi times the MACs: width s^(alpha/2), the rest in equal parts on the others.

    Depth is s^((1-alpha)/2), resolution s^((1-alpha)/4); activations grow by s^(1-alpha/2).
    Alpha 0.8 is the paper's dWr, 1/3 its uniform dwr, 1 width alone. Repeats go to the nearest,
    channels to 8, pixels to 4, as in its released code (facebookresearch/pycls,
    pycls/models/scaler.py); group numbers stay.
    """

    name: ClassVar[str] = "fast"
    summary: ClassVar[str] = "dWr: mostly wider, so that activations and time grow slowly"
    rounding: Rounding = _ROUNDING
    alpha: float = 0.8

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise InvalidRequestError(f"`alpha` must be from 0 to 1, but got {self.alpha!r}.")

    def coefficients(self, phi: float) -> Coefficients:
        rest = (1.0 - self.alpha) / 2.0
        return Coefficients(
            depth=power(2.0, phi * rest),
            width=power(2.0, phi * self.alpha / 2.0),
            resolution=power(2.0, phi * rest / 2.0),
        )
