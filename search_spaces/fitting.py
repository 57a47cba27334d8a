"""Answers whose network is like a given one, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from search_spaces.architecture import Architecture, Block
from search_spaces.channels import ROUNDING
from search_spaces.decoding import (
    Answers,
    Forms,
    StageQuestions,
    answers_to,
    block_forms,
    build_head,
    build_stem,
)
from search_spaces.distance import align, alone, block_distance, channels_distance
from search_spaces.space import SearchSpace


def fit(space: SearchSpace, target: Architecture, width: float) -> Answers:
    """The answers that come near `target` at that width multiplier; all decisions have one."""
    resolution, _, stems, heads, hidden = space.questions
    stem = min(
        stems.options,
        key=lambda c: channels_distance(
            build_stem(space, int(c), width).channels, target.stem.channels
        ),
    )
    channels = build_stem(space, int(stem), width).channels
    answers: Answers = {}
    partners = _partners(space, target, width)
    for questions, partner in zip(space.stage_questions, partners):
        own, channels = _fit_stage(space, questions, target, partner, channels, width)
        answers |= own
    head, inner = min(
        product(map(int, heads.options), map(int, hidden.options)),
        key=lambda pair: _head_distance(space, target, pair, width, channels),
    )
    values = (
        min(resolution.options, key=lambda pixels: abs(int(pixels) - target.resolution)),
        width,
        stem,
        head,
        inner,
    )
    answers |= answers_to(space.questions, values)
    return {d.name: answers.get(d.name, d.options[0]) for d in space.decisions}


def _head_distance(
    space: SearchSpace, target: Architecture, pair: tuple[int, int], width: float, channels: int
) -> float:
    head = build_head(space, *pair, width, channels)
    return channels_distance(head.channels, target.head.channels) + channels_distance(
        head.hidden_channels, target.head.hidden_channels
    )


def _partners(space: SearchSpace, target: Architecture, width: float) -> list[int | None]:
    """For each of the space's stages the target's that it is fitted to."""
    asked = space.stage_questions

    def unlike(i: int, j: int) -> float:
        stage, theirs = asked[i].stage, target.stages[j]
        nearest = min(
            channels_distance(channels, theirs.out_channels)
            for channels in _shapes(space, asked[i], width)
        )
        depth = min(abs(n - len(theirs.blocks)) for n in stage.depths())
        return nearest + depth + (stage.stride != theirs.blocks[0].stride)

    _, pairs = align(
        [alone(min(questions.stage.depths())) for questions in asked],
        [alone(len(stage.blocks)) for stage in target.stages],
        unlike,
    )
    partner = dict(pairs)
    return [partner.get(i) for i in range(len(asked))]


def _shapes(
    space: SearchSpace, questions: StageQuestions, width: float
) -> dict[int, tuple[int, float]]:
    """Output channels that a stage can have -> channels and factor; factors near 1 first."""
    found: dict[int, tuple[int, float]] = {}
    bases, factors = (q.options for q in questions.shape[:2])
    for factor in sorted(map(float, factors), key=lambda f: abs(f - 1.0)):
        for base in map(int, bases):
            found.setdefault(ROUNDING[space.rounding](base, factor * width), (base, factor))
    return found


def _fit_stage(
    space: SearchSpace,
    questions: StageQuestions,
    target: Architecture,
    partner: int | None,
    in_channels: int,
    width: float,
) -> tuple[Answers, int]:
    """The stage's answers, and its output channels."""
    theirs = _entered(target, partner)
    shapes = _shapes(space, questions, width)
    wanted = theirs[0][0].out_channels if theirs else in_channels
    out_channels = min(shapes, key=lambda channels: channels_distance(channels, wanted))
    repeats, change = min(
        product(*(map(int, q.options) for q in questions.shape[2:])),
        key=lambda pair: (abs(max(1, sum(pair)) - len(theirs)), abs(pair[1])),
    )
    depth = max(1, repeats + change)
    slots: list[tuple[Forms, int, Entered | None]] = []
    for slot in range(depth):
        entry = out_channels if slot else in_channels
        forms = block_forms(space, questions, slot + 1, entry, out_channels)
        slots.append((forms, entry, theirs[slot] if slot < len(theirs) else None))
    answers = answers_to(questions.shape, (*shapes[out_channels], repeats, change))
    groups = [[slot] for slot in slots] if questions.stage.per_block else [slots]
    for asked, group in zip(questions.blocks, groups):
        answers |= answers_to(asked, _most_alike(group))
    return answers, out_channels


Entered = tuple[Block, int]
"""A block with the channels that it reads."""


def _entered(target: Architecture, stage: int | None) -> list[Entered]:
    return [(p.block, p.in_channels) for p in target.walk() if p.stage == stage]


def _most_alike(slots: Sequence[tuple[Forms, int, Entered | None]]) -> tuple[Any, ...]:
    """The answers that make the blocks of these slots most like their partners."""

    def unlike(answers: tuple[Any, ...]) -> float:
        total = 0.0
        for forms, channels, partner in slots:
            made = forms[answers]
            if made is None or partner is None:
                total += float(made is not None or partner is not None)
            else:
                total += block_distance(made, channels, *partner)
        return total

    return min(slots[0][0], key=unlike)
