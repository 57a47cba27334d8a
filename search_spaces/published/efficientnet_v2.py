"""EfficientNetV2 B0 to B3, S, M, L and XL (arXiv 2104.00298; google/automl, efficientnetv2).

The resolutions are those of evaluation. Fused blocks have no squeeze-excitation, and one with
expansion 1 is a single convolution. Channels are rounded without the 90 % rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from search_spaces.architecture import Activation, Architecture, Head, Stem
from search_spaces.channels import round_filters_v2, round_repeats
from search_spaces.published.efficientnet import Coefficients
from search_spaces.published.entry import Published
from search_spaces.published.rows import Row, build_stages
from search_spaces.stage_space import SqueezeRule

HEAD_CHANNELS = 1280

# expansion, kernel, stride, channels, repeats, squeeze-excitation: effnetv2_configs.py
BASE = (
    Row(1, 3, 1, 16, 1, fused=True),
    Row(4, 3, 2, 32, 2, fused=True),
    Row(4, 3, 2, 48, 2, fused=True),
    Row(4, 3, 2, 96, 3, 0.25),
    Row(6, 3, 1, 112, 5, 0.25),
    Row(6, 3, 2, 192, 8, 0.25),
)
S = (
    Row(1, 3, 1, 24, 2, fused=True),
    Row(4, 3, 2, 48, 4, fused=True),
    Row(4, 3, 2, 64, 4, fused=True),
    Row(4, 3, 2, 128, 6, 0.25),
    Row(6, 3, 1, 160, 9, 0.25),
    Row(6, 3, 2, 256, 15, 0.25),
)
M = (
    Row(1, 3, 1, 24, 3, fused=True),
    Row(4, 3, 2, 48, 5, fused=True),
    Row(4, 3, 2, 80, 5, fused=True),
    Row(4, 3, 2, 160, 7, 0.25),
    Row(6, 3, 1, 176, 14, 0.25),
    Row(6, 3, 2, 304, 18, 0.25),
    Row(6, 3, 1, 512, 5, 0.25),
)
L = (
    Row(1, 3, 1, 32, 4, fused=True),
    Row(4, 3, 2, 64, 7, fused=True),
    Row(4, 3, 2, 96, 7, fused=True),
    Row(4, 3, 2, 192, 10, 0.25),
    Row(6, 3, 1, 224, 19, 0.25),
    Row(6, 3, 2, 384, 25, 0.25),
    Row(6, 3, 1, 640, 7, 0.25),
)
XL = (
    Row(1, 3, 1, 32, 4, fused=True),
    Row(4, 3, 2, 64, 8, fused=True),
    Row(4, 3, 2, 96, 8, fused=True),
    Row(4, 3, 2, 192, 16, 0.25),
    Row(6, 3, 1, 256, 24, 0.25),
    Row(6, 3, 2, 512, 32, 0.25),
    Row(6, 3, 1, 640, 8, 0.25),
)

EFFICIENTNET_V2_COEFFICIENTS = {
    "efficientnet_v2_b0": Coefficients(1.0, 1.0, 224, 0.2),
    "efficientnet_v2_b1": Coefficients(1.0, 1.1, 240, 0.2),
    "efficientnet_v2_b2": Coefficients(1.1, 1.2, 260, 0.3),
    "efficientnet_v2_b3": Coefficients(1.2, 1.4, 300, 0.3),
}


def efficientnet_v2(
    rows: Sequence[Row] = BASE,
    stem_channels: int = 32,
    width: float = 1.0,
    depth: float = 1.0,
    resolution: int = 224,
    dropout: float = 0.2,
) -> Architecture:
    """A table of rows with channels times `width` and repeats times `depth`.

    >>> [stage.out_channels for stage in efficientnet_v2(width=1.2, depth=1.4).stages]
    [16, 40, 56, 112, 136, 232]
    """
    stem = Stem(channels=round_filters_v2(stem_channels, width))
    scaled = [
        row._replace(
            channels=round_filters_v2(row.channels, width),
            repeats=round_repeats(row.repeats, depth),
        )
        for row in rows
    ]
    return Architecture(
        stem=stem,
        stages=build_stages(
            ([row] for row in scaled), stem.channels, Activation.SILU, SqueezeRule()
        ),
        head=Head(channels=round_filters_v2(HEAD_CHANNELS, width)),
        resolution=resolution,
        dropout=dropout,
        drop_connect=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.1,
    )


class Member(NamedTuple):
    """What the README prints of a member, and how it is made."""

    make: partial[Architecture]
    top1: float | None
    macs: str | None
    parameters: str | None = None
    note: str = ""


def _base(name: str) -> partial[Architecture]:
    return partial(efficientnet_v2, BASE, 32, *EFFICIENTNET_V2_COEFFICIENTS[name])


_MEMBERS = {
    "efficientnet_v2_b0": Member(_base("efficientnet_v2_b0"), 78.7, "0.72B"),
    "efficientnet_v2_b1": Member(_base("efficientnet_v2_b1"), 79.8, "1.2B"),
    "efficientnet_v2_b2": Member(_base("efficientnet_v2_b2"), 80.5, "1.7B"),
    "efficientnet_v2_b3": Member(_base("efficientnet_v2_b3"), 82.1, "3.0B"),
    "efficientnet_v2_s": Member(
        partial(efficientnet_v2, S, 24, resolution=384, dropout=0.2), 83.9, "8.4B"
    ),
    "efficientnet_v2_m": Member(
        partial(efficientnet_v2, M, 24, resolution=480, dropout=0.3),
        85.2,
        "24.7B",
        note="the README's counter is another one, a little higher",
    ),
    "efficientnet_v2_l": Member(
        partial(efficientnet_v2, L, 32, resolution=480, dropout=0.4),
        85.7,
        "56.3B",
        "119.5M",
        note="the README's counters are others: 1 M parameters and 0.2 B multiply-adds higher",
    ),
    "efficientnet_v2_xl": Member(
        partial(efficientnet_v2, XL, 32, resolution=512, dropout=0.4), None, None
    ),
}

ENTRIES = tuple(
    Published(
        name=name,
        make=member.make,
        source="google/automl, efficientnetv2, README",
        top1=member.top1,
        printed_macs=member.macs,
        printed_parameters=member.parameters,
        note=member.note,
    )
    for name, member in _MEMBERS.items()
)
