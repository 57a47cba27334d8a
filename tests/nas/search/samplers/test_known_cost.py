"""What our own sampler promises beyond the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from nas.pareto import hypervolume
from nas.search.samplers import known_cost, make_sampler
from nas.search.samplers.contract import ObjectiveSpec, TrialRecord, TrialState
from nas.search.samplers.planning import Beliefs, Observations, make_goals
from search_spaces.space import Choices
from tests.nas.search.samplers.problems import (
    DECISIONS,
    accuracy,
    completed,
    macs,
    make_problem,
    run,
)

SMALL = [
    {**{d.name: d.options[0] for d in DECISIONS}, "kernel0": a, "kernel1": b, "skip0": c}
    for a in (3, 5, 7)
    for b in (3, 5, 7)
    for c in ("none", "identity")
]


def spread(records: Sequence[TrialRecord]) -> set[tuple[object, ...]]:
    return {tuple(record.choices.values()) for record in records}


def volume(records: Sequence[TrialRecord]) -> float:
    points = np.array([r.values for r in records if r.values is not None])
    return hypervolume(points, (0.5, 200.0), (True, False))


def test_nothing_is_suggested_twice_while_something_is_left() -> None:
    sampler = make_sampler("known_cost", make_problem(rows=SMALL))
    told = run(sampler, len(SMALL), batch=5)
    assert len(spread(told)) == len(SMALL)
    assert all(record.choices in SMALL for record in run(sampler, 3))


def test_the_start_is_spread_over_the_range_of_costs() -> None:
    first = make_sampler("known_cost", make_problem()).ask(10)
    costs = np.sort(macs([r.choices for r in first])["macs"])
    assert costs[0] < 60  # of 36 to 196
    assert costs[-1] > 160
    assert np.diff(costs).max() < 40


def test_costs_beyond_the_reference_are_not_tried() -> None:
    sampler = make_sampler("known_cost", make_problem(reference=(0.5, 120.0)))
    assert all(macs([r.choices])["macs"][0] < 130 for r in run(sampler, 20))


def test_it_needs_fewer_evaluations_than_random_search() -> None:
    """The front of the 324 choices, after 25 of them, on average over seeds."""
    ours, chance = (
        np.mean([volume(run(make_sampler(name, make_problem(seed=s)), 25)) for s in range(4)])
        for name in ("known_cost", "random")
    )
    everything = make_sampler("random", make_problem())
    best = volume(run(everything, 2_000))
    assert best - ours < 0.2 * (best - chance)


def test_a_batch_is_diverse_and_counts_pending_trials() -> None:
    sampler = make_sampler("known_cost", make_problem())
    run(sampler, 12)
    first, second = sampler.ask(6), sampler.ask(6)
    assert len(spread([*first, *second])) == 12


def test_many_workers_whose_first_results_are_alike_in_cost_are_served() -> None:
    def alike(choices: Sequence[Choices]) -> dict[str, np.ndarray]:
        return {"macs": np.where([c["kernel0"] == 3 for c in choices], 40.0, macs(choices)["macs"])}

    sampler = make_sampler("known_cost", make_problem(known_costs=alike))
    asked = sampler.ask(120)
    for record in [r for r in asked if r.choices["kernel0"] == 3][:6]:
        sampler.tell(replace(completed(record), values=(accuracy(record.choices), 40.0)))
    assert len(spread([*asked, *sampler.ask(4)])) == 124


def test_more_pending_trials_than_the_model_sees_are_not_suggested_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_cost, "MOST_DATA", 20)
    monkeypatch.setattr(known_cost, "MOST_AT_ONCE", 7)
    sampler = make_sampler("known_cost", make_problem())
    asked = sampler.ask(60)
    for record in asked[:10]:
        sampler.tell(completed(record))
    assert len(spread([*asked, *sampler.ask(30)])) == 90


def test_what_violates_a_constraint_is_never_suggested() -> None:
    problem = make_problem(
        constraint_violation=lambda choices: np.maximum(macs(choices)["macs"] / 100 - 1, 0)
    )
    told = run(make_sampler("known_cost", problem), 30)
    assert all(macs([record.choices])["macs"][0] <= 100 for record in told)


def test_what_is_no_network_is_never_suggested() -> None:
    def with_holes(choices: Sequence[Choices]) -> dict[str, np.ndarray]:
        holes = np.array([c["kernel0"] == 5 for c in choices])
        return {"macs": np.where(holes, np.nan, macs(choices)["macs"])}

    told = run(make_sampler("known_cost", make_problem(known_costs=with_holes)), 25)
    assert all(record.choices["kernel0"] != 5 for record in told)


@pytest.mark.parametrize("state", [TrialState.INFEASIBLE, TrialState.FAILED])
def test_what_is_infeasible_or_fails_is_avoided(state: TrialState) -> None:
    sampler = make_sampler("known_cost", make_problem())
    hits = []
    for _ in range(40):
        (record,) = sampler.ask(1)
        hits.append(record.choices["kernel2"] == 7)
        sampler.tell(replace(record, state=state) if hits[-1] else completed(record))
    assert sum(hits[10:]) <= 4


def test_a_space_in_which_everything_fails_goes_on() -> None:
    sampler = make_sampler("known_cost", make_problem())
    for _ in range(15):
        (record,) = sampler.ask(1)
        sampler.tell(replace(record, state=TrialState.FAILED))
    assert sampler.ask(1)[0].number == 15


def test_a_loss_to_minimise_is_an_accuracy_to_maximise() -> None:
    def suggestions(sign: float) -> list[Choices]:
        problem = make_problem(
            objectives=(ObjectiveSpec("score", sign > 0), ObjectiveSpec("macs", False, True))
        )
        sampler, found = make_sampler("known_cost", problem), []
        for _ in range(14):
            (record,) = sampler.ask(1)
            found.append(record.choices)
            values = (sign * accuracy(record.choices), float(macs([record.choices])["macs"][0]))
            sampler.tell(replace(record, state=TrialState.COMPLETED, values=values))
        return found

    assert suggestions(1.0) == suggestions(-1.0)


def depth(choices: Choices) -> float:
    return sum(float(choices[f"kernel{i}"]) for i in range(3))


@pytest.mark.parametrize(
    ("objectives", "values"),
    [
        pytest.param(
            ("accuracy", "macs", "depth"),
            lambda c, known: (accuracy(c), known["macs"], known["depth"]),
            id="two known costs",
        ),
        pytest.param(
            ("accuracy", "latency", "macs"),
            lambda c, known: (accuracy(c), known["macs"] * (1 + 0.1 * depth(c)), known["macs"]),
            id="two unknown objectives",
        ),
        pytest.param(("macs", "depth"), lambda c, known: tuple(known.values()), id="all known"),
        pytest.param(("accuracy",), lambda c, known: (accuracy(c),), id="one objective"),
    ],
)
def test_any_number_of_known_and_unknown_objectives_is_searched(
    objectives: tuple[str, ...], values: Callable[..., tuple[float, ...]]
) -> None:
    def costs(choices: Sequence[Choices]) -> dict[str, np.ndarray]:
        return {**macs(choices), "depth": np.array([depth(c) for c in choices])}

    problem = make_problem(
        objectives=tuple(ObjectiveSpec(name, name == "accuracy") for name in objectives),
        known_costs=costs,
    )
    sampler = make_sampler("known_cost", problem)
    for _ in range(6):
        for record in sampler.ask(3):
            known = {name: float(v[0]) for name, v in costs([record.choices]).items()}
            done = values(record.choices, known)
            sampler.tell(replace(record, state=TrialState.COMPLETED, values=done))
    assert len(spread(sampler.ask(3))) == 3


def test_a_fit_by_another_version_of_the_model_is_made_anew() -> None:
    problem = make_problem()
    told = run(make_sampler("known_cost", problem), 14)
    old = [
        replace(r, attributes={**r.attributes, "thetas": [[0.0] * 3] * 2, "fitted_at": 13})
        for r in told
    ]
    sampler = make_sampler("known_cost", problem)
    sampler.restore(old)
    (asked,) = sampler.ask(1)
    assert tuple(asked.choices.values()) not in spread(told)


def test_without_any_known_cost_it_is_a_plain_model_based_search() -> None:
    told = run(make_sampler("known_cost", make_problem(known_costs=None)), 16)
    assert len(spread(told)) == 16


def test_to_believe_a_candidate_is_to_condition_on_its_expectation() -> None:
    """The quick update of a batch against the model made anew with the pending trial."""
    from nas.search.samplers.candidates import Candidates
    from nas.search.samplers.features import make_layout
    from nas.search.samplers.model import Kernel
    from nas.search.samplers.rows import encode

    problem = make_problem()
    candidates = Candidates(problem)
    goals, kernel = (
        make_goals(problem.objectives, candidates.metrics),
        Kernel(make_layout(problem.decisions, 1)),
    )
    drawn = make_sampler("random", problem).ask(30)
    pool = candidates.price(encode(DECISIONS, [r.choices for r in drawn]))
    told = pool.take(np.arange(12))
    values = np.array([[accuracy(r.choices)] for r in drawn[:12]])
    nothing = pool.take(np.arange(0))
    seen = Observations(
        told=told,
        values=values,
        noise=np.zeros_like(values),
        pending=nothing,
        lost=nothing,
        reference=np.array([-200.0, 0.5]),
    )
    thetas, open_pool = [kernel.prior[0]] * 2, pool.take(np.arange(12, 30))
    quick = Beliefs(kernel, thetas, goals, seen).shortlist(open_pool)
    quick.believe(4)
    slow = Beliefs(
        kernel, thetas, goals, replace(seen, pending=open_pool.take(np.array([4])))
    ).shortlist(open_pool)
    front = goals.gains(told.costs, values)
    np.testing.assert_allclose(
        quick.score(front, seen.reference), slow.score(front, seen.reference), rtol=1e-6
    )
