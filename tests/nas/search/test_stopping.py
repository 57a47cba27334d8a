"""Early stopping for several objectives: who goes on, and what becomes of who doesn't."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nas.search
from nas.errors import InvalidRequestError
from nas.evaluation.contract import Request
from nas.jobs.reporter import SilentReporter
from nas.jobs.run import SEARCH, run_job
from nas.jobs.spec import job_from_dict
from nas.jobs.start import start_job, take_up_job
from nas.pareto import non_dominated_rank
from nas.search.samplers.contract import ObjectiveSpec
from nas.search.stopping import HalvingSettings, SuccessiveHalving, rank_by_front
from nas.store import Filter, Store

OBJECTIVES = (ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False, known=True))
EPOCHS = 8


def learning(request: Request) -> Generator[dict[str, float], None, dict[str, float]]:
    """Learns towards what its network is worth; the order is plain from the first epoch."""
    assert request.architecture is not None
    work = sum(placed.block.out_channels for placed in request.architecture.walk())
    goal = 1.0 - 1.0 / (1.0 + work / 50.0) - 0.2 * (work % 3)
    for epoch in range(1, EPOCHS + 1):
        if "STOPPING_LOG" in os.environ:
            with open(os.environ["STOPPING_LOG"], "a") as log:
                log.write(f"{request.key} {epoch}\n")
        yield {"val_accuracy": max(0.0, goal) * (1 - math.exp(-epoch))}
    return {"val_accuracy": max(0.0, goal)}


def job(executor: str = "inline", **search: Any) -> Any:
    return job_from_dict(
        {
            "name": "halved",
            "evaluator": "tests.nas.search.test_stopping:learning",
            "resolution": 16,
            "search": {
                "trials": 24,
                "sampler": "random",
                "early_stopping": {"full": EPOCHS, "eta": 2},
                **search,
            },
            "execution": {"executor": executor, "workers": 2},
            "scaling": None,
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


points = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), min_size=1, max_size=12)


@given(points)
def test_the_order_is_front_by_front_and_holds_every_point_once(rows: list[Any]) -> None:
    array = np.array(rows)
    order = rank_by_front(array, [True, False, True])
    assert sorted(order) == list(range(len(rows)))
    ranks = non_dominated_rank(array, [True, False, True])[order]
    assert list(ranks) == sorted(ranks)


def test_the_beginning_of_a_front_is_spread_over_it() -> None:
    line = np.array([[float(i), float(10 - i)] for i in range(11)])
    assert rank_by_front(line, [True, True])[:3] == [10, 0, 5]


def test_nobody_is_stopped_before_a_few_have_come() -> None:
    halving = SuccessiveHalving(HalvingSettings(eta=2, full=8, least=4), OBJECTIVES)
    verdicts = [halving.goes_on(i, 1.0, (-i, 100.0 + i)) for i in range(6)]
    assert verdicts == [True, True, True, False, False, False]


def test_the_best_half_of_each_rung_goes_on_in_the_long_run() -> None:
    rng = np.random.default_rng(0)
    halving = SuccessiveHalving(HalvingSettings(eta=2, full=8), OBJECTIVES)
    reached = dict.fromkeys((1.0, 2.0, 4.0, 8.0), 0)
    for trial in range(300):
        values = rng.normal(size=2)
        for rung in reached:
            reached[rung] += 1
            if not halving.goes_on(trial, rung, tuple(values)):
                break
    shares = [reached[b] / reached[a] for a, b in ((1.0, 2.0), (2.0, 4.0), (4.0, 8.0))]
    assert all(0.4 < share < 0.7 for share in shares)


def test_a_trial_on_the_front_of_its_rung_outlives_one_that_is_not() -> None:
    halving = SuccessiveHalving(HalvingSettings(eta=2, full=8, least=2), OBJECTIVES)
    for i in range(10):
        halving.goes_on(i, 1.0, (0.5, 100.0))
    assert not halving.goes_on(10, 1.0, (0.4, 120.0))
    assert halving.goes_on(11, 1.0, (0.4, 20.0))
    assert halving.goes_on(12, 1.0, (0.9, 900.0))


def test_between_rungs_and_at_the_end_nobody_is_stopped() -> None:
    halving = SuccessiveHalving(HalvingSettings(eta=2, full=4, least=1), OBJECTIVES)
    halving.goes_on(0, 1.0, (0.9, 1.0))
    assert not halving.goes_on(1, 1.0, (0.1, 2.0))
    assert halving.goes_on(1, 1.5, (0.1, 2.0))
    assert halving.goes_on(1, 4.0, (0.1, 2.0))


def test_what_was_shown_is_restored() -> None:
    old, new = (SuccessiveHalving(HalvingSettings(eta=2, full=8), OBJECTIVES) for _ in range(2))
    for trial in range(9):
        for rung in (1.0, 2.0):
            old.goes_on(trial, rung, (trial / 10, 100.0))
    for trial in range(9):
        new.restore(trial, old.shown(trial))
    for trial, values in ((20, (0.5, 90.0)), (21, (0.1, 200.0))):
        assert old.goes_on(trial, 1.0, values) == new.goes_on(trial, 1.0, values)
    assert old.shown(3) == new.shown(3)


def test_stopped_trials_are_pruned_with_their_fidelity_and_on_no_front(
    store: Store, tmp_path: Path
) -> None:
    started = start_job(store, job(), str(tmp_path / "artifacts"))
    run_job(store, started.job, started.plan, SilentReporter(), (SEARCH,))
    trials = store.trials(started.job.id)
    pruned = [t for t in trials if t.state == "pruned"]
    assert len(trials) == 24
    assert 4 <= len(pruned) <= 20
    fidelities = {}
    for trial in trials:
        evaluation = store.evaluation(trial.evaluation or "")
        assert evaluation is not None
        fidelities[trial.number] = evaluation.fidelity
        assert (trial.values is None) == (trial.state == "pruned")
    assert {fidelities[t.number] for t in pruned} <= {1.0, 2.0, 4.0}
    assert {fidelities[t.number] for t in trials if t.values} == {float(EPOCHS)}
    assert {row.fidelity for row in store.front(Filter(job=started.job.id))} == {float(EPOCHS)}
    assert {a.fidelity for a in store.attempts(started.job.id)} <= set(fidelities.values())


def test_a_pruned_network_answers_no_other_job(store: Store, tmp_path: Path) -> None:
    first = start_job(store, job(), str(tmp_path / "artifacts"))
    run_job(store, first.job, first.plan, SilentReporter(), (SEARCH,))
    whole = start_job(store, job(early_stopping=None), str(tmp_path / "artifacts"))
    run_job(store, whole.job, whole.plan, SilentReporter(), (SEARCH,))
    trials = store.trials(whole.job.id)
    assert {t.state for t in trials} == {"completed"}
    assert any(t.reused for t in trials)
    assert {row.fidelity for row in store.models(Filter(job=whole.job.id))} == {float(EPOCHS)}


def test_a_resumed_search_stops_whom_the_whole_one_stops(store: Store, tmp_path: Path) -> None:
    class Stopper(SilentReporter):
        def progress(self, snapshot: Any) -> None:
            if snapshot.done >= 11:
                raise KeyboardInterrupt

    def run(reporter: SilentReporter, database: Store, job_row: Any, plan: Any) -> None:
        run_job(database, job_row, plan, reporter, (SEARCH,))

    broken = start_job(store, job(), str(tmp_path / "artifacts"))
    with pytest.raises(KeyboardInterrupt):
        run(Stopper(), store, broken.job, broken.plan)
    again = take_up_job(store, store.find_job(broken.job.id))
    run(SilentReporter(), store, again.job, again.plan)
    with Store.open(f"sqlite:///{tmp_path}/other.db") as other:
        whole = start_job(other, job(), str(tmp_path / "artifacts"))
        run(SilentReporter(), other, whole.job, whole.plan)
        expected = [(t.state, t.values) for t in other.trials(whole.job.id)]
    assert [(t.state, t.values) for t in store.trials(broken.job.id)] == expected


@pytest.mark.parametrize("sampler", ["known_cost", "nsga2", "tpe"])
def test_from_python_a_generator_is_stopped_and_every_sampler_goes_on(sampler: str) -> None:
    epochs = 0

    def evaluate(choice: dict[str, Any]) -> Generator[dict[str, float], None, dict[str, float]]:
        nonlocal epochs
        goal = choice["a"] + choice["b"] / 10
        for epoch in range(1, 9):
            epochs += 1
            yield {"accuracy": goal * (1 - math.exp(-epoch))}
        return {"accuracy": goal}

    trials = nas.search.run_search(
        space={"a": list(range(12)), "b": list(range(10))},
        evaluate=evaluate,
        known_costs={"macs": lambda choices: [c["a"] + c["b"] ** 2 for c in choices]},
        objectives={"accuracy": "maximize", "macs": "minimize"},
        budget=30,
        sampler=sampler,
        early_stopping={"full": 8, "eta": 2},
    )
    states = [t.state for t in trials]
    assert states.count("pruned") >= 3
    assert states.count("completed") + states.count("pruned") == 30
    assert all(t.fidelity in (1.0, 2.0, 4.0) for t in trials if t.state == "pruned")
    assert epochs < 0.9 * 30 * 8


@pytest.mark.ray
def test_ray_carries_the_verdicts(store: Store, tmp_path: Path, ray_here: Path) -> None:
    started = start_job(store, job("ray"), str(tmp_path / "artifacts"))
    run_job(store, started.job, started.plan, SilentReporter(), (SEARCH,))
    trials = store.trials(started.job.id)
    pruned = [t for t in trials if t.state == "pruned"]
    assert len(trials) == 24
    assert 4 <= len(pruned) <= 20
    by_key: dict[str, int] = {}
    for line in ray_here.read_text().splitlines():
        key, epoch = line.split()
        by_key[key] = max(by_key.get(key, 0), int(epoch))
    for trial in pruned:
        evaluation = store.evaluation(trial.evaluation or "")
        assert evaluation is not None
        assert by_key[evaluation.key] == evaluation.fidelity


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"eta": 1.0, "full": 8}, "eta"),
        ({"first": 8, "full": 8}, "must be below the 8 epochs"),
        ({}, "`search.early_stopping.full` must say how many reports"),
        ({"speed": 3}, "speed"),
    ],
)
def test_wrong_settings_are_named_before_anything_runs(
    store: Store, tmp_path: Path, settings: Any, words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        start_job(store, job(early_stopping=settings), str(tmp_path / "artifacts"))
    assert store.list_jobs() == []


def test_wrong_settings_from_python_are_named() -> None:
    with pytest.raises(InvalidRequestError, match="must hold 'full'"):
        nas.search.run_search(
            space={"a": [1]},
            evaluate=lambda choice: {"x": 1.0},
            objectives={"x": "maximize"},
            budget=1,
            early_stopping={"first": 2, "eta": 2},
        )
