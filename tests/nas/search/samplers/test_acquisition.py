"""The closed form against volumes that are counted, and expectations that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.pareto import hypervolume, non_dominated
from nas.search.samplers.acquisition import (
    cut_cells,
    expected_hypervolume_improvement,
    expected_improvement,
)


def improvement(front: np.ndarray, point: np.ndarray, reference: np.ndarray) -> float:
    """What a point adds to the hypervolume, from the definition."""
    with_point = np.vstack([front, point])
    return hypervolume(with_point, reference, True) - hypervolume(front, reference, True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), objectives=st.integers(1, 4), points=st.integers(0, 7))
def test_for_known_objectives_it_is_the_improvement_itself(
    seed: int, objectives: int, points: int
) -> None:
    rng = np.random.default_rng(seed)
    reference = np.full(objectives, 0.2)
    front = rng.integers(0, 6, (points, objectives)) / 5  # coordinates that coincide
    candidates = rng.integers(0, 6, (5, objectives)) / 5
    found = expected_hypervolume_improvement(
        candidates, np.zeros_like(candidates), cut_cells(front, reference)
    )
    expected = [improvement(front, point, reference) for point in candidates]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("unknown", "objectives"), [((1,), 2), ((2,), 3), ((1, 2), 3), ((0, 1, 2), 3), ((0,), 1)]
)
def test_it_is_the_mean_improvement_over_draws_of_what_is_unknown(
    unknown: tuple[int, ...], objectives: int
) -> None:
    rng = np.random.default_rng(1)
    reference = np.zeros(objectives)
    front = rng.random((5, objectives))
    mean = rng.random((1, objectives)) + 0.2
    deviation = np.zeros((1, objectives))
    deviation[0, list(unknown)] = 0.3
    draws = mean + deviation * rng.standard_normal((800, objectives))
    drawn = [improvement(front, np.maximum(draw, 0), reference) for draw in draws]
    (found,) = expected_hypervolume_improvement(mean, deviation, cut_cells(front, reference))
    assert abs(found - np.mean(drawn)) < 4 * np.std(drawn) / np.sqrt(len(drawn))


def test_only_the_front_cuts_cells() -> None:
    """So the work of a suggestion does not grow with every trial that was told."""
    rng = np.random.default_rng(0)
    points, reference = rng.random((200, 2)), np.zeros(2)
    everything = cut_cells(points, reference)
    front = cut_cells(points[non_dominated(points, True)], reference)
    np.testing.assert_array_equal(everything.edges[0], front.edges[0])
    np.testing.assert_array_equal(everything.levels, front.levels)
    assert len(everything.levels) < 30


def test_with_one_known_cost_it_is_the_sum_over_steps_of_width_times_improvement() -> None:
    costs, accuracies = np.array([1.0, 3.0]), np.array([0.5, 0.8])
    cells = cut_cells(np.stack([-costs, accuracies], axis=1), np.array([-10.0, 0.2]))
    mean, deviation = np.array([[-2.0, 0.7]]), np.array([[0.0, 0.1]])
    (found,) = expected_hypervolume_improvement(mean, deviation, cells)
    over = [
        expected_improvement(np.array([0.7]), np.array([0.1]), np.array([level]))[0]
        for level in (0.5, 0.8)
    ]
    assert found == pytest.approx((3 - 2) * over[0] + (10 - 3) * over[1])


def test_a_large_front_is_rounded_down_and_never_overstated() -> None:
    rng = np.random.default_rng(2)
    front, candidates = rng.random((300, 3)), rng.random((40, 3))
    known, reference = np.zeros_like(candidates), np.zeros(3)
    exact = expected_hypervolume_improvement(candidates, known, cut_cells(front, reference, 10**6))
    rounded = expected_hypervolume_improvement(candidates, known, cut_cells(front, reference, 400))
    assert (rounded >= exact - 1e-12).all()
    np.testing.assert_allclose(rounded, exact, atol=0.02)
