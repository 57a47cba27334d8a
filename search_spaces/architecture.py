"""The genotype: one network as plain frozen data, independent of any weights.

Everything is a resolved integer (expanded channels, squeezed channels), never a ratio that a
rule must be known to read. What has no effect is put into one form when an architecture is
made, so that equal networks are equal here and have equal fingerprints:

- identity blocks are dropped (they have no layers);
- an identity skip is none where the block changes the shape;
- expanded channels, an activation after the pointwise layer and the like are cleared on
  operators that don't have them;
- drop-connect is 0 where no block has a skip, and the padding is torch's where nothing strides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from search_spaces.errors import InvalidArchitectureError
from search_spaces.plain import PlainError, from_plain, to_plain

FORMAT_VERSION = 1
MAX_CHANNELS = 65_536
MAX_RESOLUTION = 8_192
MAX_CLASSES = 10_000_000
MAX_BLOCKS = 1_000


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
    block's stride, on the channels that both have (no parameters).
    """

    NONE = "none"
    IDENTITY = "identity"
    POOL = "pool"


class Padding(StrEnum):
    """torch: (k - 1) // 2 on all sides. same: TensorFlow's, uneven at stride 2 on even sizes."""

    TORCH = "torch"
    SAME = "same"


class InvalidFieldError(PlainError, InvalidArchitectureError):
    """A field of an architecture that breaks its rule; the message names the field."""


def _whole(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InvalidFieldError(
            name, f"must be a whole number from {low} to {high}, but got {value!r}."
        )


def _share(name: str, value: Any) -> None:
    if type(value) is not float or not 0.0 <= value < 1.0:
        raise InvalidFieldError(name, f"must be from 0.0 to below 1.0, but got {value!r}.")


def _kernel(value: Any) -> None:
    if type(value) is not int or value not in (1, 3, 5, 7, 9, 11):
        raise InvalidFieldError("kernel_size", f"must be odd, from 1 to 11, but got {value!r}.")


def _stride(value: Any) -> None:
    if type(value) is not int or value not in (1, 2):
        raise InvalidFieldError("stride", f"must be 1 or 2, but got {value!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeExcitation:
    """Pool, 1x1 to `channels`, activation, 1x1 back, gate; both 1x1 layers have a bias."""

    channels: int
    activation: Activation = Activation.SILU
    gate: Gate = Gate.SIGMOID

    def __post_init__(self) -> None:
        _whole("channels", self.channels, 1, MAX_CHANNELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One conv, depthwise-separable, MBConv or Fused-MBConv unit; channels are resolved numbers.

    `groups` are those of the k x k layer of a conv block and of the 1x1 layers of the others
    (FBNet's `g2`, with a channel shuffle after the expansion); a depthwise layer stays depthwise.
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
        _whole("out_channels", self.out_channels, 1, MAX_CHANNELS)
        _whole("groups", self.groups, 1, MAX_CHANNELS)
        _kernel(self.kernel_size)
        _stride(self.stride)
        expands = self.operator in (Operator.MBCONV, Operator.FUSED_MBCONV)
        if expands:
            _whole("expanded_channels", self.expanded_channels, 1, MAX_CHANNELS)
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
class Stage:
    """Consecutive blocks at one output resolution, together scaled in depth and width."""

    blocks: tuple[Block, ...]

    @property
    def out_channels(self) -> int:
        return self.blocks[-1].out_channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first convolution, with batch-norm and activation."""

    channels: int
    kernel_size: int = 3
    stride: int = 2
    activation: Activation = Activation.SILU

    def __post_init__(self) -> None:
        _whole("channels", self.channels, 1, MAX_CHANNELS)
        _kernel(self.kernel_size)
        _stride(self.stride)


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
        _whole("channels", self.channels, 0, MAX_CHANNELS)
        _whole("hidden_channels", self.hidden_channels, 0, MAX_CHANNELS)
        if not self.hidden_channels:
            object.__setattr__(self, "hidden_bias", True)
            if not self.channels:
                object.__setattr__(self, "activation", Activation.SILU)


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """A block with where it stands: its stage, its place there, and its shapes (pixels a side)."""

    stage: int
    index: int
    block: Block
    in_channels: int
    in_size: int
    out_size: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network: stem, stages, head, and what it reads and answers.

    Args:
        resolution: Side of the square input, in pixels.
        input_channels: 1 for grey, 3 for RGB.
        num_classes: Outputs of the classifier.
        dropout: Share dropped before the classifier, in training only.
        drop_connect: Share of the last block dropped in training; it grows linearly from 0 at
            the first block, as in EfficientNet (block i of N has `drop_connect * i / N`).
        batch_norm_eps, batch_norm_momentum: As torch defines them (TensorFlow's momentum
            0.99 is 0.01 here).

    Raises:
        InvalidArchitectureError: If a field breaks its rule, or blocks don't fit together.

    >>> block = Block(operator=Operator.SEPARABLE, out_channels=16, skip=Skip.IDENTITY)
    >>> tiny = Architecture(stem=Stem(channels=8), stages=(Stage(blocks=(block,)),), resolution=32)
    >>> tiny.stages[0].blocks[0].skip.value    # 8 to 16 channels: there is nothing to add
    'none'
    >>> Architecture.from_json(tiny.to_json()) == tiny
    True
    """

    stem: Stem
    stages: tuple[Stage, ...]
    head: Head = Head()
    resolution: int = 224
    input_channels: int = 3
    num_classes: int = 1000
    dropout: float = 0.0
    drop_connect: float = 0.0
    batch_norm_eps: float = 1e-5
    batch_norm_momentum: float = 0.1
    padding: Padding = Padding.TORCH

    def __post_init__(self) -> None:
        _whole("resolution", self.resolution, 1, MAX_RESOLUTION)
        _whole("input_channels", self.input_channels, 1, 64)
        _whole("num_classes", self.num_classes, 1, MAX_CLASSES)
        _share("dropout", self.dropout)
        _share("drop_connect", self.drop_connect)
        for name in ("batch_norm_eps", "batch_norm_momentum"):
            value = getattr(self, name)
            if type(value) is not float or not 0.0 < value <= 1.0:
                raise InvalidFieldError(name, f"must be above 0.0, up to 1.0, but got {value!r}.")
        object.__setattr__(self, "stages", _chain(self.stem.channels, self.stages))
        blocks = [block for stage in self.stages for block in stage.blocks]
        if all(block.skip is Skip.NONE for block in blocks):
            object.__setattr__(self, "drop_connect", 0.0)
        convolutions: list[Stem | Block] = [self.stem, *blocks]
        if all(part.stride == 1 or part.kernel_size == 1 for part in convolutions):
            object.__setattr__(self, "padding", Padding.TORCH)

    def walk(self) -> Iterator[PlacedBlock]:
        """Go through the blocks in order, with the shapes that each sees."""
        channels, size = self.stem.channels, strided(self.resolution, self.stem.stride)
        for s, stage in enumerate(self.stages):
            for b, block in enumerate(stage.blocks):
                out_size = strided(size, block.stride)
                yield PlacedBlock(s, b, block, channels, size, out_size)
                channels, size = block.out_channels, out_size

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits, the same in every run, process and Python version."""
        return _digest(self.to_dict())

    @cached_property
    def body_fingerprint(self) -> str:
        """The same, of what does not depend on the task: without resolution, input channels
        and classes. Transfer, warm starts and weight sharing go by it."""
        task = ("resolution", "input_channels", "num_classes")
        return _digest({k: v for k, v in self.to_dict().items() if k not in task})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the version of the format; defaults are left out."""
        return {"version": FORMAT_VERSION, **to_plain(self)}

    def to_json(self, indent: int | None = None) -> str:
        """The canonical JSON form: sorted keys, no spaces unless `indent` asks for them."""
        separators = (",", ": ") if indent else (",", ":")
        return json.dumps(self.to_dict(), sort_keys=True, separators=separators, indent=indent)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read `to_dict`'s form; an unknown field or a wrong value is named with its place."""
        if not isinstance(data, Mapping):
            raise InvalidArchitectureError(
                f"An architecture must be a mapping, but got {type(data).__name__}."
            )
        version = data.get("version", FORMAT_VERSION)
        if type(version) is not int or version != FORMAT_VERSION:
            raise InvalidArchitectureError(
                f"`version` must be {FORMAT_VERSION}, but got {version!r}. Update this package."
            )
        try:
            return from_plain(cls, {k: v for k, v in data.items() if k != "version"})
        except InvalidArchitectureError:
            raise
        except PlainError as error:
            raise InvalidFieldError(error.path, error.problem) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json`'s form."""
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidArchitectureError(
                f"An architecture must be JSON, but got: {error}"
            ) from None
        return cls.from_dict(data)


def strided(size: int, stride: int) -> int:
    """Pixels a side after a layer of that stride: both paddings give the size divided, upwards.

    >>> strided(15, 2), strided(224, 2)
    (8, 112)
    """
    return -(-size // stride)


def _digest(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _chain(in_channels: int, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Fit the blocks together: check groups, drop what has no effect."""
    chained = []
    for s, stage in enumerate(stages):
        blocks = []
        for b, block in enumerate(stage.blocks):
            place = f"stages[{s}].blocks[{b}]"
            same_shape = block.stride == 1 and block.out_channels == in_channels
            if block.operator is Operator.IDENTITY:
                if not same_shape:
                    raise InvalidFieldError(
                        f"{place}.operator",
                        "must not be 'identity' where channels or size change; "
                        "use a conv block of kernel 1 with activation 'none'.",
                    )
                continue
            _check_groups(place, block, in_channels)
            if block.skip is Skip.IDENTITY and not same_shape:
                block = replace(block, skip=Skip.NONE)
            blocks.append(block)
            in_channels = block.out_channels
        if blocks:
            chained.append(Stage(blocks=tuple(blocks)))
    if not chained:
        raise InvalidFieldError("stages", "must hold at least one block that computes something.")
    if sum(len(stage.blocks) for stage in chained) > MAX_BLOCKS:
        raise InvalidFieldError("stages", f"must hold at most {MAX_BLOCKS} blocks.")
    return tuple(chained)


def _check_groups(place: str, block: Block, in_channels: int) -> None:
    """Grouped layers need every channel number that they touch to divide by the groups."""
    touched = [block.out_channels, in_channels]
    if block.expanded_channels is not None:
        touched.append(block.expanded_channels)
    if any(channels % block.groups for channels in touched):
        raise InvalidFieldError(
            f"{place}.groups",
            f"must divide the block's channels {tuple(touched)}, but got {block.groups}.",
        )
