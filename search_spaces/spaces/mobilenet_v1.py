"""MobileNetV1 with its two multipliers as the decisions (arXiv 1704.04861, Tables 1, 6 and 7).

Sixteen networks: the papers' own search, width times resolution.
"""

from search_spaces.architecture import Activation, Operator, Skip
from search_spaces.space import SearchSpace, StageSpace

# stride, channels, blocks; the paper's "s2" on the last depthwise layer is a misprint
_TABLE_1 = ((1, 64, 1), (2, 128, 2), (2, 256, 2), (2, 512, 6), (2, 1024, 2))

MOBILENET_V1 = SearchSpace(
    name="mobilenet_v1",
    description="MobileNetV1 at four width and four resolution multipliers",
    stages=tuple(
        StageSpace(
            name=f"stage{i}",
            stride=stride,
            channels=channels,
            repeats=repeats,
            operator=Operator.SEPARABLE,
            skip=Skip.NONE,
            activation=Activation.RELU6,
            pointwise_activation=True,
        )
        for i, (stride, channels, repeats) in enumerate(_TABLE_1, start=1)
    ),
    resolution=(128, 160, 192, 224),
    width_multiplier=(0.25, 0.5, 0.75, 1.0),
    rounding="slim",
    stem_activation=Activation.RELU6,
    head_channels=0,
    dropout=0.001,
    batch_norm_eps=1e-3,
    batch_norm_momentum=0.01,
)
