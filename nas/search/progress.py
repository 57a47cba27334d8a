"""Progress of a search: what a person likes to watch, kept up to date trial by trial."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nas.pareto import hypervolume
from nas.search.samplers.contract import ObjectiveSpec, TrialRecord, TrialState

FIRST_TRIALS = 10
"""Completed trials that a reference point is taken from, where none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How a stage of a job stands at one moment; `seconds_left` is None while nobody can tell."""

    stage: str
    done: int
    total: int
    states: dict[str, int] = field(default_factory=dict)
    best_accuracy: float = math.nan
    front_size: int = 0
    hypervolume: float = math.nan
    seconds: float = 0.0
    seconds_left: float | None = None
    note: str = ""


class RunningFront:
    """A front that grows point by point; a point costs one pass over the front, not the trials.

    >>> front = RunningFront((ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False)))
    >>> [front.add(p) for p in ((0.5, 10.0), (0.4, 20.0), (0.9, 30.0))]
    [True, False, True]
    """

    def __init__(self, objectives: Sequence[ObjectiveSpec]) -> None:
        self._signs = np.array([1.0 if o.maximize else -1.0 for o in objectives])
        self._points = np.empty((0, len(objectives)))

    @property
    def points(self) -> np.ndarray:
        """The front, (n, objectives), in the objectives' own direction."""
        points: np.ndarray = self._points * self._signs
        return points

    def add(self, values: Sequence[float]) -> bool:
        """Take a point; False if one that is there dominates it."""
        point = np.asarray(values) * self._signs
        if not np.isfinite(point).all():
            return False
        at_least = (self._points >= point).all(axis=1)
        if (at_least & (self._points > point).any(axis=1)).any():
            return False
        beaten = (self._points <= point).all(axis=1) & (self._points < point).any(axis=1)
        self._points = np.vstack([self._points[~beaten], point])
        return True

    def hypervolume(self, reference: Sequence[float]) -> float:
        """Volume that the front dominates, up to the reference point."""
        return hypervolume(self.points, np.asarray(reference), self._signs > 0)


class SearchProgress:
    """Counts trials by state and follows front and hypervolume.

    Args:
        reference: Reference point of the hypervolume; None takes the worst of the first trials.
    """

    def __init__(
        self,
        objectives: Sequence[ObjectiveSpec],
        reference: Sequence[float] | None,
        total: int,
        stage: str = "search",
    ) -> None:
        self.front = RunningFront(objectives)
        self._objectives = tuple(objectives)
        self._reference = None if reference is None else tuple(reference)
        self._first: list[tuple[float, ...]] = []
        self._stage, self._total = stage, total
        self._states: dict[str, int] = {}
        self._best = -math.inf
        self._hypervolume = 0.0 if reference is not None else math.nan
        self._started = time.monotonic()
        self._done_before = 0
        self.done = 0

    def restore(self, records: Sequence[TrialRecord]) -> None:
        """Count what an earlier run finished; the time left is judged by this run alone."""
        for record in records:
            if record.state not in (TrialState.RUNNING, TrialState.WAITING):
                self.add(record)
        self._done_before = self.done

    def add(self, record: TrialRecord, accuracy: float = math.nan) -> None:
        """Count an ended trial."""
        self._states[record.state] = self._states.get(record.state, 0) + 1
        self.done += counts_for_budget(record)
        if record.state is not TrialState.COMPLETED or record.values is None:
            return
        named = dict(zip([o.metric for o in self._objectives], record.values))
        accuracy = named.get("accuracy", accuracy)
        self._best = max(self._best, accuracy) if math.isfinite(accuracy) else self._best
        improved = self.front.add(record.values)
        if self._reference is None:
            self._first.append(record.values)
            if len(self._first) == FIRST_TRIALS:
                self._reference, improved = self._worst_of_first(), True
        if improved and self._reference is not None:
            self._hypervolume = self.front.hypervolume(self._reference)

    def _worst_of_first(self) -> tuple[float, ...]:
        worst = [min if o.maximize else max for o in self._objectives]
        return tuple(pick(values) for pick, values in zip(worst, zip(*self._first)))

    def snapshot(self) -> Snapshot:
        seconds = time.monotonic() - self._started
        fresh, left = self.done - self._done_before, self._total - self.done
        return Snapshot(
            stage=self._stage,
            done=self.done,
            total=self._total,
            states=dict(self._states),
            best_accuracy=self._best if math.isfinite(self._best) else math.nan,
            front_size=len(self.front.points),
            hypervolume=self._hypervolume,
            seconds=seconds,
            seconds_left=seconds / fresh * left if fresh else None,
        )


def counts_for_budget(record: TrialRecord) -> bool:
    """Whether a trial was worth an evaluation: a broken bound on a known cost is found for free."""
    return not (record.state is TrialState.INFEASIBLE and record.violation > 0)
