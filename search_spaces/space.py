"""SearchSpace: the set of networks that a search may draw from, and its open decisions.

A space is a skeleton of stages in which any field may hold a list of options instead of one
value; each such list is a decision. Sampling is uniform over decisions, not over networks:
two answers can mean the same network (a skip where the shape changes), and the papers count
them both, as `size` does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from search_spaces.architecture import (
    Activation,
    Architecture,
    Block,
    Gate,
    Head,
    InvalidFieldError,
    Operator,
    Padding,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)
from search_spaces.channels import ROUNDING, make_divisible
from search_spaces.errors import InvalidSpaceError, NoSampleError
from search_spaces.plain import PlainError, from_plain, to_plain

Option = int | float | str
Choices = Mapping[str, Option]
"""Decision name -> the option chosen."""

FORMAT_VERSION = 1


class InvalidSpaceFieldError(PlainError, InvalidSpaceError):
    """A field of a space that breaks its rule; the message names the field."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One open question of a space.

    Args:
        active_when: Name of the decision on the number of blocks, and the blocks that must be
            there for this one to matter; None for one that always matters.
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
                "of", f"must be 'input' or 'expanded', but got {self.of!r}."
            )
        if self.divisor < 1:
            raise InvalidSpaceFieldError("divisor", f"must be at least 1, but got {self.divisor}.")

    def build(self, ratio: float, in_channels: int, inner_channels: int) -> SqueezeExcitation:
        channels = (in_channels if self.of == "input" else inner_channels) * ratio
        width = (
            max(1, int(channels)) if self.divisor == 1 else make_divisible(channels, self.divisor)
        )
        return SqueezeExcitation(channels=width, activation=self.activation, gate=self.gate)


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


BLOCK_FIELDS = ("block", "operator", "kernel_size", "expansion", "se_ratio", "skip")
STAGE_FIELDS = ("channels", "channel_factor", "repeats", "repeats_change")


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
        exclude_identity: Identity is not offered to a block that changes the shape; otherwise it
            is a 1x1 projection there, with batch-norm and the variant's activation.
    """

    name: str
    channels: int | tuple[int, ...]
    stride: int = 1
    channel_factor: float | tuple[float, ...] = 1.0
    repeats: int | tuple[int, ...] = 1
    repeats_change: int | tuple[int, ...] = 0
    per_block: bool = False
    block: Mapping[str, BlockVariant] = field(default_factory=dict)
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
        if not self.name or "." in self.name:
            raise InvalidSpaceFieldError(
                "name", f"must be text without a dot, but got {self.name!r}."
            )
        for name in (*STAGE_FIELDS, *BLOCK_FIELDS):
            _check_options(name, getattr(self, name))
        lowest = {
            "channels": 1,
            "repeats": 1,
            "channel_factor": 0.0,
            "expansion": 0.0,
            "se_ratio": 0,
        }
        for name, low in lowest.items():
            for value in options_of(getattr(self, name)):
                if value < low or (low == 0.0 and name != "se_ratio" and value <= 0):
                    raise InvalidSpaceFieldError(name, f"is too small: {value!r}.")
        if self.stride not in (1, 2):
            raise InvalidSpaceFieldError("stride", f"must be 1 or 2, but got {self.stride!r}.")

    @property
    def most_blocks(self) -> int:
        return max(self.depths())

    def depths(self) -> Iterator[int]:
        for n, change in itertools.product(
            options_of(self.repeats), options_of(self.repeats_change)
        ):
            yield max(1, n + change)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A set of networks: a skeleton with options.

    Args:
        stem_channels, head_channels, resolution, width_multiplier: One value, or options.
        rounding: Name of the rule for channels times a factor (`search_spaces.channels`).
        scale_stem, scale_head: Whether the width multiplier reaches them (`up` for a head that
            only grows, as MobileNetV2's).

    Raises:
        InvalidSpaceError: If a field breaks its rule.
    """

    name: str
    stages: tuple[StageSpace, ...]
    stem_channels: int | tuple[int, ...] = 32
    stem_stride: int = 2
    stem_activation: Activation = Activation.SILU
    head_channels: int | tuple[int, ...] = 1280
    head_hidden_channels: int = 0
    head_hidden_bias: bool = True
    head_activation: Activation = Activation.SILU
    resolution: int | tuple[int, ...] = 224
    width_multiplier: float | tuple[float, ...] = 1.0
    rounding: str = "round_filters"
    scale_stem: bool = True
    scale_head: str = "yes"
    squeeze: SqueezeRule = SqueezeRule()
    input_channels: int = 3
    num_classes: int = 1000
    dropout: float = 0.0
    drop_connect: float = 0.0
    batch_norm_eps: float = 1e-5
    batch_norm_momentum: float = 0.1
    padding: Padding = Padding.TORCH
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidSpaceFieldError("name", "must not be empty.")
        if not self.stages:
            raise InvalidSpaceFieldError("stages", "must hold at least one stage.")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise InvalidSpaceFieldError("stages", f"must have different names, but got {names}.")
        if self.rounding not in ROUNDING:
            raise InvalidSpaceFieldError(
                "rounding", f"must be one of {', '.join(ROUNDING)}, but got {self.rounding!r}."
            )
        if self.scale_head not in ("yes", "no", "up"):
            raise InvalidSpaceFieldError(
                "scale_head", f"must be 'yes', 'no' or 'up', but got {self.scale_head!r}."
            )
        for name in GLOBAL_FIELDS:
            _check_options(name, getattr(self, name))
        try:  # whatever an architecture refuses, a space refuses when it is made
            for pick in (0, -1):
                self.decode({d.name: d.options[pick] for d in self.decisions})
        except InvalidFieldError as error:
            raise InvalidSpaceFieldError(error.path, error.problem) from None

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Every open decision, in a fixed order: global ones, then stage by stage."""
        found = [
            Decision(name, options_of(getattr(self, name)))
            for name in GLOBAL_FIELDS
            if len(options_of(getattr(self, name))) > 1
        ]
        for stage in self.stages:
            found += _stage_decisions(stage)
        return tuple(found)

    @cached_property
    def size(self) -> int:
        """Number of different answers to the decisions that matter, as the papers count."""
        total = math.prod(len(d.options) for d in self.decisions if "." not in d.name)
        for stage in self.stages:
            total *= _stage_size(stage)
        return total

    def for_task(
        self, *, num_classes: int, input_channels: int, resolution: int | None = None
    ) -> SearchSpace:
        """The same space for other data; `resolution` replaces the space's own if given."""
        return replace(
            self,
            num_classes=num_classes,
            input_channels=input_channels,
            resolution=self.resolution if resolution is None else resolution,
        )

    def is_active(self, decision: Decision, choices: Choices) -> bool:
        """Whether the answer changes anything, given how many blocks were chosen."""
        if decision.active_when is None:
            return True
        stage_name, needed = decision.active_when
        stage = next(s for s in self.stages if s.name == stage_name)
        return depth_of(stage, choices) >= needed

    def sample_choices(self, rng: np.random.Generator) -> dict[str, Option]:
        """Draw every decision uniformly."""
        return {d.name: d.options[rng.integers(len(d.options))] for d in self.decisions}

    def sample(
        self,
        rng: np.random.Generator,
        *,
        cost: Callable[[Architecture], float] | None = None,
        at_most: float = math.inf,
        attempts: int = 1_000,
    ) -> Architecture:
        """Draw a network, uniformly over decisions, that costs no more than `at_most`.

        Raises:
            NoSampleError: If no draw in `attempts` met the bound; it names the smallest cost seen.
        """
        smallest = math.inf
        for _ in range(attempts):
            architecture = self.decode(self.sample_choices(rng))
            if cost is None:
                return architecture
            value = cost(architecture)
            if value <= at_most:
                return architecture
            smallest = min(smallest, value)
        raise NoSampleError(
            f"No network of space {self.name!r} costs at most {at_most:,.0f} in {attempts:,} "
            f"samples; the smallest seen costs {smallest:,.0f}. Raise the bound or widen the space."
        )

    def check_choices(self, choices: Mapping[str, Any]) -> None:
        """Refuse answers that are missing, unknown or not among the options."""
        names = {d.name for d in self.decisions}
        for name in choices:
            if name not in names:
                raise InvalidSpaceError(f"Space {self.name!r} has no decision {name!r}.")
        for decision in self.decisions:
            if decision.name not in choices:
                raise InvalidSpaceError(f"Decision {decision.name!r} has no answer.")
            value = choices[decision.name]
            if not any(value == o and type(value) is type(o) for o in decision.options):
                raise InvalidSpaceError(
                    f"Decision {decision.name!r} must be one of {list(decision.options)}, "
                    f"but got {value!r}."
                )

    def decode(self, choices: Choices) -> Architecture:
        """The network that these answers mean; inactive answers are not read."""

        def answer(name: str, value: Any) -> Any:
            return choices.get(name, value)

        width = answer("width_multiplier", self.width_multiplier)
        scale = ROUNDING[self.rounding]
        channels = answer("stem_channels", self.stem_channels)
        stem = Stem(
            channels=scale(channels, width) if self.scale_stem else channels,
            stride=self.stem_stride,
            activation=self.stem_activation,
        )
        head = answer("head_channels", self.head_channels)
        grows = self.scale_head == "yes" or (self.scale_head == "up" and width > 1.0)
        return Architecture(
            stem=stem,
            stages=self._decode_stages(choices, stem.channels, width),
            head=Head(
                channels=scale(head, width) if grows and head else head,
                activation=self.head_activation,
                hidden_channels=self.head_hidden_channels,
                hidden_bias=self.head_hidden_bias,
            ),
            resolution=answer("resolution", self.resolution),
            input_channels=self.input_channels,
            num_classes=self.num_classes,
            dropout=self.dropout,
            drop_connect=self.drop_connect,
            batch_norm_eps=self.batch_norm_eps,
            batch_norm_momentum=self.batch_norm_momentum,
            padding=self.padding,
        )

    def _decode_stages(self, choices: Choices, in_channels: int, width: float) -> tuple[Stage, ...]:
        scale, stages = ROUNDING[self.rounding], []
        for stage in self.stages:
            channels = stage_answer(stage, "channels", choices)
            factor = stage_answer(stage, "channel_factor", choices) * width
            out_channels = scale(channels, factor)
            blocks = []
            for slot in range(1, depth_of(stage, choices) + 1):
                settings = {name: block_answer(stage, slot, name, choices) for name in BLOCK_FIELDS}
                stride = stage.stride if slot == 1 else 1
                blocks.append(
                    build_block(stage, settings, in_channels, out_channels, stride, self.squeeze)
                )
                in_channels = out_channels
            stages.append(Stage(blocks=tuple(blocks)))
        return tuple(stages)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a space's YAML file holds them; defaults are left out."""
        return {"version": FORMAT_VERSION, **to_plain(self)}

    @classmethod
    def from_dict(cls, data: Any) -> SearchSpace:
        """Read `to_dict`'s form; an unknown field or a wrong value is named with its place."""
        if not isinstance(data, Mapping):
            raise InvalidSpaceError(f"A space must be a mapping, but got {type(data).__name__}.")
        version = data.get("version", FORMAT_VERSION)
        if type(version) is not int or version != FORMAT_VERSION:
            raise InvalidSpaceError(f"`version` must be {FORMAT_VERSION}, but got {version!r}.")
        try:
            return from_plain(cls, {k: v for k, v in data.items() if k != "version"})
        except InvalidSpaceError:
            raise
        except PlainError as error:
            raise InvalidSpaceFieldError(error.path, error.problem) from None


GLOBAL_FIELDS = ("resolution", "width_multiplier", "stem_channels", "head_channels")


def options_of(value: Any) -> tuple[Any, ...]:
    """The options of a field: a list's members, a mapping's names, or the one value.

    >>> options_of(3), options_of((3, 5)), options_of({"a": 1})
    ((3,), (3, 5), ('a',))
    """
    if isinstance(value, Mapping):
        return tuple(value)
    members = value if isinstance(value, tuple) else (value,)
    return tuple(str(m) if isinstance(m, str) else m for m in members)


def _check_options(name: str, value: Any) -> None:
    if isinstance(value, tuple) and not value:
        raise InvalidSpaceFieldError(name, "must have at least one option, but got none.")
    options = options_of(value)
    if len(set(options)) < len(options):
        raise InvalidSpaceFieldError(name, f"must have different options, but got {options}.")


def _stage_decisions(stage: StageSpace) -> Iterator[Decision]:
    for name in STAGE_FIELDS:
        options = options_of(getattr(stage, name))
        if len(options) > 1:
            yield Decision(f"{stage.name}.{name}", options)
    for slot in range(1, stage.most_blocks + 1) if stage.per_block else (0,):
        for name in BLOCK_FIELDS:
            options = _slot_options(stage, max(slot, 1), name)
            if len(options) > 1:
                place = f"{stage.name}.{slot}.{name}" if slot else f"{stage.name}.{name}"
                yield Decision(place, options, (stage.name, slot) if slot > 1 else None)


def _slot_options(stage: StageSpace, slot: int, name: str) -> tuple[Any, ...]:
    """The options of a block field; identity only where the shape stays, if so asked."""
    options = options_of(getattr(stage, name))
    if stage.exclude_identity and stage.per_block and slot == 1:
        if name == "block":
            return tuple(o for o in options if stage.block[o].operator is not Operator.IDENTITY)
        if name == "operator":
            return tuple(o for o in options if o != Operator.IDENTITY)
    return options


def _stage_size(stage: StageSpace) -> int:
    shape = math.prod(len(options_of(getattr(stage, n))) for n in ("channels", "channel_factor"))

    def slot_size(slot: int) -> int:
        return math.prod(max(1, len(_slot_options(stage, slot, name))) for name in BLOCK_FIELDS)

    if not stage.per_block:
        return shape * sum(1 for _ in stage.depths()) * slot_size(1)
    return shape * sum(
        math.prod(slot_size(slot) for slot in range(1, n + 1)) for n in stage.depths()
    )


def stage_answer(stage: StageSpace, name: str, choices: Choices) -> Any:
    """The answer to a stage's decision, or the one value that its field has."""
    return choices.get(f"{stage.name}.{name}", getattr(stage, name))


def block_answer(stage: StageSpace, slot: int, name: str, choices: Choices) -> Any:
    """The same for a field of the block in that slot, counted from 1."""
    place = f"{stage.name}.{slot}.{name}" if stage.per_block else f"{stage.name}.{name}"
    if place in choices:
        return choices[place]
    options = _slot_options(stage, slot, name)
    return options[0] if options else None


def depth_of(stage: StageSpace, choices: Choices) -> int:
    """How many blocks these answers give the stage."""
    repeats: int = stage_answer(stage, "repeats", choices)
    change: int = stage_answer(stage, "repeats_change", choices)
    return max(1, repeats + change)


def build_block(
    stage: StageSpace,
    settings: Mapping[str, Any],
    in_channels: int,
    out_channels: int,
    stride: int,
    squeeze: SqueezeRule,
) -> Block:
    """One block of a stage from its answers, with every number resolved."""
    variant = stage.block[settings["block"]] if settings["block"] is not None else BlockVariant()

    def setting(name: str) -> Any:
        own = getattr(variant, name)
        return own if own is not None else settings.get(name, getattr(stage, name, None))

    operator, expansion = Operator(setting("operator")), setting("expansion")
    changes_shape = stride > 1 or in_channels != out_channels
    kernel_size, skip = setting("kernel_size"), Skip(setting("skip"))
    if operator is Operator.IDENTITY and changes_shape:
        operator, kernel_size, skip = Operator.CONV, 1, Skip.NONE
    if expansion == 1 and not setting("keep_expansion"):
        plain = {Operator.MBCONV: Operator.SEPARABLE, Operator.FUSED_MBCONV: Operator.CONV}
        operator = plain.get(operator, operator)
    expanded = None
    if operator in (Operator.MBCONV, Operator.FUSED_MBCONV):
        expanded = max(1, round(in_channels * expansion))
    block = Block(
        operator=operator,
        out_channels=out_channels,
        expanded_channels=expanded,
        kernel_size=kernel_size,
        stride=stride,
        groups=setting("groups"),
        activation=setting("activation"),
        pointwise_activation=stage.pointwise_activation,
        skip=skip,
    )
    ratio = setting("se_ratio")
    if not ratio or operator is Operator.IDENTITY:
        return block
    return replace(
        block,
        squeeze_excitation=squeeze.build(ratio, in_channels, block.inner_channels(in_channels)),
    )
