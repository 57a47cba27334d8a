"""From networks back to answers."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.architecture import Operator, Skip
from search_spaces.distance import align, block_distance, distance
from search_spaces.membership import (
    active_decisions,
    canonical,
    contains,
    encode,
    for_space,
    mutate,
    nearest,
    neighbours,
)
from search_spaces.space import BlockVariant, SearchSpace, StageSpace
from search_spaces.spaces import get_space
from tests.search_spaces.examples import efficientnet_b0, mobilenet_v1_start
from tests.search_spaces.strategies import spaces_with_choices


def test_efficientnet_b0_is_the_reference_of_its_space():
    choices = encode(get_space("efficientnet"), efficientnet_b0())
    assert choices is not None
    assert {v for k, v in choices.items() if k.endswith("channel_factor")} == {1.0}
    assert {v for k, v in choices.items() if k.endswith("repeats_change")} == {0}


@pytest.mark.parametrize(
    ("field", "value"),
    [("resolution", 240), ("num_classes", 10), ("dropout", 0.3), ("batch_norm_eps", 1e-5)],
)
def test_a_network_with_another_setting_is_no_member(field, value):
    other = dataclasses.replace(efficientnet_b0(), **{field: value})
    assert not contains(get_space("efficientnet"), other)


def test_another_skeleton_is_no_member():
    assert not contains(get_space("efficientnet"), mobilenet_v1_start())


@given(spaces_with_choices)
@settings(max_examples=100, deadline=None)
def test_every_member_is_encoded_to_answers_that_decode_to_it(drawn):
    space, choices = drawn
    architecture = space.decode(choices)
    found = encode(space, architecture)
    assert found is not None
    space.check_choices(found)
    assert space.decode(found) == architecture


def test_encode_finds_all_members_and_no_other():
    identity = {"none": BlockVariant(operator=Operator.IDENTITY), "mbconv": BlockVariant()}
    stages = (
        StageSpace(name="a", channels=32, repeats=(1, 2), per_block=True, block=identity),
        StageSpace(name="b", channels=(16, 24), kernel_size=(3, 5), operator=Operator.SEPARABLE),
    )
    space = SearchSpace(name="small", stages=stages)
    wider = SearchSpace(
        name="wider",
        stages=(stages[0], dataclasses.replace(stages[1], kernel_size=(3, 5, 7))),
    )

    def members(of: SearchSpace) -> set:
        names = [d.name for d in of.decisions]
        answers = itertools.product(*(d.options for d in of.decisions))
        return {of.decode(dict(zip(names, values))) for values in answers}

    inside, all_of_them = members(space), members(wider)
    assert inside < all_of_them
    assert {a for a in all_of_them if contains(space, a)} == inside


@given(spaces_with_choices)
@settings(max_examples=40, deadline=None)
def test_neighbours_differ_in_exactly_one_active_decision(drawn):
    space, choices = drawn
    active = {d.name: d for d in active_decisions(space, choices)}
    found = neighbours(space, choices)
    assert len(found) == sum(len(d.options) - 1 for d in active.values())
    seen = set()
    for neighbour in found:
        space.check_choices(neighbour)
        (name,) = [n for n in neighbour if neighbour[n] != choices[n]]
        assert name in active
        seen.add((name, neighbour[name]))
    assert len(seen) == len(found)


@given(spaces_with_choices, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_mutation_is_a_neighbour(drawn, seed):
    space, choices = drawn
    mutated = mutate(space, choices, np.random.default_rng(seed))
    near = neighbours(space, choices)
    assert mutated in near if near else mutated == choices


@given(spaces_with_choices, st.data())
@settings(max_examples=40, deadline=None)
def test_canonical_answers_forget_the_inactive_ones(drawn, data):
    space, choices = drawn
    active = {d.name for d in active_decisions(space, choices)}
    other = {
        d.name: choices[d.name] if d.name in active else data.draw(st.sampled_from(d.options))
        for d in space.decisions
    }
    assert canonical(space, other) == canonical(space, choices)
    assert space.decode(canonical(space, choices)) == space.decode(choices)


@given(spaces_with_choices)
@settings(max_examples=40, deadline=None)
def test_a_member_is_at_distance_0_whatever_its_task(drawn):
    space, choices = drawn
    architecture = dataclasses.replace(
        space.decode(choices), resolution=300, num_classes=3, input_channels=1
    )
    found, far = nearest(space, architecture)
    assert far == 0.0
    assert space.decode(found) == for_space(space, architecture)


@given(spaces_with_choices, st.sampled_from([efficientnet_b0, mobilenet_v1_start]))
@settings(max_examples=30, deadline=None)
def test_nearest_says_how_far_its_own_answer_is(drawn, build):
    space, _ = drawn
    target = for_space(space, build())
    found, far = nearest(space, build())
    space.check_choices(found)
    assert far == distance(space.decode(found), target)


@pytest.mark.parametrize("name", ["efficientnet", "mnasnet", "small_images"])
@pytest.mark.parametrize("build", [efficientnet_b0, mobilenet_v1_start])
def test_nearest_beats_every_one_of_many_samples(name, build):
    space, rng = get_space(name), np.random.default_rng(0)
    target = for_space(space, build())
    _, far = nearest(space, target)
    samples = (space.decode(space.sample_choices(rng)) for _ in range(100))
    assert far < min(distance(sample, target) for sample in samples)


def test_distance_grows_with_what_differs():
    space = get_space("efficientnet")
    b0 = encode(space, efficientnet_b0())
    steps = [
        {"stage4.kernel_size": 3},
        {"stage4.block": "mbconv3"},
        {"stage5.repeats_change": 1},
        {"stage6.channel_factor": 1.25},
        {"stage7.se_ratio": 0.0},
    ]
    answers, last = dict(b0), 0.0
    for step in steps:
        answers |= step
        now = distance(space.decode(answers), efficientnet_b0())
        assert now > last
        last = now


@given(spaces_with_choices, st.data())
@settings(max_examples=40, deadline=None)
def test_distance_is_symmetric_and_0_to_itself(drawn, data):
    space, choices = drawn
    one = space.decode(choices)
    two = get_space("small_images").sample(np.random.default_rng(data.draw(st.integers(0, 99))))
    assert distance(one, one) == 0.0
    assert distance(one, two) == pytest.approx(distance(two, one))
    assert distance(one, two) > 0.0


def test_blocks_are_at_most_1_apart():
    first, *_, last = (p.block for p in efficientnet_b0().walk())
    other = dataclasses.replace(
        last,
        operator=Operator.FUSED_MBCONV,
        kernel_size=11,
        expanded_channels=60_000,
        squeeze_excitation=None,
        skip=Skip.POOL,
        activation="relu",
        groups=2,
    )
    assert 0.0 < block_distance(first, 32, last, 192) < 1.0
    assert block_distance(other, 192, last, 192) == pytest.approx(1.0)


@given(
    st.lists(st.integers(1, 9), max_size=4),
    st.lists(st.integers(1, 9), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_alignment_equals_trying_all_pairings(one, other, seed):
    costs = np.random.default_rng(seed).integers(0, 12, (len(one), len(other)))

    def all_pairings(i, j):
        if i == len(one) or j == len(other):
            yield sum(one[i:]) + sum(other[j:])
            return
        yield from (costs[i][j] + rest for rest in all_pairings(i + 1, j + 1))
        yield from (one[i] + rest for rest in all_pairings(i + 1, j))
        yield from (other[j] + rest for rest in all_pairings(i, j + 1))

    total, pairs = align(one, other, lambda i, j: int(costs[i][j]))
    assert total == min(all_pairings(0, 0))
    paired = sum(int(costs[i][j]) for i, j in pairs)
    alone = sum(one) + sum(other) - sum(one[i] + other[j] for i, j in pairs)
    assert paired + alone == total
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(pairs))
