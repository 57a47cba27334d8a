"""Choosing a baseline, its coefficients, and the family that grows from it."""

import math
from pathlib import Path

import pytest

from nas.cost import count
from nas.errors import InvalidRequestError, NasError
from nas.evaluation.contract import Status
from nas.jobs.plan import costs_by_name
from nas.scaling import PAPER, get_rule, parse_target_sets
from nas.search.candidates import Finished
from nas.search.objectives import Reward
from nas.store import EvaluationRow
from nas.studies.ancestry import make_lineages, rank_lineages
from nas.studies.baseline import FrontMember, choose_baseline
from nas.studies.coefficients import (
    Judged,
    best,
    cost_function,
    finalists,
    grid_members,
    judge_by_table,
)
from nas.studies.comparison import accuracy_of, equal_cost_entries
from search_spaces.published import get_published

B0 = get_published("efficientnet_b0")
FRONT = [
    FrontMember(
        architecture=get_published(name),
        trial=trial,
        accuracy=accuracy,
        accuracy_se=0.01,
        costs=costs_by_name(count(get_published(name))),
    )
    for trial, (name, accuracy) in enumerate(
        [("mobilenet_v1_0.25", 0.50), ("mobilenet_v2", 0.72), ("efficientnet_b3", 0.73)]
    )
]


@pytest.mark.parametrize(
    ("how", "trial"),
    [("best-reward", 1), ("knee", 1), ("nearest:50M", 0), ("nearest:1.5G", 2), ("trial:2", 2)],
)
def test_a_baseline_is_chosen_as_asked(how: str, trial: int) -> None:
    assert choose_baseline(FRONT, how, Reward()).trial == trial


@pytest.mark.parametrize(
    "how", ["", "best", "nearest", "nearest:", "nearest:x", "trial:9", "trial:-1"]
)
def test_what_names_no_baseline_is_refused(how: str) -> None:
    with pytest.raises(InvalidRequestError):
        choose_baseline(FRONT, how, Reward())


def test_an_empty_front_has_no_baseline() -> None:
    with pytest.raises(InvalidRequestError, match="front"):
        choose_baseline([], "knee", Reward())


def test_the_paper_s_coefficients_are_candidates_and_no_network_comes_twice() -> None:
    members = grid_members(B0, candidates=6, step=0.05, tolerance=0.1)
    assert members[0].coefficients == PAPER
    assert len({m.architecture.fingerprint for m in members}) == len(members) == 6
    for member in members:
        assert 1.8 <= member.coefficients.product <= 2.2


@pytest.mark.parametrize("cost", ["macs", "parameters", "activations", "memory_bytes"])
def test_a_grid_doubles_the_cost_that_it_is_given(cost: str) -> None:
    before = getattr(count(B0), cost)
    members = grid_members(B0, candidates=5, step=0.05, tolerance=0.1, cost=cost)
    for member in members:
        assert 1.8 <= getattr(member.costs, cost) / before <= 2.2
    assert len({m.architecture.fingerprint for m in members}) == len(members) > 1


def test_a_grid_of_one_s_own_has_only_those_factors() -> None:
    members = grid_members(
        B0, candidates=9, step=0.05, tolerance=0.3, alphas=[1.0, 1.4], betas=[1.2], gammas=[1.2]
    )
    assert {m.coefficients.width for m in members} == {1.2}
    assert {m.coefficients.depth for m in members} <= {1.0, 1.4}


def test_a_grid_under_latency_needs_a_latency_model() -> None:
    with pytest.raises(InvalidRequestError, match="table of block latencies"):
        cost_function("latency_ms")


def judged(
    accuracies: list[float], error: float = 0.01, costs: list[float] | None = None
) -> list[Judged]:
    members = grid_members(B0, candidates=len(accuracies), step=0.05, tolerance=0.1)
    return [
        Judged(
            member=member,
            cost=cost,
            accuracy=accuracy,
            accuracy_se=error,
        )
        for member, accuracy, cost in zip(members, accuracies, costs or [1.0] * len(accuracies))
    ]


def test_more_epochs_go_to_the_best_third() -> None:
    kept = finalists(judged([0.5, 0.9, 0.6, 0.8, 0.7, 0.4], error=0.0))
    assert [k.accuracy for k in kept] == [0.9, 0.8]


def test_who_is_within_the_errors_of_the_best_third_stays_up_to_half() -> None:
    assert [k.accuracy for k in finalists(judged([0.9, 0.8, 0.795, 0.1, 0.1, 0.1]))] == [
        0.9,
        0.8,
        0.795,
    ]
    assert len(finalists(judged([0.9] * 6))) == 3


def test_what_could_not_be_trained_is_no_finalist_and_never_the_best() -> None:
    results = judged([math.nan, 0.3, math.nan, math.nan])
    assert [k.accuracy for k in finalists(results)] == [0.3]
    assert best(results).accuracy == 0.3


def test_extra_cost_must_buy_accuracy() -> None:
    dear, cheap = 0.905, 0.9
    assert best(judged([dear, cheap], costs=[2.0, 1.0])).accuracy == cheap
    assert best(judged([dear, cheap], costs=[1.0, 1.0])).accuracy == dear


def test_a_table_stands_in_for_training(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "alpha,beta,gamma,accuracy\n1.2,1.1,1.15,0.8\n1,1,1.4,0.7\n3,2,2,0.99\n1.4,1,1.2,\n"
    )
    cost_of = cost_function("macs")
    rows = judge_by_table(B0, tmp_path / "t.csv", 2.0, 0.1, cost_of)
    assert [r.accuracy for r in rows] == [0.8, 0.7]  # neither twelve times the cost, nor unmeasured
    with pytest.raises(InvalidRequestError, match=r"t\.csv"):
        judge_by_table(B0, tmp_path / "t.csv", 16.0, 0.01, cost_of)
    (tmp_path / "t.csv").write_text("alpha,beta,accuracy\n1.2,1.1,0.8\n")
    with pytest.raises(InvalidRequestError, match="gamma"):
        judge_by_table(B0, tmp_path / "t.csv", 2.0, 0.1, cost_of)


def ended(accuracy: float) -> Finished:
    row = EvaluationRow(
        key="k", subject="", dataset="", split="", recipe="", evaluator="", seed=0,
        val_accuracy=accuracy, val_accuracy_se=0.01,
    )  # fmt: skip
    return Finished(ticket=0, status=Status.COMPLETED, evaluation=row)


def test_the_best_ancestor_is_not_the_best_network() -> None:
    lineages = make_lineages(FRONT, get_rule("compound"), Reward(), candidates=2)
    common = max(count(line.ancestor.architecture).macs for line in lineages)
    for line in lineages:
        for member, factor in zip(line.members, (1, 2)):
            assert 0.98 < member.costs.macs / (factor * common) <= 1.0
    ends = [(ended(0.72), ended(0.73)), (ended(0.70), ended(0.80))]
    first, second = rank_lineages(lineages, ends, chance=0.1)
    assert first.lineage is lineages[1]
    assert first.hypervolume == pytest.approx(0.6 + 0.7)
    assert first.error == pytest.approx(0.01 * math.sqrt(2))
    assert second.hypervolume < first.hypervolume


def test_a_family_that_could_not_be_trained_is_no_ancestor() -> None:
    lineages = make_lineages(FRONT, get_rule("compound"), Reward(), candidates=2)
    failed = Finished(ticket=0, status=Status.FAILED, reason="out of luck")
    ranked = rank_lineages(lineages, [(failed, ended(0.9)), (ended(0.2), ended(0.3))], chance=0.1)
    assert [r.lineage for r in ranked] == [lineages[1]]
    with pytest.raises(NasError, match="out of luck"):
        rank_lineages(lineages, [(failed, failed)] * 2, chance=0.1)


def test_rules_are_compared_at_equal_cost() -> None:
    rules = [get_rule(name) for name in ("compound", "width", "depth", "resolution")]
    entries = equal_cost_entries(B0, rules, parse_target_sets(["2x,4x"], B0))
    assert [e.rule for e in entries] == ["baseline", *2 * [rule.name for rule in rules]]
    for entry in entries[1:]:
        assert entry.member is not None
        assert 0.0 <= (entry.member.gap or 0.0) < 0.01


def test_a_rule_that_cannot_meet_a_target_is_left_out_with_its_reason() -> None:
    entries = equal_cost_entries(
        B0, [get_rule("resolution"), get_rule("width")], parse_target_sets(["parameters<=4M"], B0)
    )
    reasons = {e.rule: e.reason for e in entries if e.member is None}
    assert "resolution" in reasons
    assert "width" not in reasons


def test_seeds_give_their_own_error_beside_that_of_sampling() -> None:
    rows = [ended(v).evaluation for v in (0.80, 0.82, 0.84)]
    accuracy = accuracy_of([row for row in rows if row], "val")
    assert accuracy is not None
    assert accuracy.mean == pytest.approx(0.82)
    assert accuracy.seed_error == pytest.approx(0.02 / math.sqrt(3))
    assert accuracy.sampling_error == pytest.approx(0.01)
    assert accuracy_of([], "val") is None
