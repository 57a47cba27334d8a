"""The coefficients that EfficientNets were published with: a table, not powers of anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import Coefficients
from nas.scaling.rules.contract import Rule
from nas.scaling.rules.table import Point, along
from nas.scaling.transform import EFFICIENTNET_ROUNDING, Rounding


class Family(NamedTuple):
    """A published family: its members' factors, and how they were rounded."""

    points: tuple[Point, ...]
    rounding: Rounding


def _points(base_px: int, *rows: tuple[float, float, int]) -> tuple[Point, ...]:
    return tuple(Point(float(i), w, d, px / base_px) for i, (w, d, px) in enumerate(rows))


FAMILIES = {
    # B0 to B8: tensorflow/tpu, models/official/efficientnet/efficientnet_builder.py
    "efficientnet": Family(
        _points(224, (1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300),
                (1.4, 1.8, 380), (1.6, 2.2, 456), (1.8, 2.6, 528), (2.0, 3.1, 600),
                (2.2, 3.6, 672)),
        EFFICIENTNET_ROUNDING,
    ),
    # Lite0 to Lite4: the same, lite/efficientnet_lite_builder.py
    "efficientnet_lite": Family(
        _points(224, (1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280),
                (1.4, 1.8, 300)),
        Rounding(stem=False, head="no", end_repeats=False),
    ),
    # V2-B0 to V2-B3: google/automl, efficientnetv2/effnetv2_configs.py
    "efficientnet_v2": Family(
        _points(224, (1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300)),
        Rounding(channels="round_filters_v2"),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Published(Rule):
    """B1 to B8 at phi 1 to 8; `family` names another table, where phi counts its members.

    Rounding is the family's where none is given. Dropout, which those networks raise as they
    grow, is not set here.
    """

    name: ClassVar[str] = "published"
    summary: ClassVar[str] = "the EfficientNets' published table, phi 1 to 8 for B1 to B8"
    family: str = "efficientnet"

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InvalidRequestError(
                f"`family` must be one of {', '.join(FAMILIES)}, but got {self.family!r}."
            )
        if self.rounding == EFFICIENTNET_ROUNDING:
            object.__setattr__(self, "rounding", FAMILIES[self.family].rounding)

    def coefficients(self, phi: float) -> Coefficients:
        return along(FAMILIES[self.family].points, phi)
