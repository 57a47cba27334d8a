"""The MnasNet decisions for inputs of 8 to 64 pixels: three stages, few strides, small widths."""

from search_spaces.architecture import Operator, Skip
from search_spaces.space import BlockVariant, SearchSpace, StageSpace

_BLOCKS = {
    "conv": BlockVariant(operator=Operator.CONV),
    "mbconv1": BlockVariant(operator=Operator.MBCONV, expansion=1.0),
    "mbconv3": BlockVariant(operator=Operator.MBCONV, expansion=3.0),
    "mbconv6": BlockVariant(operator=Operator.MBCONV, expansion=6.0),
}

SMALL_IMAGES = SearchSpace(
    name="small_images",
    description="three stages with two strides, for inputs of 8 to 64 pixels",
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
        for name, stride, channels, repeats in (
            ("stage1", 1, 16, 1),
            ("stage2", 2, 32, 2),
            ("stage3", 2, 64, 2),
        )
    ),
    stem_channels=16,
    stem_stride=1,
    head_channels=128,
    resolution=32,
    dropout=0.1,
    drop_connect=0.1,
    batch_norm_eps=1e-3,
)
