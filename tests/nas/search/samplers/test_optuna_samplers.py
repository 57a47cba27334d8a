"""What Optuna's samplers promise beyond the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.search.samplers import make_sampler
from nas.search.samplers.contract import TrialRecord, TrialState
from nas.search.samplers.optuna_samplers import OptunaSampler
from tests.nas.search.samplers.problems import completed, make_problem, run


def generations(records: list[TrialRecord]) -> list[int]:
    return [
        value
        for record in records
        for key, value in record.attributes["system"].items()
        if key.endswith(":generation")
    ]


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_a_restored_population_goes_on_in_its_generation(name: str) -> None:
    old = make_sampler(name, make_problem(), population_size=5)
    told = run(old, 17)
    assert generations(told) == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 2
    restored = make_sampler(name, make_problem(), population_size=5)
    restored.restore(told)
    assert generations([*run(restored, 4)]) == [3] * 3 + [4]


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_parents_stay_those_chosen_when_their_generation_opened(name: str) -> None:
    """A straggler that ends later belongs to its generation and was no candidate for a parent."""
    old = make_sampler(name, make_problem(), population_size=4)
    told = run(old, 8)
    straggler, *rest = old.ask(6)
    told += [old.tell(completed(record)) for record in rest]
    (child,) = old.ask(1)
    told.insert(8, old.tell(completed(straggler)))
    told.append(old.tell(completed(child)))
    restored = make_sampler(name, make_problem(), population_size=4)
    restored.restore(told)
    for _ in range(3):
        (expected,), (found,) = old.ask(1), restored.ask(1)
        assert found == expected
        old.tell(completed(expected))
        restored.tell(completed(found))


@pytest.mark.parametrize("name", ["nsga2", "nsga3", "tpe"])
@pytest.mark.parametrize("state", [TrialState.INFEASIBLE, TrialState.FAILED])
def test_what_is_infeasible_or_fails_is_suggested_less_and_less(
    name: str, state: TrialState
) -> None:
    small = {"startup_trials": 10} if name == "tpe" else {"population_size": 10}
    forbidden = []
    for seed in range(5):
        sampler = make_sampler(name, make_problem(seed=seed), **small)
        hits = []
        for _ in range(60):
            (record,) = sampler.ask(1)
            hits.append(record.choices["kernel2"] == 7)
            sampler.tell(replace(record, state=state) if hits[-1] else completed(record))
        forbidden.append((sum(hits[:10]), sum(hits[-10:])))
    first, last = np.sum(forbidden, axis=0)
    assert last < first / 2


def test_trials_that_violate_nothing_leave_the_study_unconstrained() -> None:
    sampler = make_sampler("nsga2", make_problem())
    assert isinstance(sampler, OptunaSampler)
    run(sampler, 3)
    assert all(not t.constraints for t in sampler._study.trials)
