"""EfficientNetV2's non-uniform scaling: later stages deepen more, resolution is capped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import PAPER, Coefficients, compound, power
from nas.scaling.rules.contract import Rule
from nas.scaling.transform import Rounding, Shape, scale_repeats
from search_spaces.architecture import Architecture

_ROUNDING = Rounding(channels="round_filters_v2", max_resolution=480)


@dataclass(frozen=True, kw_only=True)
class EfficientNetV2(Rule):
    """Compound scaling with two changes (arXiv 2104.00298, section 3.3).

    The paper caps the image at 480 pixels and adds layers to later stages by hand, without a
    formula. Here the exponent on depth runs evenly over the stages, from 1 - `late` at the first
    to 1 + `late` at the last. A baseline above the cap keeps its own resolution as the cap.
    """

    name: ClassVar[str] = "efficientnet_v2"
    summary: ClassVar[str] = "compound, with more blocks in late stages and at most 480 pixels"
    rounding: Rounding = _ROUNDING
    alpha: float = PAPER.depth
    beta: float = PAPER.width
    gamma: float = PAPER.resolution
    late: float = 0.5

    def __post_init__(self) -> None:
        Coefficients(depth=self.alpha, width=self.beta, resolution=self.gamma)
        if not 0.0 <= self.late <= 1.0:
            raise InvalidRequestError(f"`late` must be from 0 to 1, but got {self.late!r}.")

    def coefficients(self, phi: float) -> Coefficients:
        return compound(self.alpha, self.beta, self.gamma, phi)

    def shape(self, baseline: Architecture, coefficients: Coefficients) -> Shape:
        last = max(1, len(baseline.stages) - 1)
        repeats = tuple(
            scale_repeats(
                len(stage.blocks),
                power(coefficients.depth, 1.0 + self.late * (2.0 * i / last - 1.0)),
                self.rounding.repeats,
            )
            for i, stage in enumerate(baseline.stages)
        )
        return replace(super().shape(baseline, coefficients), repeats=repeats)
