"""AttentiveNAS's space, which AlphaNet shares (arXiv 2011.09011, 2102.07954), and its A0 to A6.

Choices are made by stage. Every block has a shortcut: an identity, or an average and a 1x1
convolution where the shape changes. The head expands the last stage six times.

Source: facebookresearch/AttentiveNAS, configs/eval_attentive_nas_models.yml and models/.
"""

from search_spaces.architecture import Activation, Gate, Skip
from search_spaces.space import Option, SearchSpace, SqueezeRule, StageSpace

# channels, depths, kernels, expansions, stride, share of squeeze-excitation
_STAGES: tuple[
    tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], float | tuple[float, ...], int, float],
    ...,
] = (
    ((16, 24), (1, 2), (3, 5), 1.0, 1, 0.0),
    ((24, 32), (3, 4, 5), (3, 5), (4.0, 5.0, 6.0), 2, 0.0),
    ((32, 40), (3, 4, 5, 6), (3, 5), (4.0, 5.0, 6.0), 2, 0.25),
    ((64, 72), (3, 4, 5, 6), (3, 5), (4.0, 5.0, 6.0), 2, 0.0),
    ((112, 120, 128), (3, 4, 5, 6, 7, 8), (3, 5), (4.0, 5.0, 6.0), 1, 0.25),
    ((192, 200, 208, 216), (3, 4, 5, 6, 7, 8), (3, 5), 6.0, 2, 0.25),
    ((216, 224), (1, 2), (3, 5), 6.0, 1, 0.25),
)

ATTENTIVE_NAS = SearchSpace(
    name="attentive_nas",
    description="seven stages with elastic channels, depth, kernel, expansion and resolution",
    stages=tuple(
        StageSpace(
            name=f"mb{i}",
            stride=stride,
            channels=channels,
            repeats=depths,
            kernel_size=kernels,
            expansion=expansions,
            se_ratio=se_ratio,
            skip=Skip.PROJECTION,
        )
        for i, (channels, depths, kernels, expansions, stride, se_ratio) in enumerate(
            _STAGES, start=1
        )
    ),
    resolution=(192, 224, 256, 288),
    stem_channels=(16, 24),
    head_expansion=6.0,
    head_hidden_channels=(1792, 1984),
    head_hidden_bias=False,
    squeeze=SqueezeRule(
        of="expanded", divisor=8, activation=Activation.RELU, gate=Gate.HARD_SIGMOID
    ),
    dropout=0.2,
    drop_connect=0.2,
)

# name: resolution; stem, stages' and head's channels; kernels; expansions; depths
_MODELS = {
    "a0": (
        192,
        (16, 16, 24, 32, 64, 112, 192, 216, 1792),
        (3, 3, 3, 3, 3, 3, 3),
        (1, 4, 4, 4, 4, 6, 6),
        (1, 3, 3, 3, 3, 3, 1),
    ),
    "a1": (
        224,
        (16, 16, 24, 32, 64, 112, 192, 216, 1984),
        (3, 3, 3, 5, 3, 5, 3),
        (1, 4, 4, 4, 4, 6, 6),
        (1, 3, 3, 3, 3, 3, 1),
    ),
    "a2": (
        224,
        (16, 16, 24, 32, 64, 112, 200, 224, 1984),
        (3, 3, 3, 3, 3, 5, 3),
        (1, 4, 5, 4, 4, 6, 6),
        (1, 3, 3, 3, 3, 4, 1),
    ),
    "a3": (
        224,
        (16, 16, 24, 32, 64, 112, 208, 224, 1984),
        (3, 3, 3, 5, 3, 3, 3),
        (1, 4, 4, 4, 4, 6, 6),
        (2, 3, 3, 4, 3, 5, 1),
    ),
    "a4": (
        256,
        (16, 16, 24, 32, 64, 112, 192, 216, 1984),
        (3, 3, 3, 5, 3, 5, 3),
        (1, 4, 4, 5, 4, 6, 6),
        (1, 3, 3, 4, 3, 5, 1),
    ),
    "a5": (
        256,
        (16, 16, 24, 32, 72, 112, 192, 216, 1792),
        (3, 3, 3, 5, 3, 3, 3),
        (1, 4, 5, 4, 4, 6, 6),
        (1, 3, 3, 3, 4, 6, 1),
    ),
    "a6": (
        288,
        (16, 16, 24, 32, 64, 112, 216, 224, 1984),
        (3, 3, 3, 3, 3, 5, 3),
        (1, 4, 6, 5, 4, 6, 6),
        (1, 3, 3, 4, 4, 6, 1),
    ),
}

MODEL_NAMES = tuple(_MODELS)


def attentive_nas_choices(name: str) -> dict[str, Option]:
    """The answers that give one of the paper's networks, `a0` to `a6`.

    >>> ATTENTIVE_NAS.decode(attentive_nas_choices("a0")).head.hidden_channels
    1792
    """
    resolution, channels, kernels, expansions, depths = _MODELS[name]
    stem, *stages, hidden = channels
    choices: dict[str, Option] = {
        "resolution": resolution,
        "stem_channels": stem,
        "head_hidden_channels": hidden,
    }
    for i, values in enumerate(zip(stages, depths, kernels, expansions), start=1):
        fields = ("channels", "repeats", "kernel_size", "expansion")
        choices |= {f"mb{i}.{field}": value for field, value in zip(fields, values)}
    asked = {d.name: d.options for d in ATTENTIVE_NAS.decisions}
    return {name: choices[name] for name in asked}
