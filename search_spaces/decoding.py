"""From answers to a network: the questions that a space asks, and what each answer means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from search_spaces.architecture import (
    Architecture,
    Block,
    Head,
    Operator,
    Skip,
    Stage,
    Stem,
    settle,
)
from search_spaces.channels import ROUNDING
from search_spaces.errors import InvalidSpaceError
from search_spaces.plain import short
from search_spaces.stage_space import (
    BLOCK_FIELDS,
    STAGE_FIELDS,
    BlockVariant,
    Decision,
    Option,
    SqueezeRule,
    StageSpace,
    options_of,
)

if TYPE_CHECKING:
    from search_spaces.space import SearchSpace

Choices = Mapping[str, Option]
"""Decision name -> the option chosen."""

Answers = dict[str, Option]
"""The same, as this package makes them."""

Forms = dict[tuple[Any, ...], Block | None]
"""Answers in the order of BLOCK_FIELDS -> the block that they make; None for identity."""

GLOBAL_FIELDS = (
    "resolution",
    "width_multiplier",
    "stem_channels",
    "head_channels",
    "head_hidden_channels",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A field with its options; it is a decision where there are two or more."""

    name: str
    options: tuple[Option, ...]

    @property
    def is_open(self) -> bool:
        return len(self.options) > 1

    def answer(self, choices: Choices) -> Any:
        """The option chosen, or the only one there is (None where there is none)."""
        if not self.is_open:
            return self.options[0] if self.options else None
        if self.name not in choices:
            raise InvalidSpaceError(f"Decision {self.name!r} has no answer.")
        value = choices[self.name]
        if value not in self.options or isinstance(value, bool):
            raise InvalidSpaceError(
                f"Decision {self.name!r} must be one of {list(self.options)}, "
                f"but got {short(value)}."
            )
        return self.options[self.options.index(value)]


@dataclass(frozen=True, slots=True)
class StageQuestions:
    """What one stage asks: of its shape, and of each block (of all at once without `per_block`)."""

    stage: StageSpace
    shape: tuple[Question, ...]
    blocks: tuple[tuple[Question, ...], ...]

    def slot(self, slot: int) -> tuple[Question, ...]:
        """What the block in that slot is asked, counted from 1; in the order of BLOCK_FIELDS."""
        return self.blocks[slot - 1 if self.stage.per_block else 0]

    def depth(self, choices: Choices) -> int:
        """How many blocks these answers give the stage."""
        repeats: int = self.shape[2].answer(choices)
        change: int = self.shape[3].answer(choices)
        return max(1, repeats + change)

    def decisions(self) -> Iterator[Decision]:
        """The open questions, in a fixed order."""
        for question in self.shape:
            if question.is_open:
                yield Decision(question.name, question.options)
        for i, questions in enumerate(self.blocks):
            for question in questions:
                if question.is_open:
                    needs = (self.stage.name, i + 1) if i else None
                    yield Decision(question.name, question.options, needs)


def stage_questions(stage: StageSpace) -> StageQuestions:
    """What a stage asks."""
    shape = tuple(
        Question(f"{stage.name}.{name}", options_of(getattr(stage, name))) for name in STAGE_FIELDS
    )
    slots = range(1, stage.most_blocks + 1) if stage.per_block else (0,)
    blocks = tuple(
        tuple(
            Question(
                f"{stage.name}.{slot}.{name}" if slot else f"{stage.name}.{name}",
                stage.slot_options(slot, name),
            )
            for name in BLOCK_FIELDS
        )
        for slot in slots
    )
    return StageQuestions(stage, shape, blocks)


def global_questions(space: SearchSpace) -> tuple[Question, ...]:
    """What a space asks of the network as a whole, in the order of GLOBAL_FIELDS."""
    return tuple(Question(name, options_of(getattr(space, name))) for name in GLOBAL_FIELDS)


def decode(space: SearchSpace, choices: Choices) -> Architecture:
    """The network that these answers mean; inactive answers are not read."""
    resolution, width, stem, head, hidden = (q.answer(choices) for q in space.questions)
    stem_part = build_stem(space, stem, width)
    stages, channels = [], stem_part.channels
    for questions in space.stage_questions:
        depth = questions.depth(choices)
        base, factor = (q.answer(choices) for q in questions.shape[:2])
        out_channels = ROUNDING[space.rounding](base, factor * width)
        blocks = []
        for slot in range(1, depth + 1):
            if slot == 1 or questions.stage.per_block:
                answers = [q.answer(choices) for q in questions.slot(slot)]
            stride = questions.stage.stride if slot == 1 else 1
            blocks.append(
                build_block(questions.stage, answers, channels, out_channels, stride, space.squeeze)
            )
            channels = out_channels
        stages.append(Stage(blocks=tuple(blocks)))
    return Architecture(
        stem=stem_part,
        stages=tuple(stages),
        head=build_head(space, head, hidden, width, channels),
        resolution=resolution,
        input_channels=space.input_channels,
        num_classes=space.num_classes,
        dropout=space.dropout,
        drop_connect=space.drop_connect,
        batch_norm_eps=space.batch_norm_eps,
        batch_norm_momentum=space.batch_norm_momentum,
        padding=space.padding,
    )


def build_stem(space: SearchSpace, channels: int, width: float) -> Stem:
    """The stem of that many channels, before the width multiplier."""
    return Stem(
        channels=ROUNDING[space.rounding](channels, width) if space.scale_stem else channels,
        stride=space.stem_stride,
        activation=space.stem_activation,
    )


def build_head(
    space: SearchSpace, channels: int, hidden: int, width: float, in_channels: int
) -> Head:
    """The head of that many channels before the width multiplier, after `in_channels`."""
    grows = space.scale_head == "always" or (space.scale_head == "up" and width > 1.0)
    if space.head_expansion:
        channels = round(in_channels * space.head_expansion)
    elif channels and grows:
        channels = ROUNDING[space.rounding](channels, width)
    return Head(
        channels=channels,
        activation=space.head_activation,
        hidden_channels=hidden,
        hidden_bias=space.head_hidden_bias,
    )


_PLAIN = {Operator.MBCONV: Operator.SEPARABLE, Operator.FUSED_MBCONV: Operator.CONV}


def build_block(
    stage: StageSpace,
    answers: Sequence[Any],
    in_channels: int,
    out_channels: int,
    stride: int,
    squeeze: SqueezeRule,
) -> Block:
    """One block from its answers (in the order of BLOCK_FIELDS), with every number resolved."""
    name, operator, kernel_size, expansion, se_ratio, skip = answers
    groups, activation, keep_expansion = stage.groups, stage.activation, stage.keep_expansion
    if name is not None:
        own: BlockVariant = stage.block[name]
        operator = operator if own.operator is None else own.operator
        kernel_size = kernel_size if own.kernel_size is None else own.kernel_size
        expansion = expansion if own.expansion is None else own.expansion
        se_ratio = se_ratio if own.se_ratio is None else own.se_ratio
        skip = skip if own.skip is None else own.skip
        groups = groups if own.groups is None else own.groups
        activation = activation if own.activation is None else own.activation
        keep_expansion = keep_expansion if own.keep_expansion is None else own.keep_expansion
    operator = Operator(operator)
    if operator is Operator.IDENTITY and (stride > 1 or in_channels != out_channels):
        operator, kernel_size, se_ratio, skip = Operator.CONV, 1, 0.0, Skip.NONE
    if expansion == 1 and not keep_expansion:
        operator = _PLAIN.get(operator, operator)
    expanded = None
    if operator in _PLAIN:
        expanded = max(1, round(in_channels * expansion))
    block = Block(
        operator=operator,
        out_channels=out_channels,
        expanded_channels=expanded,
        kernel_size=kernel_size,
        stride=stride,
        groups=groups,
        activation=activation,
        pointwise_activation=stage.pointwise_activation,
        skip=Skip(skip),
    )
    if not se_ratio or operator is Operator.IDENTITY:
        return block
    inner = block.inner_channels(in_channels)
    return replace(block, squeeze_excitation=squeeze.build(se_ratio, in_channels, inner))


def answers_to(questions: Sequence[Question], values: Sequence[Any]) -> Answers:
    """Answers by name; fields that ask nothing have none."""
    return {q.name: value for q, value in zip(questions, values, strict=True) if q.is_open}


def block_forms(
    space: SearchSpace, questions: StageQuestions, slot: int, in_channels: int, out_channels: int
) -> Forms:
    """What every combination of answers makes of the block in a slot; None is identity."""
    if questions.stage.per_block and slot > len(questions.blocks):
        return {}
    stride = questions.stage.stride if slot == 1 else 1
    options = (q.options or (None,) for q in questions.slot(slot))
    return {
        answers: settle(
            build_block(questions.stage, answers, in_channels, out_channels, stride, space.squeeze),
            in_channels,
        )
        for answers in product(*options)
    }
