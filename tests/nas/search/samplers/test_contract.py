"""What every sampler promises."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from nas.errors import InvalidRequestError
from nas.search.samplers import SAMPLERS, make_sampler
from nas.search.samplers.contract import Problem, Sampler, TrialRecord, TrialState
from nas.search.samplers.rows import check_choices
from tests.nas.search.samplers.problems import DECISIONS, completed, make_problem, run

pytestmark = pytest.mark.filterwarnings("error")

# small enough that most samplers are past their start within a few trials
OPTIONS = {
    "nsga2": {"population_size": 4},
    "nsga3": {"population_size": 4},
    "known_cost": {"startup_trials": 4},
    "tpe": {"startup_trials": 4},
    "gp": {"startup_trials": 10},  # a quarter of a second each
}


@pytest.fixture(params=sorted(SAMPLERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def make(name: str, problem: Problem | None = None) -> Sampler:
    return make_sampler(name, problem or make_problem(), **OPTIONS.get(name, {}))


def as_stored(record: TrialRecord) -> TrialRecord:
    """What comes back from a database: attributes that have been JSON."""
    return replace(
        record,
        choices=json.loads(json.dumps(dict(record.choices))),
        attributes=json.loads(json.dumps(dict(record.attributes))),
    )


def test_suggestions_answer_every_decision_and_count_from_zero(name: str) -> None:
    sampler, problem = make(name), make_problem()
    records = [*sampler.ask(3), *sampler.ask(2)]
    assert [r.number for r in records] == [0, 1, 2, 3, 4]
    for record in records:
        check_choices(problem, record.choices)
        assert set(record.choices) == {d.name for d in DECISIONS}
        assert record.state is TrialState.RUNNING


def test_the_same_seed_suggests_the_same(name: str) -> None:
    first, second, other = (
        [r.choices for r in run(make(name, make_problem(seed=seed)), 10)] for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize("stop", [1, 6, 13])
def test_a_restored_sampler_goes_on_as_the_old_one_would_have(name: str, stop: int) -> None:
    uninterrupted = make(name)
    told = run(uninterrupted, stop)
    restored = make(name)
    restored.restore([as_stored(record) for record in told])
    for _ in range(6):
        (expected,), (found,) = uninterrupted.ask(1), restored.ask(1)
        assert found == expected
        uninterrupted.tell(completed(expected))
        restored.tell(completed(found))


def test_a_sampler_restored_with_pending_trials_waits_for_them(name: str) -> None:
    old = make(name)
    told = run(old, 6)
    pending = old.ask(3)
    restored = make(name)
    restored.restore([as_stored(r) for r in [*told, *pending]])
    for record in reversed(pending):
        assert old.tell(completed(record)) == restored.tell(completed(record))
    assert [r.number for r in restored.ask(2)] == [9, 10]


def test_trials_may_end_in_any_order_and_in_every_way(name: str) -> None:
    sampler = make(name)
    for _ in range(4):
        a, b, c, d, e = sampler.ask(5)
        sampler.tell(completed(e))
        sampler.tell(replace(c, state=TrialState.INFEASIBLE, violation=0.4))
        sampler.tell(replace(a, state=TrialState.FAILED))
        sampler.tell(replace(b, state=TrialState.PRUNED))
        sampler.tell(completed(d))
    assert sampler.ask(1)[0].number == 20


def test_ended_trials_of_every_kind_are_restored(name: str) -> None:
    old = make(name)
    told = run(old, 5)
    ends = (TrialState.INFEASIBLE, TrialState.FAILED, TrialState.PRUNED)
    told += [old.tell(replace(r, state=s)) for r, s in zip(old.ask(3), ends)]
    told += [old.tell(completed(r)) for r in old.ask(6)]
    restored = make(name)
    restored.restore([as_stored(record) for record in told])
    assert restored.ask(1) == old.ask(1)


def test_enqueued_choices_come_first_and_in_order(name: str) -> None:
    sampler = make(name)
    run(sampler, 5)
    wanted = [{d.name: d.options[i] for d in DECISIONS} for i in (0, 1)]
    for choices in wanted:
        sampler.enqueue(choices)
    assert [r.choices for r in sampler.ask(3)][:2] == wanted


def test_a_wrong_answer_is_not_enqueued(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="`kernel0` must be one of 3, 5, 7, but got 4"):
        make(name).enqueue({**{d.name: d.options[0] for d in DECISIONS}, "kernel0": 4})


def test_a_finite_space_offers_only_its_rows(name: str) -> None:
    rows = [
        {d.name: d.options[(i + j) % len(d.options)] for j, d in enumerate(DECISIONS)}
        for i in range(12)
    ]
    sampler = make(name, make_problem(rows=rows))
    assert all(record.choices in rows for record in run(sampler, 10, batch=2))


def test_a_trial_is_told_once(name: str) -> None:
    sampler = make(name)
    (record,) = sampler.ask(1)
    sampler.tell(completed(record))
    with pytest.raises(ValueError, match="told before"):
        sampler.tell(completed(record))


def test_one_objective_is_enough(name: str) -> None:
    problem = make_problem()
    sampler = make(name, replace(problem, objectives=problem.objectives[:1]))
    for _ in range(12):
        (record,) = sampler.ask(1)
        done = completed(record)
        sampler.tell(replace(done, values=(done.values or ())[:1]))


def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"`popsize` is not an option of.*{name}"):
        make_sampler(name, make_problem(), popsize=3)


def test_an_unknown_sampler_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidRequestError, match=r"Unknown sampler 'nsga'. Available: .*nsga2"):
        make_sampler("nsga", make_problem())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nsga2", {"population_size": 1}, "`population_size` must be at least 2, but got 1"),
        ("nsga3", {"mutation_prob": 1.5}, "`mutation_prob` must be from 0 to 1, but got 1.5"),
        ("tpe", {"multivariate": "yes"}, "`multivariate` must be true or false, but got 'yes'"),
        ("gp", {"startup_trials": 2.5}, "`startup_trials` must be a whole number, but got 2.5"),
    ],
)
def test_a_wrong_value_of_an_option_is_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        make_sampler(name, make_problem(), **options)


def test_listing_samplers_loads_neither_optuna_nor_scipy() -> None:
    code = (
        "import sys, nas.search.samplers;"
        "assert not {'optuna', 'scipy', 'torch'} & set(sys.modules), 'too much is loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
