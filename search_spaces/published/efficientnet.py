"""EfficientNet B0 to B8 and L2 (arXiv 1905.11946; tensorflow/tpu, models/official/efficientnet).

The larger networks are B0's table with width and depth multiplied; their coefficients were
published as a table and are not powers of alpha, beta and gamma.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from search_spaces.architecture import Activation, Architecture, Head, Stem
from search_spaces.channels import round_filters, round_repeats
from search_spaces.published.entry import Published
from search_spaces.published.rows import Row, build_stages
from search_spaces.stage_space import SqueezeRule

# expansion, kernel, stride, channels, repeats, squeeze-excitation: Table 1
TABLE_1 = (
    Row(1, 3, 1, 16, 1, 0.25),
    Row(6, 3, 2, 24, 2, 0.25),
    Row(6, 5, 2, 40, 2, 0.25),
    Row(6, 3, 2, 80, 3, 0.25),
    Row(6, 5, 1, 112, 3, 0.25),
    Row(6, 5, 2, 192, 4, 0.25),
    Row(6, 3, 1, 320, 1, 0.25),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


class Coefficients(NamedTuple):
    """What was published for one member of a family; resolution in pixels."""

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
    rows = [
        row._replace(
            channels=round_filters(row.channels, width),
            repeats=round_repeats(row.repeats, depth),
        )
        for row in TABLE_1
    ]
    return Architecture(
        stem=stem,
        stages=build_stages(([row] for row in rows), stem.channels, Activation.SILU, SqueezeRule()),
        head=Head(channels=round_filters(HEAD_CHANNELS, width)),
        resolution=resolution,
        dropout=dropout,
        drop_connect=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


class Printed(NamedTuple):
    """A row of Table 2: accuracy in percent, parameters, FLOPs (which are multiply-adds)."""

    top1: float
    top5: float
    parameters: str
    macs: str
    note: str = ""


_OTHER_MACS = "the network that the paper defines has other multiply-adds than it prints"

TABLE_2 = {
    "efficientnet_b0": Printed(77.1, 93.3, "5.3M", "0.39B"),
    "efficientnet_b1": Printed(79.1, 94.4, "7.8M", "0.70B", _OTHER_MACS),
    "efficientnet_b2": Printed(
        80.1, 94.9, "9.2M", "1.0B", "9.2M parameters only with batch-norm's running statistics"
    ),
    "efficientnet_b3": Printed(81.6, 95.7, "12M", "1.8B"),
    "efficientnet_b4": Printed(82.9, 96.4, "19M", "4.2B", _OTHER_MACS),
    "efficientnet_b5": Printed(83.6, 96.7, "30M", "9.9B", _OTHER_MACS),
    "efficientnet_b6": Printed(84.0, 96.8, "43M", "19B"),
    "efficientnet_b7": Printed(84.3, 97.0, "66M", "37B", "the multiply-adds are cut, not rounded"),
}


def _entry(name: str, coefficients: Coefficients) -> Published:
    make = partial(efficientnet, *coefficients)
    if name not in TABLE_2:
        return Published(name=name, make=make, source="tensorflow/tpu, efficientnet_builder.py")
    row = TABLE_2[name]
    return Published(
        name=name,
        make=make,
        source="arXiv 1905.11946, Table 2",
        top1=row.top1,
        top5=row.top5,
        printed_macs=row.macs,
        printed_parameters=row.parameters,
        note=row.note,
    )


ENTRIES = tuple(_entry(*item) for item in EFFICIENTNET_COEFFICIENTS.items())
