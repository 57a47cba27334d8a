"""EfficientNet-Lite 0 to 4 (tensorflow/tpu, models/official/efficientnet/lite).

B0's table without squeeze-excitation and with ReLU6; stem, head and the repeats of the first
and last stages stay as they are in all of them.
"""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Activation, Architecture, Head, Stem
from search_spaces.channels import round_filters, round_repeats
from search_spaces.published.efficientnet import (
    HEAD_CHANNELS,
    STEM_CHANNELS,
    TABLE_1,
    Coefficients,
)
from search_spaces.published.entry import Published
from search_spaces.published.rows import Row, build_stages
from search_spaces.stage_space import SqueezeRule

EFFICIENTNET_LITE_COEFFICIENTS = {
    "efficientnet_lite0": Coefficients(1.0, 1.0, 224, 0.2),
    "efficientnet_lite1": Coefficients(1.0, 1.1, 240, 0.2),
    "efficientnet_lite2": Coefficients(1.1, 1.2, 260, 0.3),
    "efficientnet_lite3": Coefficients(1.2, 1.4, 280, 0.3),
    "efficientnet_lite4": Coefficients(1.4, 1.8, 300, 0.3),
}


def efficientnet_lite(
    width: float = 1.0, depth: float = 1.0, resolution: int = 224, dropout: float = 0.2
) -> Architecture:
    """Lite0 with channels times `width` and repeats times `depth`.

    >>> [len(stage.blocks) for stage in efficientnet_lite(1.4, 1.8).stages]
    [1, 4, 4, 6, 6, 8, 1]
    """
    last = len(TABLE_1) - 1

    def scaled(i: int, row: Row) -> Row:
        return row._replace(
            channels=round_filters(row.channels, width),
            repeats=row.repeats if i in (0, last) else round_repeats(row.repeats, depth),
            se_ratio=0.0,
        )

    rows = ([scaled(i, row)] for i, row in enumerate(TABLE_1))
    return Architecture(
        stem=Stem(channels=STEM_CHANNELS, activation=Activation.RELU6),
        stages=build_stages(rows, STEM_CHANNELS, Activation.RELU6, SqueezeRule()),
        head=Head(channels=HEAD_CHANNELS, activation=Activation.RELU6),
        resolution=resolution,
        dropout=dropout,
        drop_connect=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


# top-1 of the float weights, multiply-adds: README of that folder
_README = {
    "efficientnet_lite0": (75.1, "407M"),
    "efficientnet_lite1": (76.7, "631M"),
    "efficientnet_lite2": (77.6, "899M"),
    "efficientnet_lite3": (79.8, "1.44B"),
    "efficientnet_lite4": (81.5, "2.64B"),
}

ENTRIES = tuple(
    Published(
        name=name,
        make=partial(efficientnet_lite, *coefficients),
        source="tensorflow/tpu, efficientnet/lite, README",
        top1=_README[name][0],
        printed_macs=_README[name][1],
        note="the README's counter is another one, 3 to 6 % higher",
    )
    for name, coefficients in EFFICIENTNET_LITE_COEFFICIENTS.items()
)
