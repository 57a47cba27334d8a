"""Learning from earlier searches: what they found, as one more input of the model.

Each earlier search has a model of its own, which predicts how a choice would rank there. How well
it does so for networks that it has not seen (leave-one-out) says whether it is worth listening to.
Its predictions then stand beside the exact costs as if they were one more: the search's own model
learns how much they tell it here, so one that misleads is soon not heard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nas.pareto import non_dominated
from nas.search.samplers.candidates import EARLIER, Candidates
from nas.search.samplers.contract import Earlier, Problem
from nas.search.samplers.features import make_layout
from nas.search.samplers.model import Kernel
from nas.search.samplers.planning import Beliefs, Goals, Observations, fit_all, make_goals
from nas.search.samplers.rows import encode
from search_spaces.space import Choices

Array = NDArray[np.float64]

LEAST = 6
"""Trials that an earlier search must have for a model."""

MOST = 300
"""Trials of an earlier search that its model sees: the best and, of the others, every so many."""

WORTH = 0.3
"""Rank correlation from which on an earlier search is listened to."""


@dataclass(frozen=True, eq=False)
class Learned:
    """One earlier search's model.

    Args:
        correlation: Of the ranks that it gives unseen networks with their true ones, the mean
            over the objectives (Spearman).
    """

    name: str
    correlation: float
    candidates: Candidates
    goals: Goals
    beliefs: Beliefs

    def predict(self, choices: Sequence[Choices]) -> Array:
        """(n, unknown) standardised gains; NaN where the choices mean no network."""
        pool = self.candidates.price(encode(self.candidates.decisions, choices))
        gains = np.full((len(choices), len(self.beliefs.models)), np.nan)
        there = np.isfinite(pool.violation)
        if there.any():
            gains[there] = self.beliefs.shortlist(pool.take(there)).gains[
                :, len(self.goals.columns) :
            ]
        models = self.beliefs.models
        return (gains - [m.shift for m in models]) / [m.scale for m in models]


_LEARNED: WeakKeyDictionary[Earlier, Learned | None] = WeakKeyDictionary()
"""Models that were made; each takes seconds."""


def learn(problem: Problem) -> list[Learned]:
    """Models of the problem's earlier searches that are worth listening to, the best first."""
    plain = replace(problem, earlier=(), rows=None)
    for earlier in problem.earlier:
        if earlier not in _LEARNED:
            _LEARNED[earlier] = _learn(plain, earlier)
    found = [one for e in problem.earlier if (one := _LEARNED[e]) is not None]
    return sorted((o for o in found if o.correlation >= WORTH), key=lambda one: -one.correlation)


def with_earlier(problem: Problem) -> Problem:
    """The same problem with what earlier searches predict among its known costs."""
    learned = learn(problem) if problem.earlier else []
    if not learned:
        return replace(problem, earlier=())

    def costs(choices: Sequence[Choices]) -> Mapping[str, Array]:
        known = dict(problem.known_costs(choices)) if problem.known_costs is not None else {}
        for i, one in enumerate(learned):
            predicted = one.predict(choices)
            for k in range(predicted.shape[1]):
                # the model looks at logarithms of costs
                known[f"{EARLIER}{i}.{k}"] = np.exp(np.clip(predicted[:, k], -6.0, 6.0))
        return known

    return replace(problem, known_costs=costs, earlier=())


def first_choices(problem: Problem, count: int) -> list[Choices]:
    """What earlier searches would try first: of the choices that they evaluated, the best at
    every cost, weighted by how well each search ranks."""
    learned = learn(problem) if problem.earlier else []
    if not learned:
        return []
    choices = list(
        {tuple(sorted(one.items())): one for e in problem.earlier for one in e.choices}.values()
    )
    candidates = Candidates(replace(problem, earlier=(), rows=None))
    pool = candidates.price(encode(problem.decisions, choices))
    weights = np.array([one.correlation for one in learned])
    scores = np.average([one.predict(choices) for one in learned], axis=0, weights=weights)
    meets = (pool.violation <= 0) & np.isfinite(scores).all(axis=1)
    choices = [one for one, meet in zip(choices, meets) if meet]
    if not choices:
        return []
    pool, scores = pool.take(meets), scores[meets]
    goals = make_goals(problem.objectives, candidates.metrics)
    gains = goals.gains(pool.costs, scores)
    front = np.flatnonzero(non_dominated(gains, True))
    front = front[np.argsort(gains[front, 0], kind="stable")]
    spread = np.unique(np.linspace(0, len(front) - 1, min(count, len(front))).round().astype(int))
    return [choices[i] for i in front[spread]]


def _learn(problem: Problem, earlier: Earlier) -> Learned | None:
    candidates = Candidates(problem)
    goals = make_goals(problem.objectives, candidates.metrics)
    unknown = list(goals.order[len(goals.columns) :])
    kept = _thinned(earlier, problem, unknown)
    pool = candidates.price(encode(problem.decisions, [earlier.choices[i] for i in kept]))
    gains = np.array([earlier.values[i] for i in kept], dtype=float).reshape(len(kept), -1)
    there = np.isfinite(pool.violation) & np.isfinite(gains).all(axis=1)
    if not unknown or there.sum() < LEAST:
        return None
    nothing = pool.take(np.zeros(len(pool), dtype=bool))
    seen = Observations(
        told=pool.take(there),
        values=gains[there] * goals.unknown_sign,
        noise=np.zeros_like(gains[there]),
        pending=nothing,
        lost=nothing,
        reference=np.zeros(len(goals.order)),
    )
    kernel = Kernel(make_layout(problem.decisions, len(candidates.metrics)))
    beliefs = Beliefs(kernel, fit_all(kernel, seen, None), goals, seen)
    correlations = []
    for model, values in zip(beliefs.models, seen.values.T):
        targets = (values - model.shift) / model.scale
        correlations.append(_correlation(targets, _left_out(model.factor, model.alpha, targets)))
    return Learned(earlier.name, float(np.mean(correlations)), candidates, goals, beliefs)


def _thinned(earlier: Earlier, problem: Problem, unknown: Sequence[int]) -> list[int]:
    """Places of the trials that the model sees."""
    count = len(earlier.choices)
    if count <= MOST or not unknown:
        return list(range(count))
    sign = 1.0 if problem.objectives[unknown[0]].maximize else -1.0
    first = np.array([values[0] for values in earlier.values], dtype=float) * sign
    ranked = np.argsort(-first, kind="stable")
    rest = ranked[MOST // 2 :]
    others = rest[np.linspace(0, len(rest) - 1, MOST - MOST // 2).astype(int)]
    return sorted({*ranked[: MOST // 2].tolist(), *others.tolist()})


def _left_out(factor: Array, alpha: Array, targets: Array) -> Array:
    """What the process would say of each target had it not seen it (Rasmussen and Williams,
    equation 5.12)."""
    inverse = scipy.linalg.cho_solve((factor, True), np.eye(len(targets)), check_finite=False)
    return np.asarray(targets - alpha / np.diag(inverse))


def _correlation(a: Array, b: Array) -> float:
    """Spearman's, equal values in the order that they come in; 0 where all are equal."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable") for x in (a, b)]
    found = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return 0.0 if math.isnan(found) else found
