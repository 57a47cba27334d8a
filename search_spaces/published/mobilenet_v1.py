"""MobileNetV1 at any width and resolution multiplier (arXiv 1704.04861).

The width rule is that of the released code (slim: cut to a whole number, at least 8), and so is
ReLU6, where the paper writes ReLU. The stride of the last depthwise layer is 1: the paper's
Table 1 prints "s2" there, which its own sizes contradict.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from search_spaces.architecture import Activation, Architecture, Block, Operator, Stage, Stem
from search_spaces.channels import scale_channels_slim
from search_spaces.published.entry import Published


class Row(NamedTuple):
    """Layers at one resolution; the first of them strides."""

    channels: int
    stride: int
    repeats: int


TABLE_1 = (
    Row(64, 1, 1),
    Row(128, 2, 2),
    Row(256, 2, 2),
    Row(512, 2, 6),
    Row(1024, 2, 2),
)
SHALLOW = (*TABLE_1[:3], Row(512, 2, 1), TABLE_1[4])
"""Table 5's shallow network: without the five 512-channel layers at 14 x 14."""


def mobilenet_v1(
    width: float = 1.0,
    resolution: int = 224,
    *,
    table: tuple[Row, ...] = TABLE_1,
    operator: Operator = Operator.SEPARABLE,
) -> Architecture:
    """MobileNetV1 with every layer's channels times `width`; `operator` is its layers'.

    >>> mobilenet_v1(0.5).stages[-1].out_channels
    512
    """
    stages = []
    for row in table:
        blocks = [
            Block(
                operator=operator,
                out_channels=scale_channels_slim(row.channels, width),
                stride=row.stride if repeat == 0 else 1,
                activation=Activation.RELU6,
                pointwise_activation=True,
            )
            for repeat in range(row.repeats)
        ]
        stages.append(Stage(blocks=tuple(blocks)))
    return Architecture(
        stem=Stem(channels=scale_channels_slim(32, width), activation=Activation.RELU6),
        stages=tuple(stages),
        resolution=resolution,
        dropout=0.001,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


RESOLUTIONS = (224, 192, 160, 128)

# width: top-1 of the released weights (slim) at those resolutions
_TOP_1 = {
    1.0: (70.9, 70.0, 68.0, 65.2),
    0.75: (68.4, 67.2, 65.3, 62.1),
    0.5: (63.3, 61.7, 59.1, 56.3),
    0.25: (49.8, 47.7, 45.5, 41.5),
}

# (width, resolution): Mult-Adds of Tables 6, 7 and 9, and parameters
_PRINTED_MACS = {
    (1.0, 224): "569M", (1.0, 192): "418M", (1.0, 160): "290M", (1.0, 128): "186M",
    (0.75, 224): "325M", (0.5, 224): "149M", (0.5, 160): "76M", (0.25, 224): "41M",
}  # fmt: skip
_PRINTED_PARAMETERS = {1.0: "4.2M", 0.75: "2.6M", 0.5: "1.3M", 0.25: "0.5M"}


def name_of(width: float, resolution: int) -> str:
    """`mobilenet_v1`, `mobilenet_v1_0.5` at 224 pixels, `mobilenet_v1_0.5_160` at others."""
    if resolution != 224:
        return f"mobilenet_v1_{width}_{resolution}"
    return "mobilenet_v1" if width == 1.0 else f"mobilenet_v1_{width}"


ENTRIES = (
    *(
        Published(
            name=name_of(width, resolution),
            make=partial(mobilenet_v1, width, resolution),
            source="arXiv 1704.04861, Tables 6, 7 and 9; accuracy: tensorflow/models, slim",
            top1=top1,
            printed_macs=_PRINTED_MACS.get((width, resolution)),
            printed_parameters=_PRINTED_PARAMETERS[width],
        )
        for width, accuracies in _TOP_1.items()
        for resolution, top1 in zip(RESOLUTIONS, accuracies)
    ),
    Published(
        name="mobilenet_v1_shallow",
        make=partial(mobilenet_v1, table=SHALLOW),
        source="arXiv 1704.04861, Table 5",
        top1=65.3,
        printed_macs="307M",
        printed_parameters="2.9M",
    ),
    Published(
        name="mobilenet_v1_full",
        make=partial(mobilenet_v1, operator=Operator.CONV),
        source="arXiv 1704.04861, Table 4",
        top1=71.7,
        printed_macs="4866M",
        printed_parameters="29.3M",
        note="the printed multiply-adds leave the classifier's out",
    ),
)
