"""Once-for-all's MobileNetV3 space (arXiv 1908.09791; mit-han-lab/once-for-all, ofa_mbv3.py).

Each of five stages has 2 to 4 blocks, each block its own kernel and expansion: (9^2 + 9^3 +
9^4)^5, about 2.2e19, at each of 25 resolutions. The blocks left out are the last of a stage.
"""

from search_spaces.architecture import Activation, Gate, Operator
from search_spaces.space import SearchSpace, SqueezeRule, StageSpace

# stride, channels, share of squeeze-excitation, activation
_STAGES = (
    (2, 24, 0.0, Activation.RELU),
    (2, 40, 0.25, Activation.RELU),
    (2, 80, 0.0, Activation.HARD_SWISH),
    (1, 112, 0.25, Activation.HARD_SWISH),
    (2, 160, 0.25, Activation.HARD_SWISH),
)

_FIRST = StageSpace(
    name="stage1", channels=16, operator=Operator.SEPARABLE, activation=Activation.RELU
)

ONCE_FOR_ALL = SearchSpace(
    name="once_for_all",
    description="MobileNetV3 with elastic depth, kernel, expansion and resolution",
    stages=(
        _FIRST,
        *(
            StageSpace(
                name=f"stage{i}",
                stride=stride,
                channels=channels,
                repeats=(2, 3, 4),
                per_block=True,
                kernel_size=(3, 5, 7),
                expansion=(3.0, 4.0, 6.0),
                se_ratio=se_ratio,
                activation=activation,
            )
            for i, (stride, channels, se_ratio, activation) in enumerate(_STAGES, start=2)
        ),
    ),
    resolution=tuple(range(128, 225, 4)),
    stem_channels=16,
    stem_activation=Activation.HARD_SWISH,
    head_channels=960,
    head_hidden_channels=1280,
    head_hidden_bias=False,
    head_activation=Activation.HARD_SWISH,
    squeeze=SqueezeRule(
        of="expanded", divisor=8, activation=Activation.RELU, gate=Gate.HARD_SIGMOID
    ),
    dropout=0.1,
)
