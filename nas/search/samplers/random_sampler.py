"""random: every decision drawn uniformly, or a row of a finite space; nothing is learned.

What a search costs without a sampler to wait for: Optuna's random sampler takes milliseconds a
trial to note what it has no use for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.search.samplers.contract import Problem, TrialRecord, TrialState
from nas.search.samplers.options import RandomOptions, read_options
from nas.search.samplers.rows import check_choices
from search_spaces.space import Choices, Option


def make_random(problem: Problem, options: Mapping[str, Any]) -> RandomSampler:
    """Make it; there is nothing to set (`samplers.options.RandomOptions`)."""
    read_options("random", RandomOptions, options)
    return RandomSampler(problem)


class RandomSampler:
    """The sampler of this module's docstring, as a `Sampler`.

    Every trial has a random stream of its own, by the seed and its number, so a restored sampler
    goes on as the old one would have.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._decisions = [(d.name, d.options) for d in problem.decisions]
        self._counts = np.array([len(d.options) for d in problem.decisions])
        self._queue: deque[dict[str, Option]] = deque()
        self._asked = 0
        self._running: set[int] = set()

    def ask(self, count: int) -> list[TrialRecord]:
        return [self._ask_one() for _ in range(count)]

    def enqueue(self, choices: Choices) -> None:
        check_choices(self._problem, choices)
        self._queue.append(dict(choices))

    def tell(self, record: TrialRecord) -> TrialRecord:
        if record.number not in self._running:
            raise ValueError(f"Trial {record.number} was told before, or never asked.")
        self._running.remove(record.number)
        return record

    def restore(self, records: Sequence[TrialRecord]) -> None:
        for place, record in enumerate(records):
            if record.number != place:
                raise ValueError(f"Trials must count from 0, but number {place} is missing.")
            check_choices(self._problem, record.choices)
        going = (TrialState.WAITING, TrialState.RUNNING)
        self._asked = len(records)
        self._running = {record.number for record in records if record.state in going}

    def _ask_one(self) -> TrialRecord:
        number = self._asked
        choices = self._queue.popleft() if self._queue else self._draw(number)
        self._asked += 1
        self._running.add(number)
        return TrialRecord(number=number, choices=choices, state=TrialState.RUNNING)

    def _draw(self, number: int) -> dict[str, Option]:
        rng = np.random.default_rng([self._problem.seed, number])
        if self._problem.rows is not None:
            return dict(self._problem.rows[int(rng.integers(len(self._problem.rows)))])
        drawn = rng.integers(self._counts).tolist()
        return {name: options[i] for (name, options), i in zip(self._decisions, drawn)}
