"""Dominance, fronts and hypervolume against slow obvious twins, closed forms and a golden table."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.pareto import dominates, hypervolume, knee, non_dominated, non_dominated_rank, tied

MACRO = Path(__file__).parents[3] / "shared" / "data" / "nas_bench_macro"


@st.composite
def point_sets(draw, most=25, objectives=(1, 2, 3, 4, 5), special=True):
    """Few distinct values, so that ties and duplicates are common; some NaN and infinities."""
    shape = (draw(st.integers(0, most)), draw(st.sampled_from(objectives)))
    values = [0.0, 1.0, 2.0, 3.0, 4.0] + ([np.nan, np.inf, -np.inf] if special else [])
    points = draw(arrays(np.float64, shape, elements=st.sampled_from(values)))
    maximize = draw(st.lists(st.booleans(), min_size=shape[1], max_size=shape[1]))
    return points, maximize


def beats(a, b, maximize):
    """Dominance of one point over another, word for word."""
    if np.isnan(a).any() or np.isnan(b).any():
        return False
    pairs = [(x, y) if up else (-x, -y) for x, y, up in zip(a, b, maximize)]
    return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)


def brute_force_front(points, maximize):
    return [
        not np.isnan(p).any() and not any(beats(q, p, maximize) for q in points) for p in points
    ]


def inclusion_exclusion(points, reference, maximize):
    """Volume of the union of boxes as a signed sum over all subsets."""
    signs = np.where(maximize, 1.0, -1.0)
    sizes = [s for s in (points - reference) * signs if (s > 0).all()]
    return sum(
        (-1) ** (k + 1) * np.min(subset, axis=0).prod()
        for k in range(1, len(sizes) + 1)
        for subset in itertools.combinations(sizes, k)
    )


@given(point_sets())
def test_the_front_equals_brute_force(case):
    points, maximize = case
    assert non_dominated(points, maximize).tolist() == brute_force_front(points, maximize)


@given(point_sets(most=2))
def test_dominates_is_its_definition(case):
    points, maximize = case
    for a, b in itertools.product(points, repeat=2):
        assert dominates(a, b, maximize) == beats(a, b, maximize)


@given(point_sets())
def test_ranks_peel_front_after_front(case):
    points, maximize = case
    ranks = non_dominated_rank(points, maximize)
    valid = ~np.isnan(points).any(axis=1)
    for rank in range(ranks.max(initial=-1) + 1):
        left = valid & (ranks >= rank)
        expected = np.flatnonzero(left)[brute_force_front(points[left], maximize)]
        if valid[ranks == rank].any():
            assert np.flatnonzero(ranks == rank).tolist() == expected.tolist()
        else:  # what has a NaN comes last
            assert not left.any()


def test_a_large_random_front_is_undominated_and_dominates_the_rest():
    points = np.random.default_rng(1).normal(size=(100_000, 2))
    front = non_dominated(points, maximize=(True, False))
    best = points[front]
    order = np.argsort(best[:, 1])
    assert (np.diff(best[order, 0]) > 0).all()  # more of one always costs more of the other
    place = np.searchsorted(best[order, 1], points[~front, 1], side="right") - 1
    assert (place >= 0).all()
    assert (best[order, 0][place] >= points[~front, 0]).all()


@settings(deadline=None)
@given(point_sets(most=8, special=False), st.integers(-1, 5))
def test_hypervolume_equals_inclusion_exclusion(case, corner):
    points, maximize = case
    reference = np.full(points.shape[1], float(corner))
    expected = inclusion_exclusion(points, reference, maximize)
    assert hypervolume(points, reference, maximize) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_hypervolume_of_a_diagonal_is_its_closed_form(n):
    points = [(i, n - 1 - i) for i in range(n)]
    assert hypervolume(points, (n, n), maximize=False) == n * n - n * (n - 1) // 2


@pytest.mark.parametrize("maximize", [(True, False, True), (False, False, False, True)])
def test_hypervolume_of_many_points_agrees_with_sampling(maximize):
    rng = np.random.default_rng(0)
    points = rng.random((60, len(maximize)))
    reference = np.where(maximize, 0.0, 1.0)
    samples = rng.random((200_000, len(maximize)))
    signs = np.where(maximize, 1.0, -1.0)
    covered = np.zeros(len(samples), dtype=bool)
    for point in points:
        covered |= (samples * signs <= point * signs).all(axis=1)
    share = covered.mean()
    error = np.sqrt(share * (1 - share) / len(samples))
    assert abs(hypervolume(points, reference, maximize) - share) < 5 * error


def test_points_with_nan_or_beyond_the_reference_add_nothing():
    points = [(0.5, np.nan), (0.5, 0.5), (2.0, -5.0), (1.0, 0.2)]
    assert hypervolume(points, (1.0, 1.0), maximize=False) == 0.25
    assert hypervolume([], (1.0, 1.0), maximize=False) == 0.0
    assert hypervolume([(-np.inf, 0.0)], (1.0, 1.0), maximize=False) == np.inf


@given(point_sets(most=12, special=False), st.data())
def test_tied_equals_its_definition(case, data):
    points, maximize = case
    some = st.sampled_from([0.0, 0.5, 1.0, np.nan])
    errors = data.draw(arrays(np.float64, points.shape, elements=some))
    known = np.nan_to_num(errors)
    front = brute_force_front(points, maximize)
    for i, mark in enumerate(tied(points, errors, maximize)):
        masters = [
            j for j in range(len(points)) if front[j] and beats(points[j], points[i], maximize)
        ]
        doubts = [
            any(
                0 < known[i, k] ** 2 + known[j, k] ** 2 >= (points[i, k] - points[j, k]) ** 2
                for k in range(points.shape[1])
            )
            for j in masters
        ]
        assert mark == (bool(masters) and all(doubts))


def test_a_model_within_the_error_of_one_but_clearly_beaten_by_another_is_not_tied():
    points = [(0.90, 100), (0.95, 110), (0.89, 120)]
    assert not tied(points, [(0.01, 0.0)] * 3, maximize=(True, False)).any()


def test_the_knee_is_the_point_farthest_below_the_chord():
    rng = np.random.default_rng(3)
    points = rng.random((200, 2))
    front = np.flatnonzero(non_dominated(points, maximize=False))
    ends = points[front[points[front, 0].argmin()]], points[front[points[front, 1].argmin()]]
    span = np.abs(ends[1] - ends[0])
    along = (ends[1] - ends[0]) / span
    offset = (points[front] - ends[0]) / span
    distance = (along[0] * offset[:, 1] - along[1] * offset[:, 0]) / np.hypot(*along)
    assert knee(points, maximize=False) == front[np.abs(distance).argmax()]


def test_the_knee_of_a_single_point_is_that_point_and_of_none_is_an_error():
    assert knee([(np.nan, 1.0), (0.5, 3.0)], maximize=True) == 1
    with pytest.raises(ValueError, match="finite"):
        knee([(np.nan, 1.0)], maximize=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: non_dominated([1.0, 2.0], maximize=True), "`points` must be an"),
        (lambda: non_dominated([[1.0, 2.0]], maximize=(True,) * 3), "`maximize` must be"),
        (lambda: hypervolume([[1.0, 2.0]], [0.0], maximize=True), "`reference` must have"),
        (lambda: hypervolume([[1.0]], [np.inf], maximize=True), "`reference` must be finite"),
        (lambda: tied([[1.0, 2.0]], [[0.0]], maximize=True), "`errors` must have"),
    ],
)
def test_shapes_that_do_not_fit_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.skipif(not MACRO.is_dir(), reason="NAS-Bench-Macro is not beside the project")
class TestNasBenchMacro:
    @pytest.fixture
    def table(self):
        rows = json.loads((MACRO / "nas-bench-macro_cifar10.json").read_text()).values()
        return {
            "accuracy": np.array([row["mean_acc"] for row in rows]),
            "mmacs": np.array([row["flops"] / 1e6 for row in rows]),
            "mparams": np.array([row["params"] / 1e6 for row in rows]),
        }

    def test_the_front_has_the_published_35_networks(self, table):
        points = np.stack([table["accuracy"], table["mmacs"]], axis=1)
        front = points[non_dominated(points, maximize=(True, False))]
        assert len(np.unique(front, axis=0)) == 35  # some twice: codes of the same network

    @pytest.mark.parametrize(
        ("cost", "reference", "expected"),
        [
            ("mmacs", (80.0, 110.0), 1076.2815),
            ("mmacs", (85.0, 100.0), 542.3820),
            ("mparams", (80.0, 3.0), 32.0298),
        ],
    )
    def test_hypervolumes_are_the_published_ones(self, table, cost, reference, expected):
        points = np.stack([table["accuracy"], table[cost]], axis=1)
        found = hypervolume(points, reference, maximize=(True, False))
        assert found == pytest.approx(expected, abs=5e-5)
