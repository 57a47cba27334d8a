"""NAS-Bench-Macro (arXiv 2103.11922): eight blocks, three options each, all 6,561 trained.

The benchmark names a network by eight digits, one a block: 0 identity (a 1x1 convolution with
batch-norm where the shape changes), 1 MBConv3 3x3, 2 MBConv6 5x5.
Source: xiusu/NAS-Bench-Macro, train/model.py.
"""

from search_spaces.architecture import Activation, Operator
from search_spaces.errors import InvalidSpaceError
from search_spaces.plain import short
from search_spaces.space import BlockVariant, Choices, Option, SearchSpace, StageSpace

_BLOCKS = {
    "identity": BlockVariant(operator=Operator.IDENTITY, activation=Activation.NONE),
    "mbconv3_3x3": BlockVariant(kernel_size=3, expansion=3.0),
    "mbconv6_5x5": BlockVariant(kernel_size=5, expansion=6.0),
}

NAS_BENCH_MACRO = SearchSpace(
    name="nas_bench_macro",
    description="eight blocks for 32x32 inputs: identity or one of two MBConvs",
    stages=tuple(
        StageSpace(
            name=f"stage{i}",
            stride=2,
            channels=channels,
            repeats=repeats,
            per_block=True,
            block=_BLOCKS,
            activation=Activation.RELU,
        )
        for i, (channels, repeats) in enumerate(((64, 2), (128, 3), (256, 3)), start=1)
    ),
    resolution=32,
    stem_channels=32,
    stem_stride=1,
    stem_activation=Activation.RELU,
    head_channels=1280,
    head_activation=Activation.RELU,
    num_classes=10,
)


def macro_choices(digits: str) -> dict[str, Option]:
    """The answers that one of the benchmark's names means.

    >>> list(macro_choices("02100001").values())[:3]
    ['identity', 'mbconv6_5x5', 'mbconv3_3x3']

    Raises:
        InvalidSpaceError: If it is not eight digits from 0 to 2.
    """
    decisions = NAS_BENCH_MACRO.decisions
    if len(digits) != len(decisions) or not set(digits) <= set("012"):
        raise InvalidSpaceError(
            f"A NAS-Bench-Macro name must be eight digits from 0 to 2, but got {short(digits)}."
        )
    return {d.name: d.options[int(digit)] for d, digit in zip(decisions, digits)}


def macro_name(choices: Choices) -> str:
    """The benchmark's name for these answers.

    >>> macro_name(macro_choices("02100001"))
    '02100001'
    """
    return "".join(str(d.options.index(choices[d.name])) for d in NAS_BENCH_MACRO.decisions)
