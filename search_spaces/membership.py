"""From a network to a space's answers: members, neighbours, and the member most like a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from search_spaces.architecture import Architecture, Block, Stage
from search_spaces.channels import ROUNDING
from search_spaces.decoding import (
    Answers,
    Choices,
    Forms,
    StageQuestions,
    answers_to,
    block_forms,
    build_head,
    build_stem,
)
from search_spaces.distance import distance
from search_spaces.fitting import fit
from search_spaces.space import Decision, SearchSpace

if TYPE_CHECKING:
    import numpy as np


def encode(space: SearchSpace, architecture: Architecture) -> Answers | None:
    """The answers that decode to this network; None if it is no member of the space.

    Where several do, it is those nearest to the reference (no change of repeats, a channel
    factor of 1), then the first in the options' order. Every decision has an answer, the
    inactive ones too.

    >>> from search_spaces.spaces import get_space
    >>> space = get_space("small_images")
    >>> choices = {d.name: d.options[-1] for d in space.decisions}
    >>> space.decode(encode(space, space.decode(choices))) == space.decode(choices)
    True
    """
    resolution, widths, stems, heads, hidden = space.questions
    if architecture.resolution not in resolution.options:
        return None
    for width, stem in product(widths.options, stems.options):
        if build_stem(space, int(stem), float(width)) != architecture.stem:
            continue
        stages = _encode_stages(space, architecture, float(width))
        if stages is None:
            continue
        last = architecture.stages[-1].out_channels
        for head, inner in product(heads.options, hidden.options):
            if build_head(space, int(head), int(inner), float(width), last) == architecture.head:
                values = (architecture.resolution, width, stem, head, inner)
                choices = _filled(space, {**stages, **answers_to(space.questions, values)})
                return choices if space.decode(choices) == architecture else None
    return None


def contains(space: SearchSpace, architecture: Architecture) -> bool:
    """Whether some answers decode to this network, its task and training settings included."""
    return encode(space, architecture) is not None


def neighbours(space: SearchSpace, choices: Choices) -> list[Answers]:
    """All answers that differ from these in exactly one active decision.

    Decisions are active or not by `choices`; answers that a change of repeats makes active
    are those that `choices` has, or the first options.
    """
    return [
        {**_filled(space, choices), decision.name: option}
        for decision in active_decisions(space, choices)
        for option in decision.options
        if option != choices[decision.name]
    ]


def mutate(space: SearchSpace, choices: Choices, rng: np.random.Generator) -> Answers:
    """The same answers with another one to one active decision, drawn uniformly.

    The decision is drawn first, then its new answer. A space without decisions has one network:
    it comes back as it is.
    """
    active = active_decisions(space, choices)
    if not active:
        return _filled(space, choices)
    decision = active[int(rng.integers(len(active)))]
    others = [option for option in decision.options if option != choices[decision.name]]
    return {**_filled(space, choices), decision.name: others[int(rng.integers(len(others)))]}


def active_decisions(space: SearchSpace, choices: Choices) -> list[Decision]:
    """The decisions whose answers matter, given how many blocks were chosen."""
    depths = {q.stage.name: q.depth(choices) for q in space.stage_questions}
    return [
        d
        for d in space.decisions
        if d.active_when is None or depths[d.active_when[0]] >= d.active_when[1]
    ]


def canonical(space: SearchSpace, choices: Choices) -> Answers:
    """The same answers where they matter, the first option where they don't.

    Equal active answers become equal mappings, whatever their inactive ones were.
    """
    active = {d.name: choices[d.name] for d in active_decisions(space, choices)}
    return _filled(space, active)


def nearest(space: SearchSpace, architecture: Architecture) -> tuple[Answers, float]:
    """Answers whose network is like this one, and how far it is (`search_spaces.distance`).

    Resolution, classes and input channels are the space's own, the resolution its nearest. A
    member has distance 0. Otherwise stages are paired and fitted one after the other: the
    result is near, and not proven to be the nearest.

    >>> from search_spaces.published import get_published
    >>> from search_spaces.spaces import get_space
    >>> nearest(get_space("efficientnet"), get_published("efficientnet_b0"))[1]
    0.0
    """
    target = for_space(space, architecture)
    exact = encode(space, target)
    if exact is not None:
        return exact, 0.0
    fitted = (fit(space, target, float(width)) for width in space.questions[1].options)
    pairs = ((choices, distance(space.decode(choices), target)) for choices in fitted)
    return min(pairs, key=lambda pair: pair[1])


def for_space(space: SearchSpace, architecture: Architecture) -> Architecture:
    """The network with the space's classes, input channels and nearest resolution."""
    return replace(
        architecture,
        resolution=min(
            (int(option) for option in space.questions[0].options),
            key=lambda pixels: abs(pixels - architecture.resolution),
        ),
        input_channels=space.input_channels,
        num_classes=space.num_classes,
    )


def _filled(space: SearchSpace, answers: Choices) -> Answers:
    return {d.name: answers.get(d.name, d.options[0]) for d in space.decisions}


def _encode_stages(space: SearchSpace, architecture: Architecture, width: float) -> Answers | None:
    """Pair the space's stages with the network's; one of identity blocks only has none there."""
    stages = architecture.stages
    failed: set[tuple[int, int]] = set()

    def pair(i: int, j: int) -> Answers | None:
        if i == len(space.stage_questions):
            return {} if j == len(stages) else None
        if (i, j) in failed:
            return None
        channels = stages[j - 1].out_channels if j else architecture.stem.channels
        tries = [(stages[j], j + 1)] if j < len(stages) else []
        for stage, then in [*tries, (None, j)]:
            own = encode_stage(space, i, stage, channels, width)
            rest = pair(i + 1, then) if own is not None else None
            if own is not None and rest is not None:
                return {**own, **rest}
        failed.add((i, j))
        return None

    return pair(0, 0)


def encode_stage(
    space: SearchSpace, index: int, stage: Stage | None, in_channels: int, width: float
) -> Answers | None:
    """The answers to one of the space's stages that make this one (None: one without layers)."""
    questions = space.stage_questions[index]
    blocks = stage.blocks if stage else ()
    channels = {block.out_channels for block in blocks} or {in_channels}
    if len(channels) > 1 or not (stage or questions.stage.stride == 1):
        return None
    (out_channels,) = channels
    scale = ROUNDING[space.rounding]
    base_options, factor_options = (q.options for q in questions.shape[:2])
    shapes = [
        (base, factor)
        for factor in sorted(factor_options, key=lambda f: abs(float(f) - 1.0))
        for base in base_options
        if scale(int(base), float(factor) * width) == out_channels
    ]
    if not shapes:
        return None
    encode_blocks = _encode_each if questions.stage.per_block else _encode_alike
    first = block_forms(space, questions, 1, in_channels, out_channels)
    rest = block_forms(space, questions, 2, out_channels, out_channels)
    for repeats, change in sorted(
        product(*(q.options for q in questions.shape[2:])), key=lambda pair: abs(int(pair[1]))
    ):
        depth = max(1, int(repeats) + int(change))
        found = encode_blocks(questions, depth, blocks, first, rest)
        if found is not None:
            return {**answers_to(questions.shape, (*shapes[0], repeats, change)), **found}
    return None


def _encode_alike(
    questions: StageQuestions, depth: int, blocks: Sequence[Block], first: Forms, rest: Forms
) -> Answers | None:
    """One answer for all blocks of the stage."""
    for answers, block in first.items():
        made = [block, *[rest[answers]] * (depth - 1)]
        if [b for b in made if b is not None] == list(blocks):
            return answers_to(questions.blocks[0], answers)
    return None


def _encode_each(
    questions: StageQuestions, depth: int, blocks: Sequence[Block], first: Forms, rest: Forms
) -> Answers | None:
    """One answer a block: the network's blocks come first, identity fills what is left over."""
    if depth < len(blocks):
        return None
    first_of, rest_of = _inverse(first), _inverse(rest)
    found: Answers = {}
    for slot in range(1, depth + 1):
        block = blocks[slot - 1] if slot <= len(blocks) else None
        answers = (first_of if slot == 1 else rest_of).get(block)
        if answers is None:
            return None
        found.update(answers_to(questions.slot(slot), answers))
    return found


def _inverse(forms: Forms) -> dict[Block | None, tuple[Any, ...]]:
    found: dict[Block | None, tuple[Any, ...]] = {}
    for answers, block in forms.items():
        found.setdefault(block, answers)
    return found
