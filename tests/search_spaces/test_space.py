"""Spaces: their decisions, sizes and members."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings

from search_spaces.architecture import Architecture, Operator, Skip
from search_spaces.errors import InvalidSpaceError, NoSampleError, UnknownNameError
from search_spaces.space import BlockVariant, SearchSpace, SqueezeRule, StageSpace
from search_spaces.spaces import get_space
from tests.search_spaces.strategies import spaces_with_choices


def tiny(**fields: object) -> SearchSpace:
    """One stage of a space, with the fields given."""
    stage = StageSpace(name="s", channels=16, **fields)  # type: ignore[arg-type]
    return SearchSpace(name="tiny", stages=(stage,))


def test_mnasnets_stages_have_432_choices_each():
    space = get_space("mnasnet")
    assert space.size == 432**7
    assert [stage.repeats for stage in space.stages] == [1, 2, 3, 4, 3, 3, 1]
    five = dataclasses.replace(space, stages=space.stages[:5])
    assert five.size == 432**5


def test_decisions_are_the_fields_with_options_in_a_fixed_order():
    space = tiny(repeats=(1, 2), kernel_size=(3, 5), expansion=(3.0, 6.0))
    assert [d.name for d in space.decisions] == ["s.repeats", "s.kernel_size", "s.expansion"]
    each = tiny(repeats=(1, 2), kernel_size=(3, 5), per_block=True)
    assert [(d.name, d.active_when) for d in each.decisions] == [
        ("s.repeats", None),
        ("s.1.kernel_size", None),
        ("s.2.kernel_size", ("s", 2)),
    ]


def test_size_counts_only_answers_that_matter():
    each = tiny(repeats=(2, 3), kernel_size=(3, 5, 7), per_block=True)
    assert each.size == 3**2 + 3**3
    alike = tiny(repeats=(2, 3), kernel_size=(3, 5, 7))
    assert alike.size == 2 * 3


def test_a_second_blocks_decision_is_active_where_there_is_one():
    space = tiny(repeats=(1, 2), kernel_size=(3, 5), per_block=True)
    second = space.decisions[-1]
    answers = {"s.repeats": 1, "s.1.kernel_size": 3, "s.2.kernel_size": 5}
    assert not space.is_active(second, answers)
    assert space.is_active(second, answers | {"s.repeats": 2})


def test_inactive_answers_change_nothing_and_may_be_absent():
    space = tiny(repeats=(1, 2), kernel_size=(3, 5), per_block=True)
    answers = {"s.repeats": 1, "s.1.kernel_size": 3}
    assert space.decode(answers) == space.decode(answers | {"s.2.kernel_size": 5})


def test_mbconv_without_expansion_is_separable_and_fused_a_plain_conv():
    space = tiny(operator=(Operator.MBCONV, Operator.FUSED_MBCONV), expansion=1.0)
    made = [space.decode({"s.operator": o}).stages[0].blocks[0] for o in ("mbconv", "fused_mbconv")]
    assert [block.operator for block in made] == [Operator.SEPARABLE, Operator.CONV]
    kept = tiny(expansion=1.0, keep_expansion=True).decode({}).stages[0].blocks[0]
    assert (kept.operator, kept.expanded_channels) == (Operator.MBCONV, 32)


def test_identity_becomes_a_projection_where_the_shape_changes():
    space = tiny(
        stride=2,
        repeats=2,
        per_block=True,
        block={
            "skip": BlockVariant(operator=Operator.IDENTITY, activation="none"),
            "mbconv": BlockVariant(),
        },
    )
    made = space.decode({"s.1.block": "skip", "s.2.block": "skip"}).stages[0].blocks
    assert [(b.operator, b.kernel_size, b.activation, b.skip) for b in made] == [
        (Operator.CONV, 1, "none", Skip.NONE)
    ]


def test_excluded_identity_is_not_offered_to_a_stages_first_block():
    operators = (Operator.IDENTITY, Operator.MBCONV)
    space = tiny(operator=operators, repeats=2, per_block=True, exclude_identity=True)
    assert [d.name for d in space.decisions] == ["s.2.operator"]


@pytest.mark.parametrize(
    ("rule", "width"),
    [(SqueezeRule(), 6), (SqueezeRule(of="expanded", divisor=8), 40)],
)
def test_squeeze_width_follows_its_rule(rule, width):
    stages = (
        StageSpace(name="a", channels=24),
        StageSpace(name="b", channels=24, se_ratio=0.25),
    )
    space = SearchSpace(name="tiny", stages=stages, squeeze=rule)
    block = space.decode({}).stages[1].blocks[0]
    assert block.squeeze_excitation.channels == width


def test_a_head_can_follow_the_last_stage():
    stage = StageSpace(name="s", channels=(16, 24))
    space = SearchSpace(name="tiny", stages=(stage,), head_expansion=6.0)
    assert space.decode({"s.channels": 24}).head.channels == 144


def test_sampling_is_uniform_over_decisions():
    space = tiny(repeats=(1, 2), kernel_size=(3, 5))
    rng = np.random.default_rng(0)
    drawn = [space.sample_choices(rng)["s.kernel_size"] for _ in range(2_000)]
    assert abs(drawn.count(3) - 1_000) < 5 * math.sqrt(500)


def test_sampling_under_a_bound_stops_and_names_the_smallest_cost_seen():
    space = tiny(kernel_size=(3, 5))
    costs = []

    def cost(architecture: Architecture) -> float:
        costs.append(1_000.0 * architecture.stages[0].blocks[0].kernel_size)
        return costs[-1]

    rng = np.random.default_rng(0)
    with pytest.raises(NoSampleError, match=r"at most 2,999 in 50 samples.*smallest seen .* 3,000"):
        space.sample(rng, cost=cost, at_most=2_999, attempts=50)
    assert len(costs) == 50
    kernel = space.sample(rng, cost=cost, at_most=3_000).stages[0].blocks[0].kernel_size
    assert kernel == 3


def test_for_task_changes_the_task_only():
    space = get_space("efficientnet")
    adapted = space.for_task(num_classes=10, input_channels=1, resolution=64)
    assert adapted.decisions == space.decisions
    rng = np.random.default_rng(3)
    choices = space.sample_choices(rng)
    one, other = space.decode(choices), adapted.decode(choices)
    assert (other.num_classes, other.input_channels, other.resolution) == (10, 1, 64)
    assert one.body_fingerprint == other.body_fingerprint


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "'s.kernel_size' has no answer"),
        ({"s.kernel_size": 4}, r"'s.kernel_size' must be one of \[3, 5\], but got 4"),
        ({"s.kernel_size": True}, "but got True"),
        ({"s.kernel_size": [3]}, r"but got \[3\]"),
        ({"s.kernel_size": 3, "x" * 500: 3}, "has no decision 'xxx"),
    ],
)
def test_wrong_answers_are_named(choices, message):
    with pytest.raises(InvalidSpaceError, match=message) as caught:
        tiny(kernel_size=(3, 5)).check_choices(choices)
    assert len(str(caught.value)) < 200


def test_a_whole_number_answers_a_decision_on_ratios():
    space = tiny(expansion=(3.0, 6.0))
    space.check_choices({"s.expansion": 6})
    assert space.decode({"s.expansion": 6}) == space.decode({"s.expansion": 6.0})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stride": 3}, "`stride` must be 1 or 2"),
        ({"kernel_size": (3, 4)}, "`kernel_size` must be odd"),
        ({"kernel_size": ()}, "`kernel_size` must have at least one option"),
        ({"kernel_size": (3, 3)}, "`kernel_size` must have different options"),
        ({"expansion": (0.0, 6.0)}, "`expansion` must be above 0.0"),
        ({"expansion": (6.0, float("nan"))}, "`expansion` must be from 0.0 to 64.0"),
        ({"expansion": (6, 6.0)}, "`expansion` must have different options"),
        ({"repeats": 0}, "`repeats` must be a whole number from 1"),
        ({"repeats": tuple(range(1, 300))}, "`repeats` must have at most 256 options"),
        ({"skip": ("none", "residual")}, "`skip` must be one of 'none', 'identity'"),
        ({"groups": 3}, r"`stages\[0\].groups` must divide every number of channels"),
        ({"operator": Operator.IDENTITY}, "must hold a block that is never identity"),
        (
            {"operator": Operator.IDENTITY, "per_block": True, "exclude_identity": True},
            "must leave the first block an option",
        ),
        (
            {"expansion": 64.0, "channel_factor": 64.0, "repeats": 2, "se_ratio": 5.0},
            "at most 65,5",
        ),
        (
            {"se_ratio": tuple(i / 100 for i in range(100)), "expansion": tuple(range(1, 61))},
            "at most 4,096 combinations, but got 6,000",
        ),
        ({"repeats": 1_000, "repeats_change": (0, 1)}, "at most 1,000 blocks, but got 1,001"),
        (
            {"repeats": 600, "per_block": True, "kernel_size": (3, 5)},
            "at most 500 decisions, but got 600",
        ),
        ({"block": {"a.b": BlockVariant()}}, "`block` must be 1 to 40 letters"),
    ],
)
def test_a_wrong_space_is_refused_when_it_is_made(fields, message):
    with pytest.raises(InvalidSpaceError, match=message):
        tiny(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "`name` must be 1 to 40 letters"),
        ({"name": "a/b"}, "`name` must be"),
        ({"stages": ()}, "`stages` must hold at least one"),
        ({"rounding": "up"}, "`rounding` must be one of round_filters"),
        ({"scale_head": "yes"}, "`scale_head` must be one of always, never, up"),
        ({"resolution": (224, 0)}, "`resolution` must be a whole number from 1"),
        ({"dropout": 1.0}, "`dropout` must be from 0.0"),
        ({"description": "\x1b[31m"}, "`description` must be at most 2,000 printable"),
        ({"head_expansion": 65.0}, "`head_expansion` must be"),
        ({"head_channels": 60_000, "width_multiplier": 2.0}, "`head_channels` must come to"),
    ],
)
def test_a_wrong_field_of_the_space_is_named(fields, message):
    with pytest.raises(InvalidSpaceError, match=message):
        dataclasses.replace(tiny(), **fields)


def test_an_unknown_space_names_those_that_there_are():
    with pytest.raises(UnknownNameError, match=r"Unknown space 'effnet'. Available: .*mnasnet"):
        get_space("effnet")


@given(spaces_with_choices)
@settings(max_examples=100, deadline=None)
def test_every_answer_to_every_space_is_a_network(drawn):
    space, choices = drawn
    space.check_choices(choices)
    architecture = space.decode(choices)
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert SearchSpace.from_dict(space.to_dict()) == space
