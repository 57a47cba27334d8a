"""What to try next, given all that was seen: models, acquisition and the choice of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.pareto import non_dominated
from nas.search.samplers.acquisition import cut_cells, expected_hypervolume_improvement
from nas.search.samplers.candidates import Candidates, Pool, concatenate
from nas.search.samplers.contract import ObjectiveSpec
from nas.search.samplers.model import Kernel, Posterior, condition, fit
from nas.search.samplers.rows import Codes

Array = NDArray[np.float64]

GENERATIONS, CHILDREN = 5, 240
"""Few and large: exact costs of many choices take hardly longer than those of some."""

FIT_DATA = 300
"""Trials that hyperparameters are fitted to: a fit conditions the process some 30 times."""

SHORTLIST = 400
LABEL_NOISE = 0.04
UNLIKELY = 0.05
FINITE_POOL, FINITE_WORK = 2_000, 2_000_000


@dataclass(frozen=True)
class Goals:
    """A problem's objectives as gains (larger is better), known ones first.

    Args:
        columns: Where each known objective stands among the known costs.
        known_sign, unknown_sign: 1 to maximise, -1 to minimise.
        order: The objectives' indices in the order of gains.
    """

    columns: tuple[int, ...]
    known_sign: Array
    unknown_sign: Array
    order: tuple[int, ...]

    def gains(self, costs: Array, unknown: Array) -> Array:
        """(n, known costs) costs and (n, unknown) gains to (n, objectives) gains."""
        return np.concatenate([costs[:, list(self.columns)] * self.known_sign, unknown], axis=1)


def make_goals(objectives: Sequence[ObjectiveSpec], metrics: Sequence[str]) -> Goals:
    known = [i for i, o in enumerate(objectives) if o.metric in metrics]
    unknown = [i for i, o in enumerate(objectives) if o.metric not in metrics]
    sign = np.array([1.0 if o.maximize else -1.0 for o in objectives])
    return Goals(
        columns=tuple(metrics.index(objectives[i].metric) for i in known),
        known_sign=sign[known],
        unknown_sign=sign[unknown],
        order=(*known, *unknown),
    )


@dataclass(frozen=True)
class Observations:
    """What was seen.

    Args:
        told: Completed trials; `values` (n, unknown) are their gains and `noise` variances.
        pending: Asked and not yet ended.
        lost: Infeasible, failed or stopped early.
        reference: (objectives,) gains.
    """

    told: Pool
    values: Array
    noise: Array
    pending: Pool
    lost: Pool
    reference: Array


class View:
    """Scales costs and centres inputs as the told trials have them.

    Where many workers begin, the first to end may be alike in cost, and the pending ones not.
    """

    def __init__(self, kernel: Kernel, seen: Observations) -> None:
        self._layout, told = kernel.layout, seen.told
        size = np.median(np.abs(told.costs), axis=0)
        self._unit = np.where(size > 0, size, 1.0) * 1e-3  # so that arcsinh is a logarithm
        scaled = np.arcsinh(told.costs / self._unit)
        among_all = np.concatenate([scaled, np.arcsinh(seen.pending.costs / self._unit)])
        scale = np.maximum(scaled.std(axis=0), 0.1 * among_all.std(axis=0))
        self._shift, self._scale = scaled.mean(axis=0), np.where(scale > 1e-9, scale, 1.0)
        self._center = np.zeros(1)
        self._center = self.inputs(told).mean(axis=0)

    def inputs(self, pool: Pool) -> Array:
        scaled = (np.arcsinh(pool.costs / self._unit) - self._shift) / self._scale
        return self._layout.inputs(pool.codes, scaled) - self._center


def fit_all(kernel: Kernel, seen: Observations, start: Sequence[Array] | None) -> list[Array]:
    """Hyperparameters for every unknown objective and, last, for feasibility.

    Args:
        start: Earlier ones, where there are any.
    """
    view, part = View(kernel, seen), _evenly(len(seen.told), FIT_DATA)
    inputs = view.inputs(seen.told.take(part))
    starts, steps = ([kernel.prior[0]] * (seen.values.shape[1] + 1), 60)
    if start is not None:
        starts, steps = list(start), 25
    found = []
    for values, noise, theta in zip(seen.values.T, seen.noise.T, starts):
        shift, scale = _standard(values)
        targets = (values[part] - shift) / scale
        found.append(fit(kernel, inputs, targets, noise[part] / scale**2, theta, steps))
    trials, labels = _feasibility(seen)
    if len(trials) == len(seen.told):
        return [*found, kernel.prior[0]]
    part = _evenly(len(trials), FIT_DATA)
    inputs, noise = view.inputs(trials.take(part)), np.full(len(part), LABEL_NOISE)
    return [*found, fit(kernel, inputs, 2 * (labels[part] - 1), noise, starts[-1], steps)]


def _evenly(count: int, most: int) -> NDArray[np.intp]:
    """At most so many places, evenly from first to last."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)


def _feasibility(seen: Observations) -> tuple[Pool, Array]:
    """Trials, and 1 for completed and 0 for lost.

    One that is lost to a known constraint says nothing of the others.
    """
    lost = seen.lost.take(seen.lost.violation <= 0)
    labels = np.concatenate([np.ones(len(seen.told)), np.zeros(len(lost))])
    return concatenate([seen.told, lost]), labels


def _standard(values: Array) -> tuple[float, float]:
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 0 else 1.0


class Beliefs:
    """The models with all that was seen, pending trials as if they had met their expectation."""

    def __init__(self, kernel: Kernel, thetas: Sequence[Array], goals: Goals, seen: Observations):
        self._goals, self._view = goals, View(kernel, seen)
        told, pending = self._view.inputs(seen.told), self._view.inputs(seen.pending)
        inputs = np.concatenate([told, pending])
        self.models: list[Posterior] = []
        expected = np.empty((len(pending), len(thetas) - 1))
        for i, theta in enumerate(thetas[:-1]):
            values, noise = seen.values[:, i], seen.noise[:, i]
            shift, scale = _standard(values)
            before = condition(kernel, theta, told, values, noise, shift=shift, scale=scale)
            expected[:, i] = before.mean(pending)
            self.models.append(
                condition(
                    kernel,
                    theta,
                    inputs,
                    np.concatenate([values, expected[:, i]]),
                    np.concatenate([noise, np.zeros(len(pending))]),
                    shift=shift,
                    scale=scale,
                )
            )
        self.gains = np.concatenate(
            [
                goals.gains(seen.told.costs, seen.values),
                goals.gains(seen.pending.costs, expected),
            ]
        )
        self._feasibility: Posterior | None = None
        self._learn_feasibility(kernel, thetas[-1], seen)

    def _learn_feasibility(self, kernel: Kernel, theta: Array, seen: Observations) -> None:
        trials, labels = _feasibility(seen)
        if len(trials) > len(seen.told):
            inputs, noise = self._view.inputs(trials), np.full(len(trials), LABEL_NOISE / 4)
            self._feasibility = condition(
                kernel, theta, inputs, labels, noise, shift=1.0, scale=0.5
            )

    def shortlist(self, pool: Pool) -> Shortlist:
        inputs = self._view.inputs(pool)
        predictions = [model.predict(inputs) for model in self.models]
        likely = np.ones(len(pool))
        if self._feasibility is not None:
            mean, variance, _ = self._feasibility.predict(inputs)
            likely = ndtr((mean - 0.5) / np.sqrt(variance / 4 + 0.01))
        return Shortlist(self._goals, self.models, pool, inputs, predictions, likely)


class Shortlist:
    """A pool of candidates with what the models say of them; it takes beliefs one by one."""

    def __init__(
        self,
        goals: Goals,
        models: Sequence[Posterior],
        pool: Pool,
        inputs: Array,
        predictions: Sequence[tuple[Array, Array, Array]],
        likely: Array,
    ) -> None:
        self.pool = pool
        self._models, self._inputs, self._likely = models, inputs, likely
        self._variance = [variance for _, variance, _ in predictions]
        self._white = [white for *_, white in predictions]
        means = np.array([mean for mean, *_ in predictions]).reshape(len(models), len(pool)).T
        self.gains = goals.gains(pool.costs, means)

    def score(self, front: Array, reference: Array) -> Array:
        """Expected improvement over the front (n, objectives), times the chance of success."""
        deviation = np.zeros_like(self.gains)
        first = deviation.shape[1] - len(self._models)
        for i, (model, variance) in enumerate(zip(self._models, self._variance)):
            deviation[:, first + i] = model.scale * np.sqrt(variance)
        cells = cut_cells(front, reference)
        score = self._likely * expected_hypervolume_improvement(self.gains, deviation, cells)
        # late in a search all else may promise less than one part in a million of a sure failure
        score = np.where(self._likely < UNLIKELY, -1e-9 * (1 - self._likely), score)
        return np.where(self.pool.violation > 0, -self.pool.violation, score)

    def believe(self, i: int) -> None:
        """Learn of candidate i that it met its expectation: means stay, variances shrink."""
        for k, model in enumerate(self._models):
            prior = model.kernel(model.theta, self._inputs[[i]], self._inputs)[0]
            covariance = prior - self._white[k][:, i] @ self._white[k]
            noise = model.kernel.noise(model.theta)
            row = covariance / np.sqrt(self._variance[k][i] + noise)
            self._white[k] = np.vstack([self._white[k], row])
            self._variance[k] = np.maximum(self._variance[k] - row * row, 1e-10)


def choose(
    beliefs: Beliefs,
    candidates: Candidates,
    seen: Observations,
    asked: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> Codes:
    """The best candidates, each chosen as if those before it had met their expectation.

    Args:
        asked: Keys of what is not to be suggested again; fewer than `count` come back where
            there is little else.
    """
    front = beliefs.gains

    def score(pool: Pool) -> Array:
        return beliefs.shortlist(pool).score(front, seen.reference)

    seeds = _seeds(seen.told, front[: len(seen.told)], score(seen.told))
    if candidates.finite is not None:
        pool = candidates.near(seeds, max(FINITE_POOL, FINITE_WORK // len(seen.told)), rng)
        scores = score(pool)
    else:
        pool, scores = candidates.evolve(seeds, score, rng, generations=GENERATIONS, size=CHILDREN)
    new = ~np.isin(pool.keys, asked)
    pool, scores = pool.take(new), scores[new]
    best = np.argsort(-scores, kind="stable")[: max(SHORTLIST, 4 * count)]
    shortlist = beliefs.shortlist(pool.take(best))
    free = np.ones(len(best), dtype=bool)
    chosen: list[int] = []
    while free.any() and len(chosen) < count:
        i = int(np.argmax(np.where(free, shortlist.score(front, seen.reference), -np.inf)))
        chosen.append(i)
        free[i] = False
        shortlist.believe(i)
        front = np.concatenate([front, shortlist.gains[[i]]])
    return shortlist.pool.codes[chosen]


def _seeds(told: Pool, gains: Array, scores: Array) -> Codes:
    """The front, and what would be tried again were it new."""
    on_front = np.flatnonzero(shortfall(gains) <= 0)
    return told.codes[np.union1d(on_front, np.argsort(-scores, kind="stable")[:20])]


def shortfall(gains: Array) -> Array:
    """How far each point is from the front: what it lacks in all objectives, standardised.

    >>> shortfall(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])).round(2)
    array([0., 0., 0.])
    """
    scaled = (gains - gains.mean(axis=0)) / (gains.std(axis=0) + 1e-9)
    short = np.full(len(scaled), -np.inf)
    for point in scaled[non_dominated(scaled, True)]:
        short = np.maximum(short, (point - scaled).min(axis=1))
    return short


def thin(seen: Observations, goals: Goals, most: int) -> Observations:
    """Keep the told trials that matter for the front, and some others to know the rest by.

    Of more pending ones than `most` some stand for all; none is suggested again either way.
    """
    seen = replace(
        seen,
        lost=seen.lost.take(np.arange(len(seen.lost))[-most // 2 :]),
        pending=seen.pending.take(_evenly(len(seen.pending), most)),
    )
    if len(seen.told) <= most:
        return seen
    short = shortfall(goals.gains(seen.told.costs, seen.values))
    ranked = np.argsort(short, kind="stable")
    near, rest = ranked[: int(0.7 * most)], np.sort(ranked[int(0.7 * most) :])
    spread = rest[np.linspace(0, len(rest) - 1, most - len(near)).astype(int)]
    kept = np.sort(np.concatenate([near, spread]))
    return replace(
        seen, told=seen.told.take(kept), values=seen.values[kept], noise=seen.noise[kept]
    )
