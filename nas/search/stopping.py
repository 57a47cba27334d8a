"""Early stopping for several objectives: successive halving on the non-dominated rank.

A trial is looked at when it reaches a rung (1, 2, 4 ... epochs, say). Of all that reached the rung
so far it must be among the best share, or it is stopped: by non-dominated rank, and within a rank
by how much of the front it covers (MO-ASHA and the epsilon-net, Schmucker et al., arXiv
2106.12639). Trials come one by one and never wait for each other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import InvalidRequestError
from nas.pareto import non_dominated_rank
from nas.search.samplers.contract import ObjectiveSpec

MOST = 500
"""Trials of a rung that one is compared with, the latest: a verdict takes milliseconds."""

Rungs = list[list[float]]
"""What a trial showed: a rung's fidelity, then the objectives' values there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvingSettings:
    """When to look, and how many go on.

    Args:
        full: Fidelity of a whole evaluation; nothing is stopped there.
        first: Fidelity of the first rung.
        eta: Each rung is that many times the one before, and one in so many goes on from it.
        least: Trials on a rung before any is stopped there.
    """

    full: float
    first: float = 1.0
    eta: float = 3.0
    least: int = 4

    def __post_init__(self) -> None:
        for name, rule, holds in (
            ("full", "above 0", self.full > 0),
            ("first", "above 0", self.first > 0),
            ("eta", "above 1", self.eta > 1),
            ("least", "1 or more", self.least >= 1),
        ):
            if not holds:
                raise InvalidRequestError(
                    f"`early_stopping.{name}` must be {rule}, but got {getattr(self, name):g}."
                )

    @property
    def rungs(self) -> tuple[float, ...]:
        """Fidelities at which trials are looked at.

        >>> HalvingSettings(full=9, eta=3).rungs
        (1.0, 3.0)
        """
        rungs, fidelity = [], self.first
        while fidelity < self.full:
            rungs.append(fidelity)
            fidelity *= self.eta
        return tuple(rungs)


class SuccessiveHalving:
    """Decides, report by report, whether a trial goes on; safe to use from several threads.

    >>> objectives = (ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False, known=True))
    >>> halving = SuccessiveHalving(HalvingSettings(full=8, least=2), objectives)
    >>> halving.goes_on(0, 1.0, (0.9, 100.0)), halving.goes_on(1, 1.0, (0.2, 200.0))
    (True, False)
    """

    def __init__(self, settings: HalvingSettings, objectives: Sequence[ObjectiveSpec]) -> None:
        self._settings = settings
        self._maximize = [objective.maximize for objective in objectives]
        self._seen: dict[float, dict[int, tuple[float, ...]]] = {r: {} for r in settings.rungs}
        self._lock = threading.Lock()

    def goes_on(self, trial: int, fidelity: float, values: Sequence[float]) -> bool:
        """Hear how a trial stands; False where it should stop."""
        with self._lock:
            reached = [r for r in self._seen if r <= fidelity and trial not in self._seen[r]]
            for rung in reached:
                self._seen[rung][trial] = tuple(values)
            if not reached or fidelity >= self._settings.full:
                return True
            return self._is_among_best(trial, self._seen[max(reached)])

    def shown(self, trial: int) -> Rungs:
        """What a trial showed at the rungs that it reached, to be stored with it."""
        with self._lock:
            return [[r, *seen[trial]] for r, seen in self._seen.items() if trial in seen]

    def restore(self, trial: int, rungs: Iterable[Sequence[float]]) -> None:
        """Take over what a trial of an interrupted run showed."""
        with self._lock:
            for fidelity, *values in rungs:
                if fidelity in self._seen:
                    self._seen[fidelity][trial] = tuple(values)

    def _is_among_best(self, trial: int, seen: dict[int, tuple[float, ...]]) -> bool:
        if len(seen) < self._settings.least:
            return True
        trials = list(seen)[-MOST:]
        order = rank_by_front(np.array([seen[t] for t in trials]), self._maximize)
        kept = math.ceil(len(trials) / self._settings.eta)
        return trials.index(trial) in order[:kept]


def rank_by_front(points: NDArray[np.float64], maximize: Sequence[bool]) -> list[int]:
    """Places of points, (n, m), the best first: front by front, each from its ends inwards, so
    that any beginning of a front is spread over it.

    >>> rank_by_front(np.array([[1.0, 9.0], [5.0, 5.0], [9.0, 1.0], [0.0, 0.0]]), [True, True])
    [2, 0, 1, 3]
    """
    gains = np.where(maximize, points, -points)
    span = np.ptp(gains, axis=0)
    scaled = (gains - gains.min(axis=0)) / np.where(span > 0, span, 1.0)
    rank = non_dominated_rank(gains, True)
    order: list[int] = []
    for front in range(int(rank.max()) + 1):
        order += _spread(scaled, np.flatnonzero(rank == front).tolist())
    return order


def _spread(points: NDArray[np.float64], members: list[int]) -> list[int]:
    """Members, each as far as can be from those before it; the best by the first gain first."""
    order = [max(members, key=lambda i: (points[i, 0], points[i].sum(), -i))]
    left = [i for i in members if i != order[0]]
    gaps = {i: float(np.linalg.norm(points[i] - points[order[0]])) for i in left}
    while left:
        farthest = max(left, key=lambda i: (gaps[i], -i))
        order.append(farthest)
        left.remove(farthest)
        for i in left:
            gaps[i] = min(gaps[i], float(np.linalg.norm(points[i] - points[farthest])))
    return order
