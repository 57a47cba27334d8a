"""MnasNet's factorised hierarchical space (arXiv 1807.11626, section 4.1).

MobileNetV2's seven stages are the reference; each has 432 choices: four operators, two kernels,
two squeeze-excitations, three skips, three channel factors, three changes of repeats. The paper
counts five such blocks (432^5, about 1.5e13).
"""

from search_spaces.architecture import Activation, Operator, Skip
from search_spaces.space import BlockVariant, SearchSpace, SqueezeRule, StageSpace

# name, stride, channels, repeats of MobileNetV2 (arXiv 1801.04381, Table 2)
_MOBILENET_V2 = (
    ("stage1", 1, 16, 1),
    ("stage2", 2, 24, 2),
    ("stage3", 2, 32, 3),
    ("stage4", 2, 64, 4),
    ("stage5", 1, 96, 3),
    ("stage6", 2, 160, 3),
    ("stage7", 1, 320, 1),
)

_BLOCKS = {
    "conv": BlockVariant(operator=Operator.CONV),
    "dconv": BlockVariant(operator=Operator.SEPARABLE),
    "mbconv3": BlockVariant(operator=Operator.MBCONV, expansion=3.0),
    "mbconv6": BlockVariant(operator=Operator.MBCONV, expansion=6.0),
}

MNASNET = SearchSpace(
    name="mnasnet",
    description="MobileNetV2's seven stages, 432 choices in each",
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
            skip=(Skip.POOL, Skip.IDENTITY, Skip.NONE),
            activation=Activation.RELU,
        )
        for name, stride, channels, repeats in _MOBILENET_V2
    ),
    stem_activation=Activation.RELU,
    head_activation=Activation.RELU,
    squeeze=SqueezeRule(activation=Activation.RELU),
    dropout=0.2,
    batch_norm_eps=1e-3,
    batch_norm_momentum=0.01,
)
