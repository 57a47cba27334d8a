"""TinyNet A to E: B0 shrunk by its own coefficients (arXiv 2010.14819).

Depth is rounded to the nearest, not upwards; the stem stays and the head only grows.
"""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Activation, Architecture, Head, Stem
from search_spaces.channels import round_filters
from search_spaces.published.efficientnet import (
    HEAD_CHANNELS,
    STEM_CHANNELS,
    TABLE_1,
    Coefficients,
)
from search_spaces.published.entry import Published
from search_spaces.published.rows import build_stages
from search_spaces.stage_space import SqueezeRule

TINYNET_COEFFICIENTS = {
    "tinynet_a": Coefficients(1.0, 1.2, 192, 0.2),
    "tinynet_b": Coefficients(0.75, 1.1, 188, 0.2),
    "tinynet_c": Coefficients(0.54, 0.85, 184, 0.2),
    "tinynet_d": Coefficients(0.54, 0.695, 152, 0.2),
    "tinynet_e": Coefficients(0.51, 0.6, 106, 0.2),
}


def tinynet(width: float, depth: float, resolution: int, dropout: float = 0.2) -> Architecture:
    """B0's stages with channels times `width` and repeats times `depth`, to the nearest.

    >>> [len(stage.blocks) for stage in tinynet(0.51, 0.6, 106).stages]
    [1, 1, 1, 2, 2, 2, 1]
    """
    rows = (
        [
            row._replace(
                channels=round_filters(row.channels, width),
                repeats=max(1, round(row.repeats * depth)),
            )
        ]
        for row in TABLE_1
    )
    return Architecture(
        stem=Stem(channels=STEM_CHANNELS),
        stages=build_stages(rows, STEM_CHANNELS, Activation.SILU, SqueezeRule()),
        head=Head(channels=max(HEAD_CHANNELS, round_filters(HEAD_CHANNELS, width))),
        resolution=resolution,
        dropout=dropout,
        drop_connect=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


# top-1, top-5 of the released weights
_TOP_1_5 = {
    "tinynet_a": (77.666, 93.532),
    "tinynet_b": (74.946, 92.194),
    "tinynet_c": (71.214, 89.746),
    "tinynet_d": (66.936, 87.078),
    "tinynet_e": (59.874, 81.774),
}

ENTRIES = tuple(
    Published(
        name=name,
        make=partial(tinynet, *coefficients),
        source="arXiv 2010.14819; accuracy: timm, results-imagenet",
        top1=_TOP_1_5[name][0],
        top5=_TOP_1_5[name][1],
    )
    for name, coefficients in TINYNET_COEFFICIENTS.items()
)
