"""What earlier searches are worth to a later one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nas.pareto import hypervolume
from nas.search.samplers import make_sampler
from nas.search.samplers.contract import Earlier, ObjectiveSpec, Problem, TrialState
from nas.search.samplers.earlier import first_choices, learn
from search_spaces.space import Choices, Decision

DECISIONS = tuple(Decision(f"x{i}", (3, 5, 7)) for i in range(12))
OBJECTIVES = (ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False, known=True))
EFFECTS = np.random.default_rng(3).normal(size=(12, 3)) + np.linspace(0, 1, 3)


def macs(choices: Sequence[Choices]) -> dict[str, np.ndarray]:
    return {"macs": np.array([sum(float(c[f"x{i}"]) ** 2 for i in range(12)) for c in choices])}


def accuracy(choices: Choices, change: float = 0.0) -> float:
    """With `change`, on data that is somewhat other."""
    other = np.random.default_rng(4).normal(size=(12, 3))
    table = EFFECTS + change * other
    return float(sum(table[i, (3, 5, 7).index(int(choices[f"x{i}"]))] for i in range(12)))


def problem(earlier: tuple[Earlier, ...] = (), seed: int = 0) -> Problem:
    return Problem(
        decisions=DECISIONS,
        objectives=OBJECTIVES,
        known_costs=macs,
        reference=(0.0, 600.0),
        seed=seed,
        earlier=earlier,
    )


def earlier_search(change: float, sign: float = 1.0, noise: float = 0.0) -> Earlier:
    """60 random networks, on a scale of that search's own."""
    rng = np.random.default_rng(8)
    choices = [{d.name: d.options[rng.integers(3)] for d in DECISIONS} for _ in range(60)]
    values = [
        (0.7 + 0.02 * (sign * accuracy(c, change) * (noise == 0) + noise * rng.normal()),)
        for c in choices
    ]
    return Earlier(name="before", choices=choices, values=values)


def found(earlier: tuple[Earlier, ...], trials: int, seed: int) -> float:
    """Hypervolume of a search that is fed as a job feeds it."""
    task = problem(earlier, seed)
    sampler = make_sampler("known_cost", task)
    for choices in first_choices(task, 8):
        sampler.enqueue(choices)
    points = []
    for _ in range(trials):
        (record,) = sampler.ask(1)
        values = (accuracy(record.choices), float(macs([record.choices])["macs"][0]))
        sampler.tell(replace(record, state=TrialState.COMPLETED, values=values))
        points.append(values)
    return hypervolume(np.array(points), (0.0, 600.0), (True, False))


def test_a_related_search_saves_evaluations() -> None:
    related = (earlier_search(change=0.3),)
    with_it = [found(related, 20, seed) for seed in range(2)]
    without = [found((), 20, seed) for seed in range(2)]
    assert np.mean(with_it) > 1.05 * np.mean(without)


def test_a_search_that_misleads_is_soon_not_heard() -> None:
    assert found((earlier_search(change=0.0, sign=-1.0),), 40, 0) > 0.9 * found((), 40, 0)


def test_a_search_that_cannot_rank_what_it_has_not_seen_is_not_listened_to() -> None:
    (good,) = learn(problem((earlier_search(change=0.3),)))
    assert good.correlation > 0.7
    nonsense = problem((earlier_search(change=0.3, noise=1.0),))
    assert learn(nonsense) == []
    assert first_choices(nonsense, 5) == []


def test_the_first_choices_are_the_earlier_front_within_the_bounds() -> None:
    earlier = earlier_search(change=0.0)

    def violation(choices: Sequence[Choices]) -> np.ndarray:
        return np.maximum(macs(choices)["macs"] - 350.0, 0.0)

    task = replace(problem((earlier,)), constraint_violation=violation)
    chosen = first_choices(task, 5)
    assert 2 <= len(chosen) <= 5
    costs = macs(chosen)["macs"]
    assert max(costs) <= 350
    gains = [accuracy(c) for c in chosen]
    by_cost = [gain for _, gain in sorted(zip(costs, gains))]
    assert by_cost == sorted(by_cost)


def test_a_restored_sampler_goes_on_with_what_it_learned() -> None:
    earlier = earlier_search(change=0.3)
    old, told = make_sampler("known_cost", problem((earlier,))), []
    for _ in range(14):
        (record,) = old.ask(1)
        values = (accuracy(record.choices), float(macs([record.choices])["macs"][0]))
        told.append(old.tell(replace(record, state=TrialState.COMPLETED, values=values)))
    new = make_sampler("known_cost", problem((earlier,)))
    new.restore(told)
    assert new.ask(1)[0].choices == old.ask(1)[0].choices


@pytest.mark.parametrize("name", ["random", "nsga2", "tpe"])
def test_samplers_that_cannot_learn_from_it_take_no_harm(name: str) -> None:
    sampler = make_sampler(name, problem((earlier_search(change=0.3),)))
    assert len(sampler.ask(3)) == 3
