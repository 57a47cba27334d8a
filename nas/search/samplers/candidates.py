"""Candidates for a sampler that knows their costs: spread evenly over cost, or evolved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.search.samplers.contract import Problem
from nas.search.samplers.rows import Codes, decode, encode

Array = NDArray[np.float64]
Indices = NDArray[np.intp] | NDArray[np.bool_]

EARLIER = "earlier."
"""What the names of predictions by earlier searches begin with, among the known costs."""

ENUMERATED = 20_000
"""Spaces of up to that many choices are listed in full."""


@dataclass(frozen=True)
class Pool:
    """Choices with what is known of them before any evaluation.

    Args:
        codes: (n, decisions) option indices.
        keys: (n,) hashes of the codes.
        costs: (n, known costs); finite.
        violation: (n,) of the hard constraints; infinite where there is no network.
    """

    codes: Codes
    keys: NDArray[np.int64]
    costs: Array
    violation: Array

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, index: Indices) -> Pool:
        return Pool(self.codes[index], self.keys[index], self.costs[index], self.violation[index])


def concatenate(pools: Sequence[Pool]) -> Pool:
    return Pool(
        np.concatenate([pool.codes for pool in pools]),
        np.concatenate([pool.keys for pool in pools]),
        np.concatenate([pool.costs for pool in pools]),
        np.concatenate([pool.violation for pool in pools]),
    )


Score = Callable[[Pool], Array]
"""Higher is better; violating candidates score below all others, by how far they violate."""


class Candidates:
    """Where candidates of a problem come from, and what they cost.

    `metrics` are the known costs that are looked at, the objectives' first; `finite` is all
    candidates that there are, if those are few.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.decisions = problem.decisions
        self._counts = np.array([len(d.options) for d in problem.decisions])
        self._hash = np.random.default_rng(0).integers(1, 2**62, len(self._counts)) | 1
        self.metrics = self._known_metrics()
        self.finite = self._list_all()

    def keys(self, codes: Codes) -> NDArray[np.int64]:
        """Hashes, the same in every run."""
        keys: NDArray[np.int64] = codes.astype(np.int64) @ self._hash
        return keys

    def price(self, codes: Codes) -> Pool:
        """Look up the costs and violations of choices."""
        choices = decode(self._problem.decisions, codes)
        costs = np.empty((len(codes), len(self.metrics)))
        violation = np.zeros(len(codes))
        if choices and self.metrics and self._problem.known_costs is not None:
            known = self._problem.known_costs(choices)
            costs = np.stack([np.asarray(known[m], dtype=float) for m in self.metrics], axis=1)
        if choices and self._problem.constraint_violation is not None:
            violation = np.asarray(self._problem.constraint_violation(choices), dtype=float)
        missing = ~np.isfinite(costs).all(axis=1) | np.isnan(violation)
        return Pool(
            codes,
            self.keys(codes),
            np.where(missing[:, None], 1.0, costs),
            np.where(missing, np.inf, violation),
        )

    def spread(
        self, count: int, highest: float, asked: NDArray[np.int64], rng: np.random.Generator
    ) -> Codes:
        """Choices spread evenly over the first known cost, and unlike each other.

        Args:
            highest: Beyond this the cost is of no use.
            asked: Keys to leave out, while there are others.
        """
        pool = self.finite if self.finite is not None else self._stretched(rng)
        new = ~np.isin(pool.keys, asked)
        pool = pool.take(new) if new.any() else pool
        feasible = pool.violation <= 0
        pool = pool.take(feasible if feasible.any() else np.argsort(pool.violation)[:count])
        if not self.metrics or len(pool) <= count:
            return pool.codes[rng.permutation(len(pool))[:count]]
        cost = pool.costs[:, 0]
        low = cost.min()
        unlike = np.full(len(pool), np.inf)
        chosen: list[int] = []
        for target in np.linspace(low, max(low, min(cost.max(), highest)), count):
            gap = np.abs(cost - target)
            gap[chosen] = np.inf
            close = rng.permutation(np.argsort(gap, kind="stable")[: self._close(pool, count)])
            close = close[np.isfinite(gap[close])]
            chosen.append(int(close[np.argmax(unlike[close])]))
            unlike = np.minimum(unlike, (pool.codes != pool.codes[chosen[-1]]).sum(axis=1))
        return pool.take(rng.permutation(np.array(chosen, dtype=np.intp))).codes

    def evolve(
        self, seeds: Codes, score: Score, rng: np.random.Generator, *, generations: int, size: int
    ) -> tuple[Pool, Array]:
        """Everything seen on the way to high scores, with its scores."""
        start = [seeds, self._breed(seeds, size, rng), self._random(size // 2, rng)]
        pool = self._new(np.concatenate(start))
        scores = score(pool)
        for _ in range(generations):
            parents = pool.codes[self._parents(pool, scores)]
            children = self._new(self._breed(parents, size, rng), pool)
            if len(children):
                scores = np.concatenate([scores, score(children)])
                pool = concatenate([pool, children])
        return pool, scores

    def near(self, codes: Codes, most: int, rng: np.random.Generator) -> Pool:
        """Of a finite space: all, or those most like `codes` and as many at random."""
        assert self.finite is not None
        if len(self.finite) <= most:
            return self.finite
        some = rng.choice(len(self.finite), min(len(self.finite), 10 * most), replace=False)
        unlike = np.min([(self.finite.codes[some] != code).sum(axis=1) for code in codes], axis=0)
        nearest = some[np.argsort(unlike, kind="stable")[: most // 2]]
        return self.finite.take(np.unique(np.concatenate([nearest, some[: most // 2]])))

    def _known_metrics(self) -> tuple[str, ...]:
        if self._problem.known_costs is None:
            return ()
        first = {d.name: d.options[0] for d in self._problem.decisions}
        known = self._problem.known_costs([self._problem.rows[0] if self._problem.rows else first])
        earlier = [m for m in known if m.startswith(EARLIER)]
        objectives = [o.metric for o in self._problem.objectives if o.metric in known]
        return (*(objectives or sorted(set(known) - set(earlier))), *earlier)

    def _list_all(self) -> Pool | None:
        if self._problem.rows is not None:
            return self.price(encode(self._problem.decisions, self._problem.rows))
        if math.prod(self._counts.tolist()) > ENUMERATED:
            return None
        grid = np.indices(self._counts.tolist()).reshape(len(self._counts), -1).T
        return self.price(grid.astype(np.int16))

    def _random(self, count: int, rng: np.random.Generator) -> Codes:
        drawn: Codes = (rng.random((count, len(self._counts))) * self._counts).astype(np.int16)
        return drawn

    def _breed(self, parents: Codes, count: int, rng: np.random.Generator) -> Codes:
        """Children of two parents or of one, with a few decisions drawn anew."""
        mothers = parents[rng.integers(len(parents), size=count)]
        fathers = parents[rng.integers(len(parents), size=count)]
        crossed = rng.random(count) < 0.5
        children = np.where((rng.random(mothers.shape) < 0.5) & crossed[:, None], fathers, mothers)
        changes = rng.choice([0, 1, 3], size=(count, 1)) / len(self._counts)
        changed = rng.random(children.shape) < changes
        alone = np.flatnonzero(~crossed)  # a copy of its only parent would be nothing new
        changed[alone, rng.integers(len(self._counts), size=len(alone))] = True
        return np.where(changed, self._random(count, rng), children)

    def _new(self, codes: Codes, pool: Pool | None = None) -> Pool:
        """Price those that are not in the pool, each once."""
        keys, first = np.unique(self.keys(codes), return_index=True)
        if pool is not None:
            first = first[~np.isin(keys, pool.keys)]
        return self.price(codes[np.sort(first)])

    def _parents(self, pool: Pool, scores: Array) -> NDArray[np.intp]:
        """The best of all, and the best two of every tenth of the range of costs."""
        chosen = [np.argsort(-scores, kind="stable")[:40]]
        if self.metrics:
            for part in np.array_split(np.argsort(pool.costs[:, 0], kind="stable"), 10):
                chosen.append(part[np.argsort(-scores[part], kind="stable")[:2]])
        return np.unique(np.concatenate(chosen))

    def _stretched(self, rng: np.random.Generator) -> Pool:
        """Random choices, and from them on towards both ends of the range of costs."""
        pool = self._new(self._random(400, rng))
        for _ in range(12):
            cost = pool.costs[:, 0] if self.metrics else np.zeros(len(pool))
            ranked = np.lexsort((cost, pool.violation))
            ranked = ranked[: max(20, int((pool.violation <= 0).sum()))]
            ends = pool.codes[np.concatenate([ranked[:10], ranked[-10:]])]
            pool = concatenate([pool, self._new(self._breed(ends, 80, rng), pool)])
        return pool

    def _close(self, pool: Pool, count: int) -> int:
        """How many of the pool count as close to a target."""
        return max(8, len(pool) // (4 * count))
