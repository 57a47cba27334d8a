"""EfficientNet B0 to B8 and L2 (arXiv 1905.11946; tensorflow/tpu, models/official/efficientnet).

The larger networks are B0's table with width and depth multiplied; their coefficients were
published as a table and are not powers of alpha, beta and gamma.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from search_spaces.architecture import (
    Architecture,
    Block,
    Head,
    Operator,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)
from search_spaces.channels import round_filters, round_repeats
from search_spaces.published.entry import Published


class Row(NamedTuple):
    """A row of Table 1."""

    expansion: int
    kernel_size: int
    stride: int
    channels: int
    repeats: int


TABLE_1 = (
    Row(1, 3, 1, 16, 1),
    Row(6, 3, 2, 24, 2),
    Row(6, 5, 2, 40, 2),
    Row(6, 3, 2, 80, 3),
    Row(6, 5, 1, 112, 3),
    Row(6, 5, 2, 192, 4),
    Row(6, 3, 1, 320, 1),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


class Coefficients(NamedTuple):
    """What was published for one member of the family."""

    width: float
    depth: float
    resolution: int
    dropout: float


EFFICIENTNET_COEFFICIENTS = {
    "efficientnet_b0": Coefficients(1.0, 1.0, 224, 0.2),
    "efficientnet_b1": Coefficients(1.0, 1.1, 240, 0.2),
    "efficientnet_b2": Coefficients(1.1, 1.2, 260, 0.3),
    "efficientnet_b3": Coefficients(1.2, 1.4, 300, 0.3),
    "efficientnet_b4": Coefficients(1.4, 1.8, 380, 0.4),
    "efficientnet_b5": Coefficients(1.6, 2.2, 456, 0.4),
    "efficientnet_b6": Coefficients(1.8, 2.6, 528, 0.5),
    "efficientnet_b7": Coefficients(2.0, 3.1, 600, 0.5),
    "efficientnet_b8": Coefficients(2.2, 3.6, 672, 0.5),
    "efficientnet_l2": Coefficients(4.3, 5.3, 800, 0.5),
}


def efficientnet(
    width: float = 1.0, depth: float = 1.0, resolution: int = 224, dropout: float = 0.2
) -> Architecture:
    """B0 with channels times `width` and repeats times `depth`, by the paper's rounding.

    >>> b3 = efficientnet(1.2, 1.4, 300, 0.3)
    >>> [stage.out_channels for stage in b3.stages], b3.head.channels
    ([24, 32, 48, 96, 136, 232, 384], 1536)
    """
    stem = Stem(channels=round_filters(STEM_CHANNELS, width))
    stages, in_channels = [], stem.channels
    for row in TABLE_1:
        out_channels = round_filters(row.channels, width)
        blocks = []
        for repeat in range(round_repeats(row.repeats, depth)):
            blocks.append(_mbconv(row, in_channels, out_channels, row.stride if not repeat else 1))
            in_channels = out_channels
        stages.append(Stage(blocks=tuple(blocks)))
    return Architecture(
        stem=stem,
        stages=tuple(stages),
        head=Head(channels=round_filters(HEAD_CHANNELS, width)),
        resolution=resolution,
        dropout=dropout,
        drop_connect=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


def _mbconv(row: Row, in_channels: int, out_channels: int, stride: int) -> Block:
    return Block(
        operator=Operator.SEPARABLE if row.expansion == 1 else Operator.MBCONV,
        out_channels=out_channels,
        expanded_channels=row.expansion * in_channels,
        kernel_size=row.kernel_size,
        stride=stride,
        squeeze_excitation=SqueezeExcitation(channels=max(1, in_channels // 4)),
        skip=Skip.IDENTITY,
    )


class Printed(NamedTuple):
    """A row of Table 2; parameters in millions, multiply-adds (its FLOPs) in thousand millions."""

    top1: float
    top5: float
    parameters: float
    macs: float
    note: str = ""


_ROUNDED_MACS = "the paper prints fewer multiply-adds than the network that it defines has"

TABLE_2 = {
    "efficientnet_b0": Printed(77.1, 93.3, 5.3, 0.39),
    "efficientnet_b1": Printed(79.1, 94.4, 7.8, 0.70),
    "efficientnet_b2": Printed(
        80.1, 94.9, 9.2, 1.0, "9.2 M parameters include batch-norm's running statistics"
    ),
    "efficientnet_b3": Printed(81.6, 95.7, 12, 1.8),
    "efficientnet_b4": Printed(82.9, 96.4, 19, 4.2, _ROUNDED_MACS),
    "efficientnet_b5": Printed(83.6, 96.7, 30, 9.9, _ROUNDED_MACS),
    "efficientnet_b6": Printed(84.0, 96.8, 43, 19),
    "efficientnet_b7": Printed(84.3, 97.0, 66, 37, _ROUNDED_MACS),
}


def _entries() -> tuple[Published, ...]:
    entries = []
    for name, coefficients in EFFICIENTNET_COEFFICIENTS.items():
        row = TABLE_2.get(name)
        entries.append(
            Published(
                name=name,
                make=partial(efficientnet, *coefficients),
                source="arXiv 1905.11946, Table 2" if row else "tensorflow/tpu, efficientnet",
                top1=row and row.top1,
                top5=row and row.top5,
                printed_macs=row and row.macs * 1e9,
                printed_parameters=row and row.parameters * 1e6,
                note=row.note if row else "",
            )
        )
    return tuple(entries)


ENTRIES = _entries()
