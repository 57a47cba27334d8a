"""The parts of a network: operators, blocks, stem and head, each checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from search_spaces.errors import InvalidArchitectureError
from search_spaces.plain import PlainError, short

MAX_CHANNELS = 65_536


class Operator(StrEnum):
    """What a block computes, in the order of its layers (every convolution but the last has
    batch-norm and the block's activation; `project` has batch-norm only).

    - conv: k x k convolution, batch-norm, activation; squeeze-excitation after it.
    - separable: k x k depthwise, squeeze-excitation, 1x1 project (an MBConv of expansion 1).
    - mbconv: 1x1 expand, k x k depthwise, squeeze-excitation, 1x1 project.
    - fused_mbconv: k x k expand, squeeze-excitation, 1x1 project.
    - identity: nothing.
    """

    CONV = "conv"
    SEPARABLE = "separable"
    MBCONV = "mbconv"
    FUSED_MBCONV = "fused_mbconv"
    IDENTITY = "identity"


class Activation(StrEnum):
    """An activation function; hard_swish is x * relu6(x + 3) / 6."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    SILU = "silu"
    HARD_SWISH = "hard_swish"


class Gate(StrEnum):
    """The gate of a squeeze-excitation; hard_sigmoid is relu6(x + 3) / 6."""

    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"


class Skip(StrEnum):
    """What is added to a block's output.

    identity: its input, where the shape stays. pool: its input after a 3x3 average at the
    block's stride, on the channels that both have (no parameters). projection: its input,
    averaged over 2x2 pixels where the stride is 2 (on an odd size with a border of zeros on
    all sides), then through a 1x1 convolution without bias or batch-norm where the channels
    change (AttentiveNAS's shortcut layer).
    """

    NONE = "none"
    IDENTITY = "identity"
    POOL = "pool"
    PROJECTION = "projection"


class Padding(StrEnum):
    """torch: (k - 1) // 2 on all sides. same: TensorFlow's, uneven at stride 2 on even sizes."""

    TORCH = "torch"
    SAME = "same"


class InvalidFieldError(PlainError, InvalidArchitectureError):
    """A field of an architecture that breaks its rule; the message names the field."""


def check_members(part: object, **kinds: type[StrEnum]) -> None:
    """Hold enum members where their plain text was given; refuse any other value."""
    for name, kind in kinds.items():
        value = getattr(part, name)
        if type(value) is kind:
            continue
        allowed = [member.value for member in kind]
        if value not in allowed:
            raise InvalidFieldError(
                name, f"must be one of {', '.join(map(repr, allowed))}, but got {short(value)}."
            )
        object.__setattr__(part, name, kind(value))


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InvalidFieldError(
            name, f"must be a whole number from {low} to {high}, but got {short(value)}."
        )


def check_share(name: str, value: Any) -> None:
    if type(value) is not float or not 0.0 <= value < 1.0:
        raise InvalidFieldError(name, f"must be from 0.0 to below 1.0, but got {short(value)}.")


def check_kernel(value: Any) -> None:
    if type(value) is not int or value not in (1, 3, 5, 7, 9, 11):
        raise InvalidFieldError(
            "kernel_size", f"must be odd, from 1 to 11, but got {short(value)}."
        )


def check_stride(value: Any) -> None:
    if type(value) is not int or value not in (1, 2):
        raise InvalidFieldError("stride", f"must be 1 or 2, but got {short(value)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeExcitation:
    """Pool, 1x1 to `channels`, activation, 1x1 back, gate; both 1x1 layers have a bias."""

    channels: int
    activation: Activation = Activation.SILU
    gate: Gate = Gate.SIGMOID

    def __post_init__(self) -> None:
        check_whole("channels", self.channels, 1, MAX_CHANNELS)
        check_members(self, activation=Activation, gate=Gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One conv, depthwise-separable, MBConv or Fused-MBConv unit; channels are resolved numbers.

    `groups` are those of every convolution of the block that is neither depthwise nor part of
    the squeeze-excitation (FBNet's `g2`); the channels are shuffled after a grouped expansion.
    `pointwise_activation` puts an activation after the projection of a separable block
    (MobileNetV1).
    """

    operator: Operator
    out_channels: int
    expanded_channels: int | None = None
    kernel_size: int = 3
    stride: int = 1
    groups: int = 1
    activation: Activation = Activation.SILU
    pointwise_activation: bool = False
    squeeze_excitation: SqueezeExcitation | None = None
    skip: Skip = Skip.NONE

    def __post_init__(self) -> None:
        check_whole("out_channels", self.out_channels, 1, MAX_CHANNELS)
        check_whole("groups", self.groups, 1, MAX_CHANNELS)
        check_kernel(self.kernel_size)
        check_stride(self.stride)
        check_members(self, operator=Operator, activation=Activation, skip=Skip)
        expands = self.operator in (Operator.MBCONV, Operator.FUSED_MBCONV)
        if expands:
            check_whole("expanded_channels", self.expanded_channels, 1, MAX_CHANNELS)
        elif self.expanded_channels is not None:
            object.__setattr__(self, "expanded_channels", None)
        has_pointwise = (
            self.operator is Operator.SEPARABLE and self.activation is not Activation.NONE
        )
        if self.pointwise_activation and not has_pointwise:
            object.__setattr__(self, "pointwise_activation", False)

    def inner_channels(self, in_channels: int) -> int:
        """Channels that the squeeze-excitation sees: the expanded ones, where there are any."""
        if self.operator is Operator.CONV:
            return self.out_channels
        return self.expanded_channels or in_channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first convolution, with batch-norm and activation."""

    channels: int
    kernel_size: int = 3
    stride: int = 2
    activation: Activation = Activation.SILU

    def __post_init__(self) -> None:
        check_whole("channels", self.channels, 1, MAX_CHANNELS)
        check_kernel(self.kernel_size)
        check_stride(self.stride)
        check_members(self, activation=Activation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What follows the last stage, up to the classifier.

    1x1 convolution to `channels` with batch-norm and activation (0: left out, MobileNetV1);
    global average pooling; a linear layer to `hidden_channels` with activation (0: left out;
    MobileNetV3 has one, with a bias; Once-for-all's and AttentiveNAS's have none); dropout;
    a linear classifier with bias.
    """

    channels: int = 0
    activation: Activation = Activation.SILU
    hidden_channels: int = 0
    hidden_bias: bool = True

    def __post_init__(self) -> None:
        check_whole("channels", self.channels, 0, MAX_CHANNELS)
        check_whole("hidden_channels", self.hidden_channels, 0, MAX_CHANNELS)
        check_members(self, activation=Activation)
        if not self.hidden_channels:
            object.__setattr__(self, "hidden_bias", True)
            if not self.channels:
                object.__setattr__(self, "activation", Activation.SILU)
