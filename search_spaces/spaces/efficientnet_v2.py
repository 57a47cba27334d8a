"""EfficientNetV2's search (arXiv 2104.00298, section 3.3) around EfficientNetV2-S.

By stage: MBConv or Fused-MBConv, kernel, expansion, number of layers. Skips and channels are no
decisions: the paper takes them over. Squeeze-excitation belongs to MBConv alone. The paper does
not print its numbers of layers; here they are those of S, one or two more or fewer.
"""

from search_spaces.architecture import Operator
from search_spaces.space import BlockVariant, SearchSpace, StageSpace

# stride, channels, layers of S (google/automl, efficientnetv2/effnetv2_configs.py)
_V2_S = ((1, 24, 2), (2, 48, 4), (2, 64, 4), (2, 128, 6), (1, 160, 9), (2, 256, 15))

_BLOCKS = {
    "mbconv": BlockVariant(operator=Operator.MBCONV, se_ratio=0.25),
    "fused": BlockVariant(operator=Operator.FUSED_MBCONV, se_ratio=0.0),
}

EFFICIENTNET_V2 = SearchSpace(
    name="efficientnet_v2",
    description="EfficientNetV2-S's six stages: operator, kernel, expansion and layers",
    stages=tuple(
        StageSpace(
            name=f"stage{i}",
            stride=stride,
            channels=channels,
            repeats=repeats,
            repeats_change=(-2, -1, 0, 1, 2),
            block=_BLOCKS,
            kernel_size=(3, 5),
            expansion=(1.0, 4.0, 6.0),
        )
        for i, (stride, channels, repeats) in enumerate(_V2_S, start=1)
    ),
    resolution=384,
    stem_channels=24,
    dropout=0.2,
    drop_connect=0.2,
    batch_norm_eps=1e-3,
)
