"""Any target: close under it, never above it, near the rule."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cost import COST_METRICS, count
from nas.errors import InvalidRequestError
from nas.quantity import Bound
from nas.scaling import RULES, UnmetTargetError, build, get_rule, shape_of, solve
from nas.scaling.transform import Shape
from search_spaces.architecture import Architecture
from search_spaces.published import get_published
from tests.nas.scaling.networks import baselines

B0 = get_published("efficientnet_b0")
B0_MACS = count(B0).macs
COMPOUND = get_rule("compound")


def macs(limit: float) -> list[Bound]:
    return [Bound("macs", limit)]


@pytest.mark.parametrize("factor", np.geomspace(0.25, 64.0, 17).tolist())
def test_b0_meets_any_macs_target_within_one_percent(factor: float) -> None:
    member = solve(B0, COMPOUND, macs(factor * B0_MACS))
    assert 0.99 * factor * B0_MACS <= member.costs.macs <= factor * B0_MACS
    assert member.costs == count(member.architecture)
    assert member.gap == pytest.approx(1.0 - member.costs.macs / (factor * B0_MACS))


@pytest.mark.parametrize("baseline", baselines(), ids=lambda a: a.fingerprint[:6])
def test_other_baselines_meet_random_targets_within_one_percent(baseline: Architecture) -> None:
    rng = np.random.default_rng(7)
    for factor in np.exp(rng.uniform(math.log(0.25), math.log(64.0), 2)):
        limit = factor * count(baseline).macs
        assert 0.99 * limit <= solve(baseline, COMPOUND, macs(limit)).costs.macs <= limit


@settings(max_examples=12, deadline=None)
@given(
    baseline=st.sampled_from(baselines()),
    name=st.sampled_from(sorted(RULES)),
    factors=st.lists(st.floats(0.25, 16.0), min_size=4, max_size=4),
    metrics=st.sets(st.sampled_from(COST_METRICS), min_size=1),
)
def test_no_target_is_ever_exceeded_and_the_answer_is_always_the_same(
    baseline: Architecture, name: str, factors: list[float], metrics: set[str]
) -> None:
    before = count(baseline)
    targets = [
        Bound(metric, factor * getattr(before, metric))
        for metric, factor in zip(sorted(metrics), factors)
    ]
    try:
        member = solve(baseline, get_rule(name), targets)
    except InvalidRequestError:
        return  # a rule that cannot shrink so far, or does not change what is bounded
    for target in targets:
        assert getattr(member.costs, target.metric) <= target.limit
    assert member == solve(baseline, get_rule(name), targets)


def test_a_larger_target_gives_a_larger_member() -> None:
    members = [solve(B0, COMPOUND, macs(f * B0_MACS)) for f in np.geomspace(0.3, 30.0, 8)]
    for smaller, larger in itertools.pairwise(members):
        assert smaller.costs.macs < larger.costs.macs
        assert smaller.phi <= larger.phi


@pytest.mark.parametrize("phi", [0, 1, 2, 3])
def test_a_target_that_the_rule_hits_by_itself_gives_the_rules_own_member(phi: int) -> None:
    own = COMPOUND.at(B0, phi)
    member = solve(B0, COMPOUND, macs(count(own).macs))
    assert (member.costs.macs, member.adjusted, member.gap) == (count(own).macs, (), 0.0)


@pytest.mark.parametrize(("name", "factor"), [("width", 2.0), ("depth", 3.0), ("resolution", 2.0)])
def test_only_what_the_rule_scales_is_adjusted(name: str, factor: float) -> None:
    member = solve(B0, get_rule(name), macs(factor * B0_MACS))
    before, after = _shape(B0), _shape(member.architecture)
    changed = {
        "width": after.channels != before.channels,
        "depth": after.repeats != before.repeats,
        "resolution": after.resolution != before.resolution,
    }
    assert changed == {dimension: dimension == name for dimension in changed}


def _shape(architecture: Architecture) -> Shape:
    return Shape(
        stem=architecture.stem.channels,
        channels=tuple((stage.out_channels,) for stage in architecture.stages),
        repeats=tuple(len(stage.blocks) for stage in architecture.stages),
        head=(architecture.head.channels, architecture.head.hidden_channels),
        resolution=architecture.resolution,
    )


def test_what_was_adjusted_is_told_in_words() -> None:
    member = solve(B0, COMPOUND, macs(3 * B0_MACS))
    own = COMPOUND.at(B0, member.phi)
    assert member.architecture != own
    assert len(member.adjusted) > 0
    assert all(":" in text and "->" in text for text in member.adjusted)


def test_depth_alone_is_as_close_as_any_numbers_of_blocks_nearby() -> None:
    small = replace(B0, stages=B0.stages[:3])
    start = shape_of(small, COMPOUND.coefficients(0))
    for limit in (3.1e8, 4.4e8):
        best = max(
            cost
            for repeats in itertools.product(range(1, 9), repeat=3)
            if (cost := count(build(small, replace(start, repeats=repeats))).macs) <= limit
        )
        member = solve(small, get_rule("depth"), macs(limit), tolerance=0.0)
        assert member.costs.macs >= best - 0.01 * limit


def test_a_resolution_step_and_a_cap_are_kept() -> None:
    rule = get_rule("compound", rounding={"resolution_step": 32})
    assert solve(B0, rule, macs(5 * B0_MACS)).architecture.resolution % 32 == 0
    capped = solve(B0, get_rule("efficientnet_v2"), macs(50 * B0_MACS))
    assert capped.architecture.resolution <= 480


def test_several_targets_hold_together_and_the_tightest_is_named() -> None:
    targets = [Bound("macs", 1.2e9), Bound("parameters", 8e6), Bound("memory_bytes", 512e6)]
    member = solve(B0, COMPOUND, targets)
    assert member.binding == "parameters"
    assert 7.92e6 <= member.costs.parameters <= 8e6
    assert member.costs.macs < 1.2e9


def test_a_target_below_the_smallest_member_is_named_with_how_near_it_came() -> None:
    with pytest.raises(UnmetTargetError, match=r"'depth' meets 'macs <= 10 M'.*has 173 M") as error:
        solve(B0, get_rule("depth"), macs(10e6))
    assert error.value.target == Bound("macs", 10e6)
    assert error.value.nearest.costs.macs == pytest.approx(173e6, rel=0.01)


@pytest.mark.parametrize(
    "rule",
    [get_rule("resolution"), get_rule("compound", alpha=1.0, beta=1.0, gamma=1.0)],
    ids=["resolution", "ones"],
)
def test_a_target_that_never_binds_is_refused(rule: object) -> None:
    with pytest.raises(
        InvalidRequestError, match="does not change what 'parameters <= 8 M' bounds"
    ):
        solve(B0, rule, [Bound("parameters", 8e6)])  # type: ignore[arg-type]


def test_where_growth_ends_before_the_target_the_member_says_so() -> None:
    member = solve(B0, get_rule("depth"), macs(1e12))
    assert member.costs.macs < 1e12
    assert "at most 1,000 blocks" in member.note


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "at least one bound"),
        ([Bound("accuracy", 0.9)], "must be an upper bound above 0 on one of macs"),
        ([Bound("macs", 1e9, at_most=False)], "must be an upper bound"),
        ([Bound("macs", 0.0)], "above 0"),
        ([Bound("latency_ms", 20.0)], "needs a latency model"),
    ],
)
def test_a_wrong_target_is_refused(targets: list[Bound], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        solve(B0, COMPOUND, targets)


def test_a_latency_target_goes_by_the_model() -> None:
    def latency_ms(architecture: Architecture) -> float:
        costs = count(architecture)
        return 1.0 + costs.macs / 1e8 + costs.activations / 1e6

    member = solve(B0, COMPOUND, [Bound("latency_ms", 20.0)], latency_ms)
    assert member.latency_ms == latency_ms(member.architecture)
    assert 19.8 <= member.latency_ms <= 20.0


def test_a_model_that_refuses_large_networks_bounds_the_search_and_is_quoted() -> None:
    def latency_ms(architecture: Architecture) -> float:
        if architecture.resolution > 230:
            raise InvalidRequestError("`resolution` must be at most 230.")
        return count(architecture).macs / 1e8

    member = solve(B0, COMPOUND, [Bound("latency_ms", 40.0)], latency_ms)
    assert member.architecture.resolution <= 230
    assert "must be at most 230" in member.note


@pytest.mark.parametrize("value", [math.nan, -1.0, 0.0])
def test_a_model_without_sense_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequestError, match="milliseconds above 0"):
        solve(B0, COMPOUND, [Bound("latency_ms", 20.0)], lambda _: value)
