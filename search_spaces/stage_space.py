"""One stage of a space: fields that hold one value, or the options of a decision."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from search_spaces.architecture import (
    Activation,
    Gate,
    InvalidFieldError,
    Operator,
    Skip,
    SqueezeExcitation,
)
from search_spaces.channels import make_divisible
from search_spaces.errors import InvalidSpaceError
from search_spaces.parts import MAX_CHANNELS, check_kernel, check_members, check_stride, check_whole
from search_spaces.plain import PlainError, short

Option = int | float | str

BLOCK_FIELDS = ("block", "operator", "kernel_size", "expansion", "se_ratio", "skip")
STAGE_FIELDS = ("channels", "channel_factor", "repeats", "repeats_change")

# What bounds the work that a document from a stranger can cause.
MAX_OPTIONS = 256
MAX_COMBINATIONS = 4_096
MAX_REPEATS = 1_000
MAX_FACTOR = 64.0

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class InvalidSpaceFieldError(PlainError, InvalidSpaceError):
    """A field of a space that breaks its rule; the message names the field."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One open question of a space.

    Args:
        name: `resolution`, `stage3.channels`; with `per_block` `stage3.2.kernel_size`.
        active_when: Name of a stage and the number of blocks that it must have for this
            decision to matter; None for one that always matters.
    """

    name: str
    options: tuple[Option, ...]
    active_when: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeRule:
    """How wide a squeeze-excitation is: a share of the block's `input` or `expanded` channels.

    EfficientNet and MnasNet: of the input, cut to a whole number, at least 1. MobileNetV3,
    Once-for-all, AttentiveNAS: of the expanded channels, rounded to `divisor` 8.
    """

    of: str = "input"
    divisor: int = 1
    activation: Activation = Activation.SILU
    gate: Gate = Gate.SIGMOID

    def __post_init__(self) -> None:
        if self.of not in ("input", "expanded"):
            raise InvalidSpaceFieldError(
                "of", f"must be 'input' or 'expanded', but got {short(self.of)}."
            )
        with own_errors():
            check_whole("divisor", self.divisor, 1, MAX_CHANNELS)
            check_members(self, activation=Activation, gate=Gate)

    def build(self, ratio: float, in_channels: int, inner_channels: int) -> SqueezeExcitation:
        """The squeeze-excitation of a block with those input and expanded channels."""
        return SqueezeExcitation(
            channels=self.channels(ratio, in_channels, inner_channels),
            activation=self.activation,
            gate=self.gate,
        )

    def channels(self, ratio: float, in_channels: int, inner_channels: int) -> int:
        """Its inner width.

        >>> SqueezeRule().channels(0.25, 24, 144), SqueezeRule(of="expanded", divisor=8).channels(
        ...     0.25, 24, 144)
        (6, 40)
        """
        share = (in_channels if self.of == "input" else inner_channels) * ratio
        return max(1, int(share)) if self.divisor == 1 else make_divisible(share, self.divisor)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockVariant:
    """Settings that one named option of a stage's `block` decision fixes together."""

    operator: Operator | None = None
    kernel_size: int | None = None
    expansion: float | None = None
    se_ratio: float | None = None
    groups: int | None = None
    skip: Skip | None = None
    activation: Activation | None = None
    keep_expansion: bool | None = None

    def __post_init__(self) -> None:
        with own_errors():
            for name in ("kernel_size", "expansion", "se_ratio", "groups"):
                if getattr(self, name) is not None:
                    object.__setattr__(self, name, _checked(name, getattr(self, name)))
            kinds = {"operator": Operator, "skip": Skip, "activation": Activation}
            given = {n: kind for n, kind in kinds.items() if getattr(self, n) is not None}
            check_members(self, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpace:
    """One stage; a field with a list of options is a decision named `stage.field`.

    Args:
        channels, channel_factor: Output channels are the first times the second (times the
            space's width multiplier), by the space's rounding rule.
        repeats, repeats_change: Blocks are the first plus the second, at least 1.
        per_block: Every block decides on its own (`stage.2.kernel_size`), not the stage.
        block: Named variants, of which one is chosen; its settings win over the stage's.
        expansion: Expanded over input channels. An mbconv of expansion 1 has no expanding layer
            (it is a separable block) unless `keep_expansion`; a fused one is a plain conv.
        exclude_identity: With `per_block`, identity is not offered to the first block. Otherwise
            identity is a 1x1 convolution with batch-norm and the block's activation where the
            shape changes.
    """

    name: str
    channels: int | tuple[int, ...]
    stride: int = 1
    channel_factor: float | tuple[float, ...] = 1.0
    repeats: int | tuple[int, ...] = 1
    repeats_change: int | tuple[int, ...] = 0
    per_block: bool = False
    block: Mapping[str, BlockVariant] = field(default_factory=dict, hash=False)
    operator: Operator | tuple[Operator, ...] = Operator.MBCONV
    kernel_size: int | tuple[int, ...] = 3
    expansion: float | tuple[float, ...] = 6.0
    se_ratio: float | tuple[float, ...] = 0.0
    skip: Skip | tuple[Skip, ...] = Skip.IDENTITY
    groups: int = 1
    activation: Activation = Activation.SILU
    pointwise_activation: bool = False
    keep_expansion: bool = False
    exclude_identity: bool = False

    def __post_init__(self) -> None:
        check_name("name", self.name)
        for name in self.block:
            check_name("block", name)
        with own_errors():
            check_stride(self.stride)
            check_whole("groups", self.groups, 1, MAX_CHANNELS)
            check_members(self, activation=Activation)
        for name in (*STAGE_FIELDS, *BLOCK_FIELDS):
            check_options(self, name)
        for names in (STAGE_FIELDS[:2], STAGE_FIELDS[2:], BLOCK_FIELDS):
            answers = 1
            for name in names:
                answers *= max(1, len(options_of(getattr(self, name))))
            if answers > MAX_COMBINATIONS:
                raise InvalidSpaceFieldError(
                    names[0],
                    f"has too many options together with {', '.join(names[1:])}: at most "
                    f"{MAX_COMBINATIONS:,} combinations, but got {answers:,}.",
                )
        if not self.slot_options(1, "operator") or (
            self.block and not self.slot_options(1, "block")
        ):
            raise InvalidSpaceFieldError(
                "exclude_identity", "must leave the first block an option that is not identity."
            )

    @property
    def most_blocks(self) -> int:
        """The largest number of blocks that the stage can have."""
        return max(self.depths())

    def depths(self) -> Iterator[int]:
        """The number of blocks for each answer to `repeats` and `repeats_change`."""
        for n, change in product(options_of(self.repeats), options_of(self.repeats_change)):
            yield max(1, n + change)

    def variants(self) -> tuple[BlockVariant, ...]:
        """The settings that `block` offers; one without any where it offers none."""
        return tuple(self.block.values()) or (BlockVariant(),)

    def slot_options(self, slot: int, name: str) -> tuple[Any, ...]:
        """The options of a block field in one slot, counted from 1."""
        options = options_of(getattr(self, name))
        if not (self.exclude_identity and self.per_block and slot == 1):
            return options
        if name == "block":
            return tuple(o for o in options if self.block[o].operator is not Operator.IDENTITY)
        if name == "operator":
            return tuple(o for o in options if o != Operator.IDENTITY)
        return options


@contextmanager
def own_errors() -> Iterator[None]:
    """What an architecture's checks refuse, refused as a space's field."""
    try:
        yield
    except InvalidFieldError as error:
        raise InvalidSpaceFieldError(error.path, error.problem) from None


def options_of(value: Any) -> tuple[Any, ...]:
    """The options of a field: a list's members, a mapping's names, or the one value.

    >>> options_of(3), options_of((3, 5)), options_of({"a": 1})
    ((3,), (3, 5), ('a',))
    """
    if isinstance(value, Mapping):
        return tuple(value)
    members = value if isinstance(value, tuple) else (value,)
    return tuple(str(m) if isinstance(m, str) else m for m in members)


def check_name(place: str, name: object) -> None:
    """Names become parts of decisions' names, of files' names and of documents."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSpaceFieldError(
            place, f"must be 1 to 40 letters, digits, _ or -, but got {short(name)}."
        )


def check_options(part: object, name: str) -> None:
    """Refuse a field's options that break its rule; hold each in its own type."""
    value = getattr(part, name)
    options = options_of(value)
    if not options and name != "block":
        raise InvalidSpaceFieldError(name, "must have at least one option, but got none.")
    if len(options) > MAX_OPTIONS:
        raise InvalidSpaceFieldError(
            name, f"must have at most {MAX_OPTIONS} options, but got {len(options):,}."
        )
    if name != "block":
        options = tuple(_checked(name, option) for option in options)
        object.__setattr__(part, name, options if isinstance(value, tuple) else options[0])
    if len(set(options)) < len(options):
        raise InvalidSpaceFieldError(
            name, f"must have different options, but got {short(options)}."
        )


_WHOLE = {
    "channels": (1, MAX_CHANNELS),
    "repeats": (1, MAX_REPEATS),
    "repeats_change": (-MAX_REPEATS, MAX_REPEATS),
    "groups": (1, MAX_CHANNELS),
    "resolution": (1, 8_192),
    "stem_channels": (1, MAX_CHANNELS),
    "head_channels": (0, MAX_CHANNELS),
    "head_hidden_channels": (0, MAX_CHANNELS),
}
_MEMBERS = {"operator": Operator, "skip": Skip}


def _checked(name: str, value: Any) -> Any:
    """One option, in its own type: 6 is 6.0 where the field is a ratio."""
    if name in _MEMBERS:
        kind = _MEMBERS[name]
        if value not in list(kind):
            allowed = ", ".join(repr(member.value) for member in kind)
            raise InvalidSpaceFieldError(name, f"must be one of {allowed}, but got {short(value)}.")
        return kind(value)
    with own_errors():
        if name == "kernel_size":
            check_kernel(value)
            return value
        if name in _WHOLE:
            check_whole(name, value, *_WHOLE[name])
            return value
    if type(value) not in (int, float) or not 0.0 <= value <= MAX_FACTOR:
        raise InvalidSpaceFieldError(
            name, f"must be from 0.0 to {MAX_FACTOR}, but got {short(value)}."
        )
    if value == 0.0 and name != "se_ratio":
        raise InvalidSpaceFieldError(name, "must be above 0.0, but got 0.0.")
    return float(value)
