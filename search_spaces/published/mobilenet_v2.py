"""MobileNetV2 at any width multiplier (arXiv 1801.04381, Table 2)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from search_spaces.architecture import (
    Activation,
    Architecture,
    Block,
    Head,
    Operator,
    Skip,
    Stage,
    Stem,
)
from search_spaces.channels import make_divisible
from search_spaces.published.entry import Published


class Row(NamedTuple):
    """A row of Table 2: t, c, n, s."""

    expansion: int
    channels: int
    repeats: int
    stride: int


TABLE_2 = (
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)


def mobilenet_v2(width: float = 1.0, resolution: int = 224) -> Architecture:
    """MobileNetV2 with channels times `width`; the last layer only grows.

    >>> mobilenet_v2(1.4).head.channels, mobilenet_v2(0.35).head.channels
    (1792, 1280)
    """
    stem = Stem(channels=make_divisible(32 * width), activation=Activation.RELU6)
    stages, in_channels = [], stem.channels
    for row in TABLE_2:
        out_channels = make_divisible(row.channels * width)
        blocks = []
        for repeat in range(row.repeats):
            stride = row.stride if not repeat else 1
            blocks.append(_bottleneck(row.expansion, in_channels, out_channels, stride))
            in_channels = out_channels
        stages.append(Stage(blocks=tuple(blocks)))
    return Architecture(
        stem=stem,
        stages=tuple(stages),
        head=Head(channels=make_divisible(1280 * max(1.0, width)), activation=Activation.RELU6),
        resolution=resolution,
        dropout=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


def _bottleneck(expansion: int, in_channels: int, out_channels: int, stride: int) -> Block:
    return Block(
        operator=Operator.SEPARABLE if expansion == 1 else Operator.MBCONV,
        out_channels=out_channels,
        expanded_channels=expansion * in_channels,
        stride=stride,
        activation=Activation.RELU6,
        skip=Skip.IDENTITY,
    )


class Printed(NamedTuple):
    """A row of the released weights' table; both counts in millions."""

    top1: float
    macs: float
    parameters: float
    note: str = ""


_NO_NORM = "the printed parameters leave batch-norm's scale and shift out"

# tensorflow/models, research/slim/nets/mobilenet, at 224 pixels
_RELEASED = {
    1.4: Printed(75.0, 582, 6.06, _NO_NORM),
    1.3: Printed(74.4, 509, 5.34, _NO_NORM),
    1.0: Printed(71.8, 300, 3.47, _NO_NORM),
    0.75: Printed(69.8, 209, 2.61, _NO_NORM),
    0.5: Printed(65.4, 97, 1.95, _NO_NORM),
    0.35: Printed(60.3, 59, 1.66, _NO_NORM),
}

ENTRIES = tuple(
    Published(
        name="mobilenet_v2" if width == 1.0 else f"mobilenet_v2_{width}",
        make=partial(mobilenet_v2, width),
        source="tensorflow/models, slim, MobileNetV2 at 224 pixels",
        top1=row.top1,
        printed_macs=row.macs * 1e6,
        printed_parameters=row.parameters * 1e6,
        note=row.note,
    )
    for width, row in _RELEASED.items()
)
