"""EfficientNet-B0's seven stages, with the MnasNet decisions around them.

B0 (arXiv 1905.11946, Table 1) is a member: channel factor 1, no change of repeats.
"""

from search_spaces.architecture import Operator, Skip
from search_spaces.space import BlockVariant, SearchSpace, StageSpace

# name, stride, channels, repeats, as in the paper's Table 1
_TABLE_1 = (
    ("stage2", 1, 16, 1),
    ("stage3", 2, 24, 2),
    ("stage4", 2, 40, 2),
    ("stage5", 2, 80, 3),
    ("stage6", 1, 112, 3),
    ("stage7", 2, 192, 4),
    ("stage8", 1, 320, 1),
)

_BLOCKS = {
    "conv": BlockVariant(operator=Operator.CONV),
    "mbconv1": BlockVariant(operator=Operator.MBCONV, expansion=1.0),
    "mbconv3": BlockVariant(operator=Operator.MBCONV, expansion=3.0),
    "mbconv6": BlockVariant(operator=Operator.MBCONV, expansion=6.0),
}

EFFICIENTNET = SearchSpace(
    name="efficientnet",
    description="EfficientNet-B0's seven stages with MnasNet's decisions in each",
    stages=tuple(
        StageSpace(
            name=name,
            stride=stride,
            channels=channels,
            channel_factor=(0.75, 1.0, 1.25),
            repeats=repeats,
            repeats_change=(-1, 0, 1),
            block=_BLOCKS,
            kernel_size=(3, 5),
            se_ratio=(0.0, 0.25),
            skip=(Skip.NONE, Skip.IDENTITY, Skip.POOL),
        )
        for name, stride, channels, repeats in _TABLE_1
    ),
    dropout=0.2,
    drop_connect=0.2,
    batch_norm_eps=1e-3,
    batch_norm_momentum=0.01,
)
