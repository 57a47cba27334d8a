"""What random promises beyond the contract."""

from __future__ import annotations

import time

from nas.search.samplers import make_sampler
from search_spaces.space import Decision
from tests.nas.search.samplers.problems import make_problem


def test_random_draws_are_uniform_over_every_decision() -> None:
    sampler = make_sampler("random", make_problem())
    choices = [record.choices for record in sampler.ask(900)]
    for decision in make_problem().decisions:
        counts = [sum(c[decision.name] == o for c in choices) for o in decision.options]
        expected = 900 / len(counts)
        assert sum((n - expected) ** 2 / expected for n in counts) < 14  # 99.9 % of chi-squared(2)


def test_rows_of_a_finite_space_are_drawn_alike_often() -> None:
    rows = [{"x": i} for i in range(5)]
    problem = make_problem(decisions=(Decision("x", tuple(range(50))),), rows=rows)
    drawn = [record.choices["x"] for record in make_sampler("random", problem).ask(1_000)]
    assert set(drawn) == set(range(5))
    assert max(drawn.count(i) for i in range(5)) < 260  # 200 expected, 12.6 one sigma


def test_a_trial_s_draw_depends_on_its_number_and_not_on_what_came_before() -> None:
    one, other = (make_sampler("random", make_problem(seed=7)) for _ in range(2))
    together = one.ask(5)
    assert [record for _ in range(5) for record in other.ask(1)] == together


def test_a_suggestion_takes_a_fraction_of_a_millisecond() -> None:
    decisions = tuple(Decision(f"x{i}", (3, 5, 7)) for i in range(45))
    sampler = make_sampler("random", make_problem(decisions=decisions))
    started = time.process_time()
    sampler.ask(500)
    assert time.process_time() - started < 0.5
