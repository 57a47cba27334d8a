"""MnasNet A1, B1 and small at any width multiplier (arXiv 1807.11626; tensorflow/tpu, mnasnet).

The last 1x1 convolution keeps its 1280 channels at every width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from search_spaces.architecture import Activation, Architecture, Head, Skip, Stem
from search_spaces.channels import make_divisible
from search_spaces.published.entry import Published
from search_spaces.published.rows import Row, build_stages
from search_spaces.stage_space import SqueezeRule

HEAD_CHANNELS = 1280

# expansion, kernel, stride, channels, repeats, squeeze-excitation
A1 = (
    Row(1, 3, 1, 16, 1, skip=Skip.NONE),
    Row(6, 3, 2, 24, 2),
    Row(3, 5, 2, 40, 3, 0.25),
    Row(6, 3, 2, 80, 4),
    Row(6, 3, 1, 112, 2, 0.25),
    Row(6, 5, 2, 160, 3, 0.25),
    Row(6, 3, 1, 320, 1),
)
B1 = (
    Row(1, 3, 1, 16, 1, skip=Skip.NONE),
    Row(3, 3, 2, 24, 3),
    Row(3, 5, 2, 40, 3),
    Row(6, 5, 2, 80, 3),
    Row(6, 3, 1, 96, 2),
    Row(6, 5, 2, 192, 4),
    Row(6, 3, 1, 320, 1, skip=Skip.NONE),
)
SMALL = (
    Row(1, 3, 1, 8, 1),
    Row(3, 3, 2, 16, 1),
    Row(6, 3, 2, 16, 2),
    Row(6, 5, 2, 32, 4, 0.25),
    Row(6, 3, 1, 32, 3, 0.25),
    Row(6, 5, 2, 88, 3, 0.25),
    Row(6, 3, 1, 144, 1),
)


def mnasnet(
    rows: Sequence[Row], stem_channels: int, width: float = 1.0, resolution: int = 224
) -> Architecture:
    """A table of rows with channels times `width`, the head's excepted.

    >>> mnasnet(A1, 32, 0.35).head.channels
    1280
    """
    stem = Stem(channels=make_divisible(stem_channels * width), activation=Activation.RELU)
    scaled = ([row._replace(channels=make_divisible(row.channels * width))] for row in rows)
    return Architecture(
        stem=stem,
        stages=build_stages(
            scaled, stem.channels, Activation.RELU, SqueezeRule(activation=Activation.RELU)
        ),
        head=Head(channels=HEAD_CHANNELS, activation=Activation.RELU),
        resolution=resolution,
        dropout=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


_PAPER = "arXiv 1807.11626"

ENTRIES = (
    Published(
        name="mnasnet_a1",
        make=partial(mnasnet, A1, 32),
        source=f"{_PAPER}, Table 1",
        top1=75.2,
        top5=92.5,
        printed_macs="312M",
        printed_parameters="3.9M",
    ),
    *(
        Published(
            name=f"mnasnet_a1_{width}",
            make=partial(mnasnet, A1, 32, width),
            source=f"{_PAPER}, width multipliers at 224 pixels",
            top1=top1,
        )
        for width, top1 in {1.4: 77.2, 0.75: 73.3, 0.5: 68.9, 0.35: 64.1}.items()
    ),
    Published(
        name="mnasnet_b1",
        make=partial(mnasnet, B1, 32),
        source="tensorflow/tpu, mnasnet",
        top1=74.5,
    ),
    Published(
        name="mnasnet_small",
        make=partial(mnasnet, SMALL, 8),
        source="tensorflow/tpu, mnasnet",
        top1=66.0,
    ),
)
