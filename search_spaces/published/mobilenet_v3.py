"""MobileNetV3 Large and Small at any width multiplier (arXiv 1905.02244, Tables 1 and 2).

Expansions are the released code's ratios (tensorflow/models, slim), which give the papers'
expanded channels at width 1 and those of the released weights at others.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from search_spaces.architecture import Activation, Architecture, Gate, Head, Stem
from search_spaces.channels import make_divisible
from search_spaces.published.entry import Published
from search_spaces.published.rows import Row, build_stages
from search_spaces.stage_space import SqueezeRule

_SQUEEZE = SqueezeRule(of="expanded", divisor=8, activation=Activation.RELU, gate=Gate.HARD_SIGMOID)
_RE = Activation.RELU

# expansion, kernel, stride, channels, repeats, squeeze-excitation
LARGE = (
    (Row(1, 3, 1, 16, activation=_RE),),
    (Row(4, 3, 2, 24, activation=_RE), Row(3, 3, 1, 24, activation=_RE)),
    (Row(3, 5, 2, 40, 3, 0.25, activation=_RE),),
    (Row(6, 3, 2, 80), Row(2.5, 3, 1, 80), Row(2.3, 3, 1, 80, 2)),
    (Row(6, 3, 1, 112, 2, 0.25),),
    (Row(6, 5, 2, 160, 3, 0.25),),
)
SMALL = (
    (Row(1, 3, 2, 16, 1, 0.25, activation=_RE),),
    (Row(4.5, 3, 2, 24, activation=_RE), Row(3.67, 3, 1, 24, activation=_RE)),
    (Row(4, 5, 2, 40, 1, 0.25), Row(6, 5, 1, 40, 2, 0.25)),
    (Row(3, 5, 1, 48, 2, 0.25),),
    (Row(6, 5, 2, 96, 3, 0.25),),
)


class Size(NamedTuple):
    """What differs between Large and Small."""

    stages: tuple[tuple[Row, ...], ...]
    head_channels: int
    hidden_channels: int


SIZES = {"large": Size(LARGE, 960, 1280), "small": Size(SMALL, 576, 1024)}


def mobilenet_v3(size: str, width: float = 1.0, resolution: int = 224) -> Architecture:
    """MobileNetV3 with channels times `width`; the hidden layer stays below a width of 1.

    >>> large = mobilenet_v3("large")
    >>> [block.expanded_channels for block in large.stages[3].blocks]
    [240, 200, 184, 184]
    """
    stages, head_channels, hidden_channels = SIZES[size]
    stem = Stem(channels=make_divisible(16 * width), activation=Activation.HARD_SWISH)
    rows = (
        [row._replace(channels=make_divisible(row.channels * width)) for row in stage]
        for stage in stages
    )
    return Architecture(
        stem=stem,
        stages=build_stages(rows, stem.channels, Activation.HARD_SWISH, _SQUEEZE),
        head=Head(
            channels=make_divisible(head_channels * width),
            activation=Activation.HARD_SWISH,
            hidden_channels=make_divisible(hidden_channels * max(1.0, width)),
        ),
        resolution=resolution,
        dropout=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


ENTRIES = (
    Published(
        name="mobilenet_v3_large",
        make=partial(mobilenet_v3, "large"),
        source="arXiv 1905.02244, Table 3",
        top1=75.2,
        printed_macs="219M",
        printed_parameters="5.4M",
        note="the released code prints 217M multiply-adds for the same network",
    ),
    Published(
        name="mobilenet_v3_large_0.75",
        make=partial(mobilenet_v3, "large", 0.75),
        source="arXiv 1905.02244, Table 3",
        top1=73.3,
        printed_macs="155M",
        printed_parameters="4.0M",
    ),
    Published(
        name="mobilenet_v3_small",
        make=partial(mobilenet_v3, "small"),
        source="arXiv 1905.02244, Table 4",
        top1=67.4,
        printed_macs="56M",
        printed_parameters="2.5M",
    ),
    Published(
        name="mobilenet_v3_small_0.75",
        make=partial(mobilenet_v3, "small", 0.75),
        source="arXiv 1905.02244, Table 4",
        top1=65.4,
        printed_macs="44M",
        printed_parameters="2.0M",
    ),
)
