"""MobileNets' two multipliers (arXiv 1704.04861, sections 3.3 and 3.4), for any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import Coefficients, power
from nas.scaling.rules.contract import Rule
from nas.scaling.transform import Rounding

_ROUNDING = Rounding(head="up")


@dataclass(frozen=True, kw_only=True)
class MobileNet(Rule):
    """A width and a resolution multiplier; both cost their square, depth stays.

    The paper leaves the two free (`Rule.scale` takes any); along phi, width takes `width_share`
    of the cost. A last layer before the classifier is not narrowed (arXiv 1801.04381, section 5).
    """

    name: ClassVar[str] = "mobilenet"
    summary: ClassVar[str] = "a width and a resolution multiplier, depth unchanged"
    rounding: Rounding = _ROUNDING
    width_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.width_share <= 1.0:
            raise InvalidRequestError(
                f"`width_share` must be from 0 to 1, but got {self.width_share!r}."
            )

    def coefficients(self, phi: float) -> Coefficients:
        return Coefficients(
            width=power(2.0, phi * self.width_share / 2.0),
            resolution=power(2.0, phi * (1.0 - self.width_share) / 2.0),
        )
