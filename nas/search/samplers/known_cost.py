"""known_cost: a search that spends no evaluation on learning what is known.

Costs are exact and free, so only accuracy is modelled (`model`), and what a candidate is expected
to add to the hypervolume has a closed form (`acquisition`). Candidates evolve on that over the
whole space (`candidates`); batches and pending trials count as if they had met their expectation
(`planning`). It starts with trials spread evenly over cost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.search.samplers.candidates import Candidates, Pool, concatenate
from nas.search.samplers.contract import Problem, TrialRecord, TrialState
from nas.search.samplers.earlier import with_earlier
from nas.search.samplers.features import make_layout
from nas.search.samplers.model import Kernel
from nas.search.samplers.options import KnownCostOptions, read_options
from nas.search.samplers.planning import Beliefs, Observations, choose, fit_all, make_goals, thin
from nas.search.samplers.rows import Codes, check_choices, decode, encode
from search_spaces.space import Choices

Array = NDArray[np.float64]

MOST_DATA = 500
"""Completed trials that the model sees, and pending ones; it takes time with their cube."""

MOST_AT_ONCE = 200
"""Longest plan; a choice takes time with those before it."""

FEWEST = 3
"""Completed trials before there is a model."""


def make_known_cost(problem: Problem, options: Mapping[str, Any]) -> KnownCostSampler:
    """Make it from its options (`samplers.options.KnownCostOptions`)."""
    read = read_options("known_cost", KnownCostOptions, options)
    return KnownCostSampler(with_earlier(problem), read)


class KnownCostSampler:
    """The sampler of this module's docstring, as a `Sampler`.

    It plans ahead, the further the more it has seen. A plan, and the model's hyperparameters
    where they were fitted for it, are stored with the trial that opened it; all else follows
    from the trials, so a restored sampler goes on as the old one.
    """

    def __init__(self, problem: Problem, options: KnownCostOptions) -> None:
        self._problem, self._options = problem, options
        self._candidates = Candidates(problem)
        self._goals = make_goals(problem.objectives, self._candidates.metrics)
        self._kernel = Kernel(make_layout(problem.decisions, len(self._candidates.metrics)))
        self._queue: deque[Choices] = deque()
        self._start()

    def _start(self) -> None:
        self._records: list[TrialRecord] = []
        self._pools: list[Pool] = [self._candidates.price(encode(self._problem.decisions, []))]
        self._seen: set[int] = set()
        self._plan: deque[list[int]] = deque()
        self._thetas: list[Array] | None = None
        self._fitted_at = 0

    def ask(self, count: int) -> list[TrialRecord]:
        return [self._ask_one(count - i) for i in range(count)]

    def enqueue(self, choices: Choices) -> None:
        check_choices(self._problem, choices)
        self._queue.append(dict(choices))

    def tell(self, record: TrialRecord) -> TrialRecord:
        asked = self._records[record.number]
        if asked.state is not TrialState.RUNNING:
            raise ValueError(f"Trial {record.number} was told before; it is {asked.state.value}.")
        told = replace(record, attributes=asked.attributes)
        self._records[record.number] = told
        return told

    def restore(self, records: Sequence[TrialRecord]) -> None:
        self._start()
        for place, record in enumerate(records):
            if record.number != place:
                raise ValueError(f"Trials must count from 0, but number {place} is missing.")
            check_choices(self._problem, record.choices)
            self._adopt(record.attributes)
        self._note(records)

    def _adopt(self, attributes: Mapping[str, Any]) -> None:
        """Take over a plan, or a fit, from the attributes of the trial that opened it.

        A fit by another version of the model is left; the next plan fits anew.
        """
        if "plan" in attributes:
            self._plan = deque(attributes["plan"])
        thetas = [np.array(theta) for theta in attributes.get("thetas", [])]
        if thetas and all(len(theta) == self._kernel.size for theta in thetas):
            self._thetas, self._fitted_at = thetas, attributes["fitted_at"]

    def _note(self, records: Sequence[TrialRecord]) -> None:
        self._records += records
        codes = encode(self._problem.decisions, [record.choices for record in records])
        self._pools.append(self._candidates.price(codes))
        self._seen |= set(self._pools[-1].keys.tolist())

    def _ask_one(self, wanted: int) -> TrialRecord:
        number, attributes = len(self._records), {}
        if self._queue:
            choices = dict(self._queue.popleft())
        else:
            row = self._next_planned()
            if row is None:
                attributes = self._make_plan(wanted, number)
                self._adopt(attributes)
                row = self._plan.popleft()
            choices = decode(self._problem.decisions, np.array([row], dtype=np.int16))[0]
        record = TrialRecord(
            number=number, choices=choices, state=TrialState.RUNNING, attributes=attributes
        )
        self._note([record])
        return record

    def _asked(self) -> Pool:
        """All trials, in the order of numbers."""
        self._pools = [concatenate(self._pools)]
        return self._pools[0]

    def _next_planned(self) -> list[int] | None:
        while self._plan:
            row = self._plan.popleft()
            (key,) = self._candidates.keys(np.array([row], dtype=np.int16)).tolist()
            if key not in self._seen:
                return row
        return None

    def _make_plan(self, wanted: int, number: int) -> dict[str, Any]:
        rng = np.random.default_rng([self._problem.seed, number])
        states = [record.state for record in self._records]
        completed = states.count(TrialState.COMPLETED)
        ended = len(states) - states.count(TrialState.RUNNING)
        if completed < FEWEST:
            count = max(wanted, self._options.startup_trials - number)
            return {"plan": self._spread(count, rng).tolist()}
        count = min(max(wanted, completed // 100), MOST_AT_ONCE)
        seen = self._observe()
        attributes, thetas = {}, self._thetas
        if thetas is None or ended < 30 or ended >= 1.1 * self._fitted_at:
            thetas = fit_all(self._kernel, seen, thetas)
            attributes = {"thetas": [t.tolist() for t in thetas], "fitted_at": ended}
        beliefs = Beliefs(self._kernel, thetas, self._goals, seen)
        codes = choose(beliefs, self._candidates, seen, self._asked().keys, count, rng)
        if not len(codes):
            codes = self._spread(count, rng)
        return {**attributes, "plan": codes.tolist()}

    def _spread(self, count: int, rng: np.random.Generator) -> Codes:
        highest = math.inf
        if self._problem.reference is not None and self._goals.columns:
            first = self._problem.objectives[self._goals.order[0]]
            if not first.maximize:
                highest = self._problem.reference[self._goals.order[0]]
        return self._candidates.spread(count, highest, self._asked().keys, rng)

    def _observe(self) -> Observations:
        asked, goals = self._asked(), self._goals
        done = self._places(TrialState.COMPLETED)
        unknown = list(goals.order[len(goals.columns) :])
        records = [self._records[i] for i in done]
        values = np.array([record.values for record in records], dtype=float)
        errors = [record.errors or [0.0] * len(goals.order) for record in records]
        noise = np.nan_to_num(np.array(errors, dtype=float)) ** 2
        told = asked.take(done)
        gains = values[:, unknown] * goals.unknown_sign
        if self._problem.reference is not None:
            sign = np.concatenate([goals.known_sign, goals.unknown_sign])
            reference = np.array(self._problem.reference)[list(goals.order)] * sign
        else:
            first = slice(self._options.startup_trials)
            reference = goals.gains(told.costs[first], gains[first]).min(axis=0)
        return thin(
            Observations(
                told=told,
                values=gains,
                noise=noise[:, unknown],
                pending=asked.take(self._places(TrialState.WAITING, TrialState.RUNNING)),
                lost=asked.take(
                    self._places(TrialState.INFEASIBLE, TrialState.FAILED, TrialState.PRUNED)
                ),
                reference=reference,
            ),
            goals,
            MOST_DATA,
        )

    def _places(self, *states: TrialState) -> NDArray[np.intp]:
        found = [i for i, record in enumerate(self._records) if record.state in states]
        return np.array(found, dtype=np.intp)
