"""A search as one call: any options, any function, any costs."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import nas.search
from nas.errors import InvalidRequestError, NasError
from nas.search.samplers import SAMPLERS
from nas.search.samplers.contract import TrialState
from search_spaces.spaces import get_space

SPACE = {f"x{i:02}": [3, 5, 7] for i in range(4)} | {"skip": ["none", "identity"]}
OBJECTIVES = {"accuracy": "maximize", "macs": "minimize"}


def accuracy(choice: dict[str, Any]) -> dict[str, float]:
    gain = sum(1 - math.exp(-choice[f"x{i:02}"] / (2 + i)) for i in range(4))
    return {"accuracy": 60 + 8 * gain + (choice["skip"] == "identity")}


def macs(choices: list[dict[str, Any]]) -> list[float]:
    return [sum(c[f"x{i:02}"] ** 2 for i in range(4)) for c in choices]


def search(**changes: Any) -> list[nas.search.Trial]:
    arguments: dict[str, Any] = {
        "space": SPACE,
        "evaluate": accuracy,
        "known_costs": {"macs": macs},
        "objectives": OBJECTIVES,
        "budget": 12,
        "sampler": "random",
    }
    return nas.search.run_search(**{**arguments, **changes})


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"gp"}))  # 5 s, as in its contract
def test_every_sampler_spends_its_budget_in_order(sampler: str) -> None:
    trials = search(sampler=sampler, reference={"accuracy": 50.0, "macs": 700.0}, seed=3)
    assert [t.number for t in trials] == list(range(12))
    for trial in trials:
        assert trial.state == "completed"
        assert trial.values["accuracy"] == accuracy(dict(trial.choice))["accuracy"]
        assert trial.values["macs"] == macs([dict(trial.choice)])[0]
        assert list(trial.choice) == list(SPACE)


def test_the_same_seed_finds_the_same() -> None:
    first, again, other = (search(sampler="known_cost", seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_costs_are_known_before_anything_is_evaluated() -> None:
    seen: list[str] = []

    def cost(choices: list[dict[str, Any]]) -> np.ndarray:
        seen.append("cost")
        assert isinstance(choices, list)
        return np.array(macs(choices))

    def evaluate(choice: dict[str, Any]) -> dict[str, float]:
        seen.append("evaluate")
        return accuracy(choice)

    search(evaluate=evaluate, known_costs={"macs": cost})
    assert seen[0] == "cost"


def test_without_known_costs_every_objective_is_measured() -> None:
    def evaluate(choice: dict[str, Any]) -> dict[str, float]:
        return {**accuracy(choice), "macs": macs([choice])[0]}

    trials = search(evaluate=evaluate, known_costs=None, sampler="known_cost")
    assert all(t.values["macs"] == macs([dict(t.choice)])[0] for t in trials)
    assert all(t.costs == {} for t in trials)


def test_what_is_known_of_a_cost_stands_whatever_evaluate_says() -> None:
    trials = search(evaluate=lambda choice: {**accuracy(choice), "macs": -1.0})
    assert all(t.values["macs"] == macs([dict(t.choice)])[0] for t in trials)


def test_equal_choices_are_evaluated_once() -> None:
    calls: list[dict[str, Any]] = []

    def evaluate(choice: dict[str, Any]) -> dict[str, float]:
        calls.append(choice)
        return {"accuracy": float(choice["x"])}

    trials = search(
        space={"x": [1, 2]},
        evaluate=evaluate,
        known_costs=None,
        objectives={"accuracy": "maximize"},
    )
    assert len(trials) == 12
    assert len(calls) == 2


def test_what_raises_is_a_failed_trial_and_none_or_nan_an_infeasible_one() -> None:
    def evaluate(choice: dict[str, Any]) -> Any:
        if choice["x00"] == 3:
            raise RuntimeError("the simulator is away")
        if choice["x00"] == 5:
            return None if choice["x01"] == 3 else {"accuracy": float("nan")}
        return accuracy(choice)

    trials = search(evaluate=evaluate, budget=40)
    states = {3: "failed", 5: "infeasible", 7: "completed"}
    for trial in trials:
        assert trial.state == states[int(trial.choice["x00"])]
        assert bool(trial.values) == (trial.state == "completed")
        assert trial.costs["macs"] > 0
    reasons = {t.reason for t in trials}
    assert reasons == {
        "", "RuntimeError: the simulator is away", "None was returned", "accuracy is nan"
    }  # fmt: skip


def test_a_missing_objective_is_a_failed_search_with_what_was_given() -> None:
    with pytest.raises(NasError, match=r"must give accuracy, macs, but gave \['acc', 'macs'\]"):
        search(evaluate=lambda choice: {"acc": 1.0})


def test_nothing_above_a_bound_is_evaluated() -> None:
    evaluated: list[float] = []

    def evaluate(choice: dict[str, Any]) -> dict[str, float]:
        evaluated.append(macs([choice])[0])
        return accuracy(choice)

    trials = search(evaluate=evaluate, constraints=["macs <= 80"])
    assert max(evaluated) <= 80
    assert sum(t.state == "completed" for t in trials) == 12
    broken = [t for t in trials if t.state is TrialState.INFEASIBLE]
    assert broken
    assert all(t.costs["macs"] > 80 and t.reason == "breaks macs <= 80" for t in broken)


def test_a_bound_that_nothing_meets_is_named_with_the_nearest_miss() -> None:
    with pytest.raises(NasError, match="nearest had macs 36 against macs <= 30"):
        search(constraints=["macs <= 30"])


def test_a_cost_that_is_not_a_number_means_that_the_choice_cannot_be_had() -> None:
    def cost(choices: list[dict[str, Any]]) -> list[float]:
        return [math.nan if c["skip"] == "none" else float(c["x00"]) for c in choices]

    for sampler in ("random", "known_cost"):
        trials = search(known_costs={"macs": cost}, sampler=sampler)
        done = [t for t in trials if t.state == "completed"]
        assert len(done) == 12
        assert all(t.choice["skip"] == "identity" for t in done)


def test_workers_evaluate_side_by_side() -> None:
    meeting = threading.Barrier(3)

    def evaluate(choice: dict[str, Any]) -> dict[str, float]:
        meeting.wait(timeout=30)
        return accuracy(choice)

    space = {f"x{i:02}": list(range(1, 200, 2)) for i in range(4)} | {"skip": ["none", "identity"]}
    trials = search(space=space, evaluate=evaluate, workers=3)
    assert [t.state for t in trials] == ["completed"] * 12


def test_each_trial_is_heard_as_it_ends() -> None:
    heard: list[nas.search.Trial] = []
    assert search(on_trial=heard.append) == heard


def test_the_front_is_what_no_trial_beats() -> None:
    trials = search(budget=40)
    front = nas.search.pareto_front(trials, OBJECTIVES)
    points = [(t.values["accuracy"], -t.values["macs"]) for t in trials]
    for trial, (a, m) in zip(trials, points):
        beaten = any(b >= a and n >= m and (b, n) != (a, m) for b, n in points)
        assert (trial in front) == (not beaten)
    assert nas.search.pareto_front([], OBJECTIVES) == []


def test_a_real_space_brings_its_exact_costs() -> None:
    space = get_space("mobilenet_v1")
    trials = search(
        space=space, known_costs=None, evaluate=lambda c: {"accuracy": c["resolution"]}, budget=4
    )
    from nas.cost import count

    for trial in trials:
        assert trial.values["macs"] == count(space.decode(trial.choice)).macs


def test_a_generator_may_report_on_the_way() -> None:
    def evaluate(choice: dict[str, Any]) -> Any:
        for epoch in range(3):
            yield {"accuracy": epoch}
        return accuracy(choice)

    assert search(evaluate=evaluate)[0].values["accuracy"] > 60


def test_errors_of_a_metric_reach_the_sampler() -> None:
    trials = search(
        evaluate=lambda c: {**accuracy(c), "accuracy_se": 0.5}, sampler="known_cost", budget=15
    )
    assert trials[0].values["accuracy_se"] == 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {}}, "map one or more names to their options"),
        ({"space": {"x": []}}, "'x' must have one or more options"),
        ({"space": {"x": [1, 1.0]}}, "none twice"),
        ({"space": {"x": "abc"}}, "The options of 'x' must be a list"),
        ({"space": {"x": [[3]]}}, "must be a number or a text"),
        ({"objectives": {}}, "`objectives` must map"),
        ({"objectives": {"accuracy": "up"}}, "must be 'maximize' or 'minimize', but got 'up'"),
        ({"budget": 0}, "`budget` must be"),
        ({"workers": 1.5}, "`workers` must be"),
        ({"sampler": "magic"}, "Unknown sampler 'magic'"),
        ({"sampler_options": {"magic": 1}}, "`magic` is not an option"),
        ({"constraints": ["accuracy >= 3"]}, "must be on one of macs, but got 'accuracy'"),
        ({"constraints": ["macs < 3"]}, "A bound must read like"),
        ({"known_costs": None, "constraints": ["macs <= 3"]}, "`known_costs` has none"),
        ({"known_costs": {"macs": 3}}, "must be a function"),
        ({"known_costs": {"macs": lambda c: 3.0}}, "must give one number a choice"),
        ({"known_costs": {"macs": lambda c: ["x"] * len(c)}}, "must give one number a choice"),
        ({"reference": {"accuracy": 50.0}}, "must name the objectives accuracy, macs"),
    ],
)
def test_a_wrong_argument_is_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        search(**changes)


def test_importing_the_search_loads_nothing_heavy() -> None:
    code = "import sys, nas.search; assert not {'numpy', 'optuna', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
