"""Networks in timm's grammar: `arch_def` strings and the arguments that rebuild the model.

timm's own rules shape what can be said (timm/models/_efficientnet_builder.py): expanded channels
are multiples of 8, a squeeze-excitation is a share of input or expanded channels, a stage
strides in its first block, and a depthwise block written `ir_..._e1` would get an expansion.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

from nas.errors import InvalidRequestError
from nas.models.timm_squeeze import SqueezeForm, expansion_text, find_squeeze_form
from search_spaces.architecture import (
    Activation,
    Architecture,
    Operator,
    Padding,
    PlacedBlock,
    Skip,
)
from search_spaces.plain import PlainError, from_plain, to_plain

ACTIVATION_TOKENS = {
    Activation.RELU: "re",
    Activation.RELU6: "r6",
    Activation.SILU: "sw",
    Activation.HARD_SWISH: "hs",
}
ACTIVATION_NAMES = {
    Activation.RELU: "relu",
    Activation.RELU6: "relu6",
    Activation.SILU: "swish",
    Activation.HARD_SWISH: "hard_swish",
}


@dataclass(frozen=True, kw_only=True)
class TimmModel:
    """A model of timm: its class (EfficientNet or MobileNetV3), `arch_def` and arguments.

    The arguments have timm's names; channels are never rounded or multiplied. `resolution` is no
    argument of the class, but the input that the network is meant for.
    """

    model_class: str
    arch_def: tuple[tuple[str, ...], ...]
    stem_size: int
    num_features: int
    act_layer: str
    squeeze: SqueezeForm
    resolution: int
    num_classes: int = 1000
    in_chans: int = 3
    stem_kernel_size: int = 3
    head_bias: bool = True
    output_stride: int = 32
    pad_type: str = ""
    bn_eps: float = 1e-5
    bn_momentum: float = 0.1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; defaults are left out."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read `to_dict`'s form; an unknown field or a wrong value is named with its place."""
        try:
            return from_plain(cls, data)
        except PlainError as error:
            raise InvalidRequestError(f"{error} It is read as a model of timm.") from None

    def to_python(self) -> str:
        """The code that rebuilds the model in timm, as `model`."""
        own = {
            "EfficientNet": ("stem_kernel_size", "output_stride"),
            "MobileNetV3": ("head_bias",),
        }[self.model_class]
        module = {"EfficientNet": "efficientnet", "MobileNetV3": "mobilenetv3"}[self.model_class]
        plain = ("num_classes", "in_chans", "stem_size", "num_features", "pad_type", "drop_rate",
                 "drop_path_rate", *own)  # fmt: skip
        stages = "".join(f"    {json.dumps(list(stage))},\n" for stage in self.arch_def)
        arguments = "".join(f"    {name}={getattr(self, name)!r},\n" for name in plain)
        return (
            "from functools import partial\n\n"
            "from timm.layers import get_act_layer\n"
            "from timm.models._efficientnet_blocks import SqueezeExcite\n"
            "from timm.models._efficientnet_builder import decode_arch_def, round_channels\n"
            f"from timm.models.{module} import {self.model_class}\n"
            "from torch import nn\n\n"
            f"arch_def = [\n{stages}]\n"
            f"model = {self.model_class}(\n"
            "    block_args=decode_arch_def(arch_def),\n"
            "    round_chs_fn=partial(round_channels, multiplier=0.0),\n"
            f"    act_layer=get_act_layer({self.act_layer!r}),\n"
            f"    norm_layer=partial(nn.BatchNorm2d, eps={self.bn_eps}, "
            f"momentum={self.bn_momentum}),\n"
            f"    se_layer={self.squeeze.to_python()},\n"
            f"{arguments})\n"
        )


def to_timm(architecture: Architecture) -> TimmModel:
    """Write a network in timm's grammar; `nas.models.timm_reader.from_timm` reads it back.

    Raises:
        InvalidRequestError: If the grammar cannot say it; the message names what.

    >>> from search_spaces.published import get_published
    >>> to_timm(get_published("efficientnet_b0")).arch_def[1]
    ('ir_r2_k3_s2_e6_c24_se0.25',)
    """
    head, stem, places = architecture.head, architecture.stem, list(architecture.walk())
    model_class = "MobileNetV3" if head.hidden_channels else "EfficientNet"
    _check_ends(architecture, model_class)
    for place in places:
        _check_block(place)
    squeeze = find_squeeze_form(places, from_expanded=model_class == "MobileNetV3")
    texts: list[list[tuple[str, str]]] = [[] for _ in architecture.stages]
    for place in places:
        texts[place.stage].append(_block_text(place, stem.activation, squeeze))
    strides = [stage.blocks[0].stride for stage in architecture.stages]
    arch_def = [tuple(_merged(*stage)) for stage in zip(texts, strides)]
    drop_path_rate = architecture.drop_connect
    if model_class == "MobileNetV3" and head.channels:
        arch_def.append((f"cn_r1_k1_s1_c{head.channels}",))
        # timm counts that convolution among the blocks that share the drop rate out
        drop_path_rate *= (len(places) + 1) / len(places)
    return TimmModel(
        model_class=model_class,
        arch_def=tuple(arch_def),
        stem_size=stem.channels,
        stem_kernel_size=stem.kernel_size,
        num_features=head.hidden_channels or head.channels,
        head_bias=head.hidden_bias,
        act_layer=ACTIVATION_NAMES[stem.activation],
        squeeze=squeeze,
        resolution=architecture.resolution,
        num_classes=architecture.num_classes,
        in_chans=architecture.input_channels,
        output_stride=max(32, _total_stride(architecture)),
        pad_type="same" if architecture.padding is Padding.SAME else "",
        bn_eps=architecture.batch_norm_eps,
        bn_momentum=architecture.batch_norm_momentum,
        drop_rate=architecture.dropout,
        drop_path_rate=drop_path_rate,
    )


def cannot_say(what: str) -> InvalidRequestError:
    """The refusal of something that the grammar has no word for."""
    return InvalidRequestError(
        f"timm's strings cannot express {what}; keep this project's JSON form for this network."
    )


def _total_stride(architecture: Architecture) -> int:
    first_blocks = (stage.blocks[0] for stage in architecture.stages)
    return math.prod((architecture.stem.stride, *(block.stride for block in first_blocks)))


def _check_ends(architecture: Architecture, model_class: str) -> None:
    stem, head = architecture.stem, architecture.head
    if stem.stride != 2:
        raise cannot_say("a stem of stride 1")
    if stem.activation is Activation.NONE:
        raise cannot_say("a stem without activation")
    if (head.channels or head.hidden_channels) and head.activation is not stem.activation:
        raise cannot_say("a head with another activation than the stem's")
    if model_class == "EfficientNet":
        return
    if stem.kernel_size != 3:
        raise cannot_say("a stem kernel other than 3 beside a hidden layer of the head")
    if _total_stride(architecture) > 32:
        raise cannot_say("a total stride above 32 beside a hidden layer of the head")
    last = architecture.stages[-1].blocks[-1]
    if not head.channels and last.operator is Operator.CONV and last.kernel_size == 1:
        raise cannot_say("a last block that is a 1x1 convolution before a hidden layer")


def _check_block(place: PlacedBlock) -> None:
    block, name = place.block, f"block {place.index + 1} of stage {place.stage + 1}"
    if block.skip not in (Skip.NONE, Skip.IDENTITY):
        raise cannot_say(f"the {block.skip.value} skip of {name}")
    if block.activation is Activation.NONE:
        raise cannot_say(f"the absent activation of {name}")
    if block.groups > 1 and block.operator is not Operator.CONV:
        raise cannot_say(f"the groups of {name}")
    if block.squeeze_excitation and block.operator is Operator.CONV:
        raise cannot_say(f"the squeeze-excitation of {name}, a plain convolution")
    if block.pointwise_activation and block.skip is Skip.IDENTITY:
        raise cannot_say(f"the skip of {name}, which has an activation after its projection")


def _block_text(place: PlacedBlock, default: Activation, squeeze: SqueezeForm) -> tuple[str, str]:
    """Type and tokens of one block, without repeats and stride."""
    block = place.block
    keeps_shape = block.stride == 1 and block.out_channels == place.in_channels
    tokens = [f"k{block.kernel_size}"]
    match block.operator:
        case Operator.CONV:
            kind = "cn"
        case Operator.SEPARABLE:
            kind = "dsa" if block.pointwise_activation else "ds"
        case operator:
            kind = "ir" if operator is Operator.MBCONV else "er"
            tokens.append(f"e{_expansion(place)}")
    tokens.append(f"c{block.out_channels}")
    if block.squeeze_excitation:
        tokens.append(f"se{squeeze.ratio_text(place)}")
    if block.activation is not default:
        tokens.append(f"n{ACTIVATION_TOKENS[block.activation]}")
    if kind == "cn":
        tokens += ["skip"] if block.skip is Skip.IDENTITY else []
        tokens += [f"gs{place.in_channels // block.groups}"] if block.groups > 1 else []
    elif kind != "dsa" and keeps_shape and block.skip is Skip.NONE:
        tokens.append("noskip")
    return kind, "_".join(tokens)


def _expansion(place: PlacedBlock) -> str:
    text = expansion_text(place.in_channels, place.block.expanded_channels or 0)
    if text is None:
        raise cannot_say(
            f"the {place.block.expanded_channels} expanded channels of block {place.index + 1} "
            f"of stage {place.stage + 1} (they are multiples of 8 there)"
        )
    return text


def _merged(texts: list[tuple[str, str]], stride: int) -> Iterator[str]:
    """Equal blocks in sequence as one string; kernel first, as timm writes them."""
    for (kind, tokens), equal in groupby(texts):
        kernel, rest = tokens.split("_", 1)
        yield f"{kind}_r{len(list(equal))}_{kernel}_s{stride}_{rest}"
        stride = 1
