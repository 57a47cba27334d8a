"""MobileNetV1 at any width and resolution multiplier (arXiv 1704.04861).

The width rule is that of the released code (slim: cut to a whole number, at least 8), and so is
ReLU6, where the paper writes ReLU. The stride of the last depthwise layer is 1: the paper's
Table 1 prints "s2" there, which its own sizes contradict.
"""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Activation, Architecture, Block, Operator, Stage, Stem
from search_spaces.channels import scale_channels_slim
from search_spaces.published.entry import Published

# channels, stride of the first block, blocks: Table 1, cut where it strides
TABLE_1 = (
    (64, 1, 1),
    (128, 2, 2),
    (256, 2, 2),
    (512, 2, 6),
    (1024, 2, 2),
)
SHALLOW = (*TABLE_1[:3], (512, 2, 1), TABLE_1[4])
"""Section 4.1's shallow network: without the five 512-channel layers at 14 x 14."""


def mobilenet_v1(
    width: float = 1.0,
    resolution: int = 224,
    table: tuple[tuple[int, int, int], ...] = TABLE_1,
) -> Architecture:
    """MobileNetV1 with every layer's channels times `width`.

    >>> mobilenet_v1(0.5).stages[-1].out_channels
    512
    """
    stages = []
    for channels, stride, repeats in table:
        first, *rest = (_separable(scale_channels_slim(channels, width), s)
                        for s in (stride, *[1] * (repeats - 1)))  # fmt: skip
        stages.append(Stage(blocks=(first, *rest)))
    return Architecture(
        stem=Stem(channels=scale_channels_slim(32, width), activation=Activation.RELU6),
        stages=tuple(stages),
        resolution=resolution,
        dropout=0.001,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


def _separable(out_channels: int, stride: int) -> Block:
    return Block(
        operator=Operator.SEPARABLE,
        out_channels=out_channels,
        stride=stride,
        activation=Activation.RELU6,
        pointwise_activation=True,
    )


# width: top-1 of the released weights (slim) at 224, 192, 160, 128 pixels
_TOP_1 = {
    1.0: (70.9, 70.0, 68.0, 65.2),
    0.75: (68.4, 67.2, 65.3, 62.1),
    0.5: (63.3, 61.7, 59.1, 56.3),
    0.25: (49.8, 47.7, 45.5, 41.5),
}
RESOLUTIONS = (224, 192, 160, 128)

# (width, resolution): multiply-adds in millions, printed in Tables 6, 7 and 9
_PRINTED = {
    (1.0, 224): 569, (1.0, 192): 418, (1.0, 160): 290, (1.0, 128): 186,
    (0.75, 224): 325, (0.5, 224): 149, (0.5, 160): 76, (0.25, 224): 41,
}  # fmt: skip
_PARAMETERS = {1.0: 4.2, 0.75: 2.6, 0.5: 1.3, 0.25: 0.5}


def name_of(width: float, resolution: int) -> str:
    """`mobilenet_v1`, `mobilenet_v1_0.5` at 224 pixels, `mobilenet_v1_0.5_160` at others."""
    parts = ["mobilenet_v1"]
    if width != 1.0 or resolution != 224:
        parts.append(str(width))
    if resolution != 224:
        parts.append(str(resolution))
    return "_".join(parts)


def _entry(width: float, resolution: int, top1: float) -> Published:
    printed = _PRINTED.get((width, resolution))
    return Published(
        name=name_of(width, resolution),
        make=partial(mobilenet_v1, width, resolution),
        source="arXiv 1704.04861, Tables 6, 7 and 9; accuracy: tensorflow/models, slim",
        top1=top1,
        printed_macs=printed and printed * 1e6,
        printed_parameters=_PARAMETERS[width] * 1e6,
    )


ENTRIES = (
    *(
        _entry(width, resolution, top1)
        for width, accuracies in _TOP_1.items()
        for resolution, top1 in zip(RESOLUTIONS, accuracies)
    ),
    Published(
        name="mobilenet_v1_shallow",
        make=partial(mobilenet_v1, table=SHALLOW),
        source="arXiv 1704.04861, Table 5",
        top1=65.3,
        printed_macs=307e6,
        printed_parameters=2.9e6,
    ),
)
