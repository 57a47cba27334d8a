"""BigNAS's space (arXiv 2003.11142): EfficientNet-B0's stages with elastic everything.

Channels go in steps of 8. The paper's table was not at hand: the numbers are as quoted by
others, so check them before you publish a comparison.
"""

from search_spaces.architecture import Operator
from search_spaces.space import SearchSpace, StageSpace

# stride, channels from and to, depth from and to, kernels, expansion
_STAGES = (
    (1, (16, 24), (1, 2), (3,), 1.0),
    (2, (24, 32), (2, 3), (3,), 6.0),
    (2, (40, 48), (2, 3), (3, 5), 6.0),
    (2, (80, 88), (2, 4), (3, 5), 6.0),
    (1, (112, 128), (2, 6), (3, 5), 6.0),
    (2, (192, 216), (2, 6), (3, 5), 6.0),
    (1, (320, 352), (1, 2), (3, 5), 6.0),
)


def _from_to(bounds: tuple[int, int], step: int = 1) -> tuple[int, ...]:
    return tuple(range(bounds[0], bounds[1] + 1, step))


BIGNAS = SearchSpace(
    name="bignas",
    description="B0's seven stages with elastic channels, depth, kernel and resolution",
    stages=tuple(
        StageSpace(
            name=f"stage{i}",
            stride=stride,
            channels=_from_to(channels, 8),
            repeats=_from_to(depths),
            kernel_size=kernels,
            operator=Operator.MBCONV,
            expansion=expansion,
            se_ratio=0.25,
        )
        for i, (stride, channels, depths, kernels, expansion) in enumerate(_STAGES, start=1)
    ),
    resolution=(192, 224, 288, 320),
    stem_channels=_from_to((32, 40), 8),
    head_channels=_from_to((1280, 1408), 8),
    dropout=0.2,
    drop_connect=0.2,
    batch_norm_eps=1e-3,
    batch_norm_momentum=0.01,
)
