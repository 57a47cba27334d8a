"""MobileNetV2 at any width multiplier (arXiv 1801.04381, Table 2)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from search_spaces.architecture import Activation, Architecture, Head, Stem
from search_spaces.channels import make_divisible
from search_spaces.published.entry import Published
from search_spaces.published.rows import Row, build_stages
from search_spaces.stage_space import SqueezeRule

# expansion, kernel, stride, channels, repeats
TABLE_2 = (
    Row(1, 3, 1, 16, 1),
    Row(6, 3, 2, 24, 2),
    Row(6, 3, 2, 32, 3),
    Row(6, 3, 2, 64, 4),
    Row(6, 3, 1, 96, 3),
    Row(6, 3, 2, 160, 3),
    Row(6, 3, 1, 320, 1),
)


def mobilenet_v2(width: float = 1.0, resolution: int = 224) -> Architecture:
    """MobileNetV2 with channels times `width`; the last layer only grows.

    >>> mobilenet_v2(1.4).head.channels, mobilenet_v2(0.35).head.channels
    (1792, 1280)
    """
    stem = Stem(channels=make_divisible(32 * width), activation=Activation.RELU6)
    rows = ([row._replace(channels=make_divisible(row.channels * width))] for row in TABLE_2)
    return Architecture(
        stem=stem,
        stages=build_stages(rows, stem.channels, Activation.RELU6, SqueezeRule()),
        head=Head(channels=make_divisible(1280 * max(1.0, width)), activation=Activation.RELU6),
        resolution=resolution,
        dropout=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


class Printed(NamedTuple):
    """A row of the released weights' table."""

    top1: float
    macs: str
    parameters: str


# tensorflow/models, research/slim/nets/mobilenet, at 224 pixels
_RELEASED = {
    1.4: Printed(75.0, "582M", "6.06M"),
    1.3: Printed(74.4, "509M", "5.34M"),
    1.0: Printed(71.8, "300M", "3.47M"),
    0.75: Printed(69.8, "209M", "2.61M"),
    0.5: Printed(65.4, "97M", "1.95M"),
    0.35: Printed(60.3, "59M", "1.66M"),
}

ENTRIES = tuple(
    Published(
        name="mobilenet_v2" if width == 1.0 else f"mobilenet_v2_{width}",
        make=partial(mobilenet_v2, width),
        source="tensorflow/models, slim, MobileNetV2 at 224 pixels",
        top1=row.top1,
        printed_macs=row.macs,
        printed_parameters=row.parameters,
        note="the printed parameters leave batch-norm's scale and shift out",
    )
    for width, row in _RELEASED.items()
)
