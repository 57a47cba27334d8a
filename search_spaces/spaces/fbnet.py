"""FBNet (arXiv 1812.03443, Tables 1 and 2): 22 blocks, nine options each, 9^22.

The options of expansion 1 keep their 1x1 layer before the depthwise one; `g2` groups both 1x1
layers, with a shuffle between. A skip that has to change the shape is a 1x1 convolution with
batch-norm and ReLU, as in HW-NAS-Bench's rendering of the space.
"""

from search_spaces.architecture import Activation, Operator
from search_spaces.space import BlockVariant, SearchSpace, StageSpace

# stride, channels, blocks
_STAGES = (
    (1, 16, 1),
    (2, 24, 4),
    (2, 32, 4),
    (2, 64, 4),
    (1, 112, 4),
    (2, 184, 4),
    (1, 352, 1),
)

# expansion, groups
_OPTIONS = {"e1": (1.0, 1), "e1_g2": (1.0, 2), "e3": (3.0, 1), "e6": (6.0, 1)}

_BLOCKS = {
    **{
        f"k{kernel}_{name}": BlockVariant(kernel_size=kernel, expansion=expansion, groups=groups)
        for kernel in (3, 5)
        for name, (expansion, groups) in _OPTIONS.items()
    },
    "skip": BlockVariant(operator=Operator.IDENTITY),
}

FBNET = SearchSpace(
    name="fbnet",
    description="22 blocks, each one of eight MBConvs or skipped",
    stages=tuple(
        StageSpace(
            name=f"stage{i}",
            stride=stride,
            channels=channels,
            repeats=repeats,
            per_block=True,
            block=_BLOCKS,
            activation=Activation.RELU,
            keep_expansion=True,
        )
        for i, (stride, channels, repeats) in enumerate(_STAGES, start=1)
    ),
    stem_channels=16,
    stem_activation=Activation.RELU,
    head_channels=1984,
    head_activation=Activation.RELU,
)
