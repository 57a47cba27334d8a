"""EfficientNet-X's latency-aware coefficients (arXiv 2102.05610)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import Coefficients
from nas.scaling.rules.contract import Rule
from nas.scaling.rules.table import Point, along

# width, depth, pixels of b0 to b7; b0 at 224 pixels
# source: tensorflow/tpu, models/official/efficientnet/tpu/efficientnet_x_builder.py
_MEMBERS = {
    "tpu": (
        (1.0, 1.0, 224), (1.05, 1.09, 229), (1.13, 1.29, 244), (1.27, 1.62, 263),
        (1.54, 2.38, 299), (1.96, 2.76, 332), (2.75, 3.01, 328), (3.26, 3.44, 350),
    ),
    "gpu": (
        (1.0, 1.0, 224), (1.05, 1.09, 229), (1.13, 1.24, 237), (1.31, 1.63, 255),
        (1.63, 2.4, 282), (1.94, 3.29, 306), (2.25, 4.28, 328), (2.58, 5.46, 350),
    ),
}  # fmt: skip
_POINTS = {
    device: tuple(Point(float(i), w, d, px / 224) for i, (w, d, px) in enumerate(rows))
    for device, rows in _MEMBERS.items()
}


@dataclass(frozen=True, kw_only=True)
class EfficientNetX(Rule):
    """The coefficients of X-b1 to X-b7 at phi 1 to 7, found for a `device`: tpu or gpu."""

    name: ClassVar[str] = "efficientnet_x"
    summary: ClassVar[str] = "EfficientNet-X's table, found under latency on a TPU or a GPU"
    device: str = "tpu"

    def __post_init__(self) -> None:
        if self.device not in _POINTS:
            raise InvalidRequestError(
                f"`device` must be one of {', '.join(_POINTS)}, but got {self.device!r}."
            )

    def coefficients(self, phi: float) -> Coefficients:
        return along(_POINTS[self.device], phi)
