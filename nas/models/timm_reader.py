"""timm's strings read back to an architecture; `timm_strings` writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas.errors import InvalidRequestError
from nas.models.timm_squeeze import SqueezeForm
from nas.models.timm_strings import ACTIVATION_NAMES, ACTIVATION_TOKENS, TimmModel
from search_spaces.architecture import (
    MAX_BLOCKS,
    Activation,
    Architecture,
    Block,
    Head,
    Operator,
    Padding,
    Skip,
    Stage,
    Stem,
)
from search_spaces.channels import make_divisible

_OPERATORS = {
    "cn": Operator.CONV,
    "ds": Operator.SEPARABLE,
    "dsa": Operator.SEPARABLE,
    "ir": Operator.MBCONV,
    "er": Operator.FUSED_MBCONV,
}
_TOKEN = re.compile(
    r"(?P<whole>gs|[rksc])(?P<count>\d{1,6})"
    r"|(?P<share>se|e)(?P<ratio>\d{1,6}(\.\d{1,20})?(e-\d{1,2})?)"
    r"|n(?P<activation>re|r6|sw|hs)"
    r"|(?P<skip>noskip|skip)"
)
_ACTIVATION_OF_TOKEN = {token: activation for activation, token in ACTIVATION_TOKENS.items()}
_ACTIVATION_OF_NAME = {name: activation for activation, name in ACTIVATION_NAMES.items()}


@dataclass(frozen=True, kw_only=True)
class _Words:
    """One string, taken apart."""

    kind: str
    repeats: int
    kernel_size: int
    stride: int
    channels: int
    expansion: float = 1.0
    se_ratio: float = 0.0
    group_size: int = 0
    activation: Activation | None = None
    skip: bool | None = None


def from_timm(model: TimmModel) -> Architecture:
    """Read a network from timm's grammar.

    Raises:
        InvalidRequestError: If a string has a type or a token with no counterpart here.

    >>> from nas.models.timm_strings import to_timm
    >>> from search_spaces.published import get_published
    >>> b0 = get_published("efficientnet_b0")
    >>> from_timm(to_timm(b0)) == b0
    True
    """
    if model.act_layer not in _ACTIVATION_OF_NAME:
        known = ", ".join(_ACTIVATION_OF_NAME)
        raise InvalidRequestError(
            f"`act_layer` must be one of {known}, but got {model.act_layer!r}."
        )
    activation = _ACTIVATION_OF_NAME[model.act_layer]
    if not model.arch_def or not all(model.arch_def):
        raise InvalidRequestError("`arch_def` must hold stages of strings, but one is empty.")
    stages = [[_parse(text) for text in stage] for stage in model.arch_def]
    head, drop_connect = (
        Head(channels=model.num_features, activation=activation),
        model.drop_path_rate,
    )
    if model.model_class == "MobileNetV3":
        channels = 0
        if _is_head(stages[-1]):
            channels = stages.pop()[0].channels
            blocks = sum(words.repeats for stage in stages for words in stage)
            # undoes the writer's factor; the digits beyond are a float's noise
            drop_connect = round(drop_connect * blocks / (blocks + 1), 12)
        head = Head(
            channels=channels,
            activation=activation,
            hidden_channels=model.num_features,
            hidden_bias=model.head_bias,
        )
    return Architecture(
        stem=Stem(
            channels=model.stem_size, kernel_size=model.stem_kernel_size, activation=activation
        ),
        stages=_stages(stages, model.stem_size, activation, model.squeeze),
        head=head,
        resolution=model.resolution,
        input_channels=model.in_chans,
        num_classes=model.num_classes,
        dropout=model.drop_rate,
        drop_connect=drop_connect,
        batch_norm_eps=model.bn_eps,
        batch_norm_momentum=model.bn_momentum,
        padding=Padding.SAME if model.pad_type == "same" else Padding.TORCH,
    )


def _is_head(stage: list[_Words]) -> bool:
    """Whether a last stage is the 1x1 convolution of a MobileNetV3 head."""
    first = stage[0]
    plain = _Words(kind="cn", repeats=1, kernel_size=1, stride=1, channels=first.channels)
    return stage == [plain]


def _parse(text: str) -> _Words:
    kind, *tokens = text.split("_")
    if kind not in _OPERATORS:
        known = ", ".join(_OPERATORS)
        raise InvalidRequestError(f"The type of {text!r} must be one of {known}, but got {kind!r}.")
    wholes: dict[str, int] = {}
    ratios: dict[str, float] = {}
    activation, skip = None, None
    for token in tokens:
        match = _TOKEN.fullmatch(token)
        if not match:
            raise InvalidRequestError(f"The token {token!r} of {text!r} has no counterpart here.")
        if match["whole"]:
            wholes[match["whole"]] = int(match["count"])
        elif match["share"]:
            ratios[match["share"]] = float(match["ratio"])
        elif match["activation"]:
            activation = _ACTIVATION_OF_TOKEN[match["activation"]]
        else:
            skip = match["skip"] == "skip"
    expands = kind in ("ir", "er")
    for key in "rksce" if expands else "rksc":
        if key not in wholes and key not in ratios:
            raise InvalidRequestError(f"{text!r} must have a token {key!r}, but has none.")
    if not 1 <= wholes["r"] <= MAX_BLOCKS:
        raise InvalidRequestError(
            f"The repeats of {text!r} must be from 1 to {MAX_BLOCKS}, but got {wholes['r']}."
        )
    if "gs" in wholes and kind != "cn":
        raise InvalidRequestError(f"The token 'gs' of {text!r} has no counterpart here.")
    return _Words(
        kind=kind,
        repeats=wholes["r"],
        kernel_size=wholes["k"],
        stride=wholes["s"],
        channels=wholes["c"],
        # timm ignores it on ds and cn
        expansion=ratios["e"] if expands else 1.0,
        se_ratio=ratios.get("se", 0.0),
        group_size=wholes.get("gs", 0),
        activation=activation,
        skip=skip,
    )


def _stages(
    stages: list[list[_Words]], in_channels: int, default: Activation, squeeze: SqueezeForm
) -> tuple[Stage, ...]:
    built = []
    for stage in stages:
        blocks: list[Block] = []
        for words in stage:
            for _ in range(words.repeats):
                # only the first block of a stage strides
                stride = 1 if blocks else words.stride
                blocks.append(_block(words, in_channels, stride, default, squeeze))
                in_channels = words.channels
        built.append(Stage(blocks=tuple(blocks)))
    return tuple(built)


def _block(
    words: _Words, in_channels: int, stride: int, default: Activation, squeeze: SqueezeForm
) -> Block:
    operator, activation = _OPERATORS[words.kind], words.activation or default
    expanded = make_divisible(in_channels * words.expansion)
    expands = operator in (Operator.MBCONV, Operator.FUSED_MBCONV)
    inner = expanded if expands else in_channels
    excited = words.se_ratio and operator is not Operator.CONV
    skips = words.skip is True if words.kind == "cn" else words.skip is not False
    return Block(
        operator=operator,
        out_channels=words.channels,
        expanded_channels=expanded if expands else None,
        kernel_size=words.kernel_size,
        stride=stride,
        groups=in_channels // words.group_size if words.group_size else 1,
        activation=activation,
        pointwise_activation=words.kind == "dsa",
        squeeze_excitation=(
            squeeze.read(words.se_ratio, inner, words.expansion, activation) if excited else None
        ),
        skip=Skip.IDENTITY if skips and words.kind != "dsa" else Skip.NONE,
    )
