"""ProxylessNAS (arXiv 1812.00332): every block of MobileNetV2's skeleton decides on its own.

Six MBConvs, and none at all where the shape stays: 6^6 * 7^15, about 2.2e17.
"""

from search_spaces.architecture import Activation, Operator, Skip
from search_spaces.space import BlockVariant, SearchSpace, StageSpace

# stride, channels, blocks
_STAGES = ((2, 32, 4), (2, 40, 4), (2, 80, 4), (1, 96, 4), (2, 192, 4), (1, 320, 1))

_BLOCKS = {
    **{
        f"mbconv{expansion}_{kernel}x{kernel}": BlockVariant(
            kernel_size=kernel, expansion=float(expansion)
        )
        for kernel in (3, 5, 7)
        for expansion in (3, 6)
    },
    "zero": BlockVariant(operator=Operator.IDENTITY),
}

_FIRST = StageSpace(
    name="stage1",
    channels=16,
    operator=Operator.SEPARABLE,
    skip=Skip.NONE,
    activation=Activation.RELU6,
)

PROXYLESS_NAS = SearchSpace(
    name="proxyless_nas",
    description="21 blocks, each an MBConv of its own kernel and expansion, or left out",
    stages=(
        _FIRST,
        *(
            StageSpace(
                name=f"stage{i}",
                stride=stride,
                channels=channels,
                repeats=repeats,
                per_block=True,
                block=_BLOCKS,
                activation=Activation.RELU6,
                exclude_identity=True,
            )
            for i, (stride, channels, repeats) in enumerate(_STAGES, start=2)
        ),
    ),
    stem_channels=32,
    stem_activation=Activation.RELU6,
    head_channels=1280,
    head_activation=Activation.RELU6,
    batch_norm_eps=1e-3,
)
