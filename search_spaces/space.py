"""SearchSpace: the set of networks that a search may draw from, and its open decisions.

A space is a skeleton of stages in which any field may hold a list of options instead of one
value; each such list is a decision. Sampling is uniform over decisions, not over networks:
two answers can mean the same network (a skip where the shape changes), and the papers count
them both, as `size` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Any

from search_spaces.architecture import MAX_BLOCKS, Activation, Architecture, Operator, Padding
from search_spaces.channels import ROUNDING
from search_spaces.decoding import (
    GLOBAL_FIELDS,
    Choices,
    Question,
    StageQuestions,
    decode,
    global_questions,
    stage_questions,
)
from search_spaces.errors import InvalidSpaceError, NoSampleError
from search_spaces.parts import MAX_CHANNELS, check_members, check_stride
from search_spaces.plain import PlainError, from_plain, short, to_plain
from search_spaces.stage_space import (
    MAX_COMBINATIONS,
    BlockVariant,
    Decision,
    InvalidSpaceFieldError,
    Option,
    SqueezeRule,
    StageSpace,
    check_name,
    check_options,
    options_of,
    own_errors,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "BlockVariant",
    "Choices",
    "Decision",
    "InvalidSpaceFieldError",
    "Option",
    "SearchSpace",
    "SqueezeRule",
    "StageSpace",
    "options_of",
]

FORMAT_VERSION = 1
MAX_DECISIONS = 500
MAX_DESCRIPTION = 2_000


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A set of networks: a skeleton with options. Every answer to its decisions is a network.

    Args:
        stem_channels, head_channels, head_hidden_channels, resolution, width_multiplier: One
            value, or options.
        head_expansion: Head channels over the last stage's; 0.0 goes by `head_channels`.
        rounding: Name of the rule for channels times a factor (`search_spaces.channels`).
        scale_stem: Whether the width multiplier reaches the stem.
        scale_head: `always`, `never`, or `up` for a head that only grows, as MobileNetV2's.

    Raises:
        InvalidSpaceError: If a field breaks its rule.
    """

    name: str
    stages: tuple[StageSpace, ...]
    stem_channels: int | tuple[int, ...] = 32
    stem_stride: int = 2
    stem_activation: Activation = Activation.SILU
    head_channels: int | tuple[int, ...] = 1280
    head_expansion: float = 0.0
    head_hidden_channels: int | tuple[int, ...] = 0
    head_hidden_bias: bool = True
    head_activation: Activation = Activation.SILU
    resolution: int | tuple[int, ...] = 224
    width_multiplier: float | tuple[float, ...] = 1.0
    rounding: str = "round_filters"
    scale_stem: bool = True
    scale_head: str = "always"
    squeeze: SqueezeRule = SqueezeRule()  # noqa: RUF009 - frozen
    input_channels: int = 3
    num_classes: int = 1000
    dropout: float = 0.0
    drop_connect: float = 0.0
    batch_norm_eps: float = 1e-5
    batch_norm_momentum: float = 0.1
    padding: Padding = Padding.TORCH
    description: str = ""

    def __post_init__(self) -> None:
        _check_fields(self)
        _check_stages(self)
        with own_errors():
            for pick in (0, -1):  # what is left to check is the same for every member
                self.decode({d.name: d.options[pick] for d in self.decisions})

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """The fields that hold for the whole network, in the order of GLOBAL_FIELDS."""
        return global_questions(self)

    @cached_property
    def stage_questions(self) -> tuple[StageQuestions, ...]:
        """What each stage asks."""
        return tuple(stage_questions(stage) for stage in self.stages)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Every open decision, in a fixed order: global ones, then stage by stage."""
        found = [Decision(q.name, q.options) for q in self.questions if q.is_open]
        for questions in self.stage_questions:
            found += questions.decisions()
        return tuple(found)

    @cached_property
    def size(self) -> int:
        """Number of different answers to the decisions that matter, as the papers count."""
        total = math.prod(len(question.options) for question in self.questions)
        for questions in self.stage_questions:
            total *= _stage_size(questions)
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
        name, needed = decision.active_when
        stage = next(q for q in self.stage_questions if q.stage.name == name)
        return stage.depth(choices) >= needed

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
        """Refuse answers that are missing, unknown or not among the options.

        Raises:
            InvalidSpaceError: With the decision and what it may be.
        """
        names = {d.name for d in self.decisions}
        for name in choices:
            if name not in names:
                raise InvalidSpaceError(f"Space {self.name!r} has no decision {short(name)}.")
        for decision in self.decisions:
            Question(decision.name, decision.options).answer(choices)

    def decode(self, choices: Choices) -> Architecture:
        """The network that these answers mean; inactive answers are not read.

        Raises:
            InvalidSpaceError: If an answer is missing or not among the options.
        """
        return decode(self, choices)

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
            raise InvalidSpaceFieldError(
                "version", f"must be {FORMAT_VERSION}, but got {short(version)}."
            )
        try:
            return from_plain(cls, {k: v for k, v in data.items() if k != "version"})
        except InvalidSpaceError:
            raise
        except PlainError as error:
            raise InvalidSpaceFieldError(error.path, error.problem) from None


def _check_fields(space: SearchSpace) -> None:
    check_name("name", space.name)
    if len(space.description) > MAX_DESCRIPTION or not all(
        letter.isprintable() or letter == "\n" for letter in space.description
    ):
        raise InvalidSpaceFieldError(
            "description", f"must be at most {MAX_DESCRIPTION:,} printable characters."
        )
    for name, allowed in (("rounding", tuple(ROUNDING)), ("scale_head", ("always", "never", "up"))):
        value = getattr(space, name)
        if value not in allowed:
            raise InvalidSpaceFieldError(
                name, f"must be one of {', '.join(allowed)}, but got {short(value)}."
            )
    for name in GLOBAL_FIELDS:
        check_options(space, name)
    if not 0.0 <= space.head_expansion <= 64.0:
        raise InvalidSpaceFieldError(
            "head_expansion", f"must be from 0.0 to 64.0, but got {space.head_expansion!r}."
        )
    with own_errors():
        check_stride(space.stem_stride)
        check_members(
            space, stem_activation=Activation, head_activation=Activation, padding=Padding
        )


def _check_stages(space: SearchSpace) -> None:
    """What holds between stages, so that every answer decodes to a network."""
    if not space.stages:
        raise InvalidSpaceFieldError("stages", "must hold at least one stage.")
    names = [stage.name for stage in space.stages]
    if len(set(names)) < len(names):
        raise InvalidSpaceFieldError(
            "stages", f"must have different names, but got {short(names)}."
        )
    blocks = sum(stage.most_blocks for stage in space.stages)
    if blocks > MAX_BLOCKS:
        raise InvalidSpaceFieldError(
            "stages", f"must hold at most {MAX_BLOCKS:,} blocks, but got {blocks:,}."
        )
    if len(space.decisions) > MAX_DECISIONS:
        raise InvalidSpaceFieldError(
            "stages",
            f"must hold at most {MAX_DECISIONS} decisions, but got {len(space.decisions):,}.",
        )
    if all(_may_vanish(stage) for stage in space.stages):
        raise InvalidSpaceFieldError(
            "stages", "must hold a block that is never identity, or a stride of 2."
        )
    reached = set(options_of(space.stem_channels))
    if space.scale_stem:
        reached = _scaled(space, "stem_channels", options_of(space.stem_channels), (1.0,))
    for i, stage in enumerate(space.stages):
        place = f"stages[{i}]"
        channels = _scaled(
            space, f"{place}.channels", options_of(stage.channels), options_of(stage.channel_factor)
        )
        _check_numbers(stage, place, reached | channels, space.squeeze)
        reached = channels
    widest = max(reached) * space.head_expansion
    if not space.head_expansion:
        widest = max(options_of(space.head_channels)) * max(options_of(space.width_multiplier))
    if widest > MAX_CHANNELS - 8:
        raise InvalidSpaceFieldError(
            "head_channels",
            f"must come to at most {MAX_CHANNELS - 8:,} channels, but got {round(widest):,}.",
        )


def _scaled(
    space: SearchSpace, place: str, channels: tuple[int, ...], factors: tuple[float, ...]
) -> set[int]:
    """Every number of channels that these can come to."""
    widths = options_of(space.width_multiplier)
    if len(channels) * len(factors) * len(widths) > MAX_COMBINATIONS:
        raise InvalidSpaceFieldError(
            place, f"has more than {MAX_COMBINATIONS:,} options, times the width multipliers."
        )
    scale = ROUNDING[space.rounding]
    found = {scale(c, f * w) for c in channels for f in factors for w in widths}
    if not 1 <= min(found) <= max(found) <= MAX_CHANNELS:
        raise InvalidSpaceFieldError(
            place, f"must come to 1 to {MAX_CHANNELS:,} channels, but got {max(found):,}."
        )
    return found


def _check_numbers(stage: StageSpace, place: str, channels: set[int], squeeze: SqueezeRule) -> None:
    """Expanded channels stay in bounds; groups divide whatever channels they can meet."""
    own = (variant.expansion for variant in stage.variants())
    expansions = {*options_of(stage.expansion), *(e for e in own if e is not None)}
    expanded = {max(1, round(c * e)) for c in channels for e in expansions}
    ratios = [v.se_ratio for v in stage.variants() if v.se_ratio is not None]
    widest = max(expanded | channels)
    squeezed = squeeze.channels(max(*options_of(stage.se_ratio), *ratios, 0.0), widest, widest)
    if max(widest, squeezed) > MAX_CHANNELS:
        raise InvalidSpaceFieldError(
            f"{place}.expansion",
            f"must come to at most {MAX_CHANNELS:,} channels, but got {max(widest, squeezed):,}.",
        )
    for groups in {stage.groups, *(v.groups for v in stage.variants() if v.groups is not None)}:
        odd = sorted(c for c in expanded | channels if c % groups)
        if odd:
            raise InvalidSpaceFieldError(
                f"{place}.groups",
                f"must divide every number of channels, but got {groups} for {odd[0]}.",
            )


def _may_vanish(stage: StageSpace) -> bool:
    """Whether all its blocks can be identity without changing the shape."""
    if stage.stride > 1 or (stage.exclude_identity and stage.per_block):
        return False
    operators: set[Any] = {variant.operator for variant in stage.variants()}
    if None in operators:
        operators |= set(options_of(stage.operator))
    return Operator.IDENTITY in operators


def _stage_size(questions: StageQuestions) -> int:
    """Answers to a stage: of its shape, times those of as many blocks as there are."""

    def answers(block: tuple[Question, ...]) -> int:
        return math.prod(max(1, len(question.options)) for question in block)

    shape = math.prod(len(question.options) for question in questions.shape[:2])
    depths: Iterator[int] = questions.stage.depths()
    if not questions.stage.per_block:
        return shape * answers(questions.blocks[0]) * sum(1 for _ in depths)
    of_depth: list[int] = list(accumulate((answers(b) for b in questions.blocks), mul))
    return shape * sum(of_depth[n - 1] for n in depths)
