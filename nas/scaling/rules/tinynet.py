"""TinyNet's shrinking: resolution and depth go before width (arXiv 2010.14819)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nas.scaling.coefficients import Coefficients
from nas.scaling.rules.contract import Rule
from nas.scaling.rules.table import Point, along
from nas.scaling.transform import Rounding

# width, depth, pixels as in the released models (huggingface/pytorch-image-models,
# timm/models/efficientnet.py), and the MACs that they have
_MEMBERS = {
    "e": (0.51, 0.6, 106, 24.4e6),
    "d": (0.54, 0.695, 152, 51.6e6),
    "c": (0.54, 0.85, 184, 99.5e6),
    "b": (0.75, 1.1, 188, 200.7e6),
    "a": (1.0, 1.2, 192, 336.9e6),
}
_B0_MACS = 385.8e6

TINYNETS = {
    name: Coefficients(depth=depth, width=width, resolution=pixels / 224)
    for name, (width, depth, pixels, _) in _MEMBERS.items()
}
"""The published members' factors on EfficientNet-B0."""

_POINTS = (
    *(
        Point(math.log2(macs / _B0_MACS), width, depth, pixels / 224)
        for width, depth, pixels, macs in _MEMBERS.values()
    ),
    Point(0.0, 1.0, 1.0, 1.0),
)

_ROUNDING = Rounding(repeats="nearest", stem=False, head="up")


@dataclass(frozen=True, kw_only=True)
class TinyNet(Rule):
    """2^phi times B0's MACs, along the published members A to E (phi -0.2 to -4).

    The paper finds resolution and depth for a cost by a regression that it does not print; its
    five results stand for it here. Repeats go to the nearest, the stem stays, the head only grows.
    """

    name: ClassVar[str] = "tinynet"
    summary: ClassVar[str] = "shrinking along TinyNet A to E: resolution and depth before width"
    rounding: Rounding = _ROUNDING

    def coefficients(self, phi: float) -> Coefficients:
        return along(_POINTS, phi)
