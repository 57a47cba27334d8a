"""Dominance, fronts, hypervolume: pure functions over numbers.

Points are (n, m) arrays: n points, m objectives, each in its own direction. A row with a NaN
is no point: it dominates nothing, is dominated by nothing and is never on a front. Equal points
don't dominate each other, so duplicates are all on the front or none is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Maximize = bool | Sequence[bool] | Mask


def dominates(a: ArrayLike, b: ArrayLike, maximize: Maximize) -> bool:
    """Whether `a` is at least as good as `b` everywhere, and better somewhere.

    >>> dominates([0.9, 300], [0.8, 300], maximize=(True, False))
    True
    >>> dominates([0.9, 300], [0.9, 300], maximize=(True, False))
    False
    """
    better, worse = _downwards(np.stack([np.asarray(a), np.asarray(b)]), maximize)
    return bool((better <= worse).all() and (better < worse).any())


def non_dominated(points: ArrayLike, maximize: Maximize) -> Mask:
    """Mark the front.

    Args:
        points: (n, m).
        maximize: One direction for all objectives, or m of them.

    Returns:
        (n,) booleans.

    >>> non_dominated([[0.9, 300], [0.8, 200], [0.7, 250]], maximize=(True, False)).tolist()
    [True, True, False]
    """
    down = _downwards(points, maximize)
    valid = ~np.isnan(down).any(axis=1)
    front = np.zeros(len(down), dtype=np.bool_)
    front[valid] = _front(down[valid])
    return front


def non_dominated_rank(points: ArrayLike, maximize: Maximize) -> NDArray[np.int64]:
    """Number the fronts: 0 for the front, 1 for the front of what is left, and so on.

    Rows with a NaN come last, one beyond the highest rank. One pass over the points a front.

    >>> non_dominated_rank([[3.0], [1.0], [2.0], [1.0]], maximize=False).tolist()
    [2, 0, 1, 0]
    """
    down = _downwards(points, maximize)
    left = np.flatnonzero(~np.isnan(down).any(axis=1))
    ranks = np.full(len(down), -1, dtype=np.int64)
    rank = 0
    while len(left):
        front = _front(down[left])
        ranks[left[front]] = rank
        left = left[~front]
        rank += 1
    ranks[ranks < 0] = rank
    return ranks


def hypervolume(points: ArrayLike, reference: ArrayLike, maximize: Maximize) -> float:
    """Volume that the points dominate, up to the reference point; exact for any m.

    Points that are not better than the reference everywhere add nothing. Cost grows with the
    front's size to the power of m - 1 at worst; thousands of points are fine for m up to 3.

    Args:
        points: (n, m).
        reference: (m,), finite.

    >>> hypervolume([[0.9, 300], [0.8, 200]], [0.5, 400], maximize=(True, False))
    70.0
    """
    down, corner = _downwards(points, maximize), _downwards(np.atleast_2d(reference), maximize)[0]
    if not np.isfinite(corner).all():
        raise ValueError(f"`reference` must be finite, but got {reference!r}.")
    if not len(down):
        return 0.0
    if down.shape[1] != len(corner):
        raise ValueError(
            f"`reference` must have one number an objective ({down.shape[1]}), "
            f"but got {len(corner)}."
        )
    sizes = corner - down  # of the box between each point and the reference; NaN is not above 0
    sizes = sizes[(sizes > 0).all(axis=1)]
    if np.isinf(sizes).any():
        return float("inf")
    return _union_of_boxes(sizes)


def knee(points: ArrayLike, maximize: Maximize) -> int:
    """Index of the front's point that gives up least of everything.

    Objectives are scaled so that the front spans 0 (best) to 1; the knee lies farthest below the
    plane through the scaled extremes, which for two objectives is the chord between the front's
    ends (Das, "On characterizing the knee of the Pareto curve", 1999).

    Raises:
        ValueError: If every row has a NaN or an infinity, or there is none.

    >>> knee([[0.70, 100], [0.90, 120], [0.92, 400]], maximize=(True, False))
    1
    """
    down = _downwards(points, maximize)
    candidates = np.flatnonzero(np.isfinite(down).all(axis=1))
    if not len(candidates):
        raise ValueError("`points` must hold a row of finite numbers, but has none.")
    candidates = candidates[_front(down[candidates])]
    front = down[candidates]
    low, high = front.min(axis=0), front.max(axis=0)
    scaled = (front - low) / np.where(high > low, high - low, 1.0)
    return int(candidates[scaled.sum(axis=1).argmin()])


def tied(points: ArrayLike, errors: ArrayLike, maximize: Maximize) -> Mask:
    """Mark dominated points that the front beats by no more than the errors.

    A point is tied if every front point that dominates it leaves a doubt: some objective where
    the gap is within sqrt(e1^2 + e2^2), and that is above 0. Exact objectives (error 0) leave
    none.

    Args:
        points: (n, m).
        errors: (n, m) standard errors; NaN where unknown counts as 0.

    >>> points = [[0.90, 100], [0.89, 120], [0.70, 120]]
    >>> tied(points, [[0.01, 0]] * 3, maximize=(True, False)).tolist()
    [False, True, False]
    """
    down, error = _downwards(points, maximize), np.nan_to_num(_matrix(errors), nan=0.0)
    if error.shape != down.shape:
        raise ValueError(
            f"`errors` must have the points' shape {down.shape}, but has {error.shape}."
        )
    front = non_dominated(down, maximize=False)
    doubtful = ~front & ~np.isnan(down).any(axis=1)
    for best, best_error in zip(down[front], error[front]):
        at_most, below = (best <= down).all(axis=1), (best < down).any(axis=1)
        with np.errstate(invalid="ignore"):  # inf - inf
            gap = down - best
        doubt = np.hypot(error, best_error)
        clearly = ~((doubt > 0) & (gap <= doubt)).any(axis=1)
        doubtful &= ~(at_most & below & clearly)
    return doubtful


def _matrix(points: ArrayLike) -> Floats:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim == 1 and not array.size:
        array = array.reshape(0, 1)
    if array.ndim != 2:
        raise ValueError(f"`points` must be an (n, m) array, but got shape {array.shape}.")
    return array


def _downwards(points: ArrayLike, maximize: Maximize) -> Floats:
    """The points with every objective to be minimised."""
    array = _matrix(points)
    signs = np.where(np.asarray(maximize, dtype=np.bool_), -1.0, 1.0)
    if signs.ndim and len(array) and signs.shape != (array.shape[1],):
        raise ValueError(
            f"`maximize` must be one direction or one an objective ({array.shape[1]}), "
            f"but got {signs.size}."
        )
    if signs.ndim and not len(array):
        return np.empty((0, len(signs)))
    return array * signs


def _front(down: Floats) -> Mask:
    """The front of points without NaN, minimised."""
    if len(down) == 0:
        return np.zeros(0, dtype=np.bool_)
    if down.shape[1] == 1:
        return np.asarray(down[:, 0] == down.min(), dtype=np.bool_)
    return _front_of_two(down) if down.shape[1] == 2 else _front_of_many(down)


def _front_of_two(down: Floats) -> Mask:
    order = np.lexsort((down[:, 1], down[:, 0]))
    x, y = down[order].T
    starts = np.r_[True, x[1:] != x[:-1]]  # of each run of equal x, whose first y is its least
    first = np.maximum.accumulate(np.where(starts, np.arange(len(x)), 0))
    least = np.minimum.accumulate(y)
    beats_smaller_x = (first == 0) | (y < least[np.maximum(first - 1, 0)])
    front = np.zeros(len(x), dtype=np.bool_)
    front[order] = (y == y[first]) & beats_smaller_x
    return front


def _front_of_many(down: Floats) -> Mask:
    # Dense ranks compare as the values do, and their sums are finite: whatever dominates a
    # point has a smaller sum, so the first point left is always on the front.
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in down.T], axis=1)
    distinct, back = np.unique(ranks, axis=0, return_inverse=True)
    order = np.argsort(distinct.sum(axis=1), kind="stable")
    left, front = distinct[order], np.zeros(len(distinct), dtype=np.bool_)
    while len(left):
        front[order[0]] = True
        not_dominated = (left[1:] < left[0]).any(axis=1)
        left, order = left[1:][not_dominated], order[1:][not_dominated]
    return np.asarray(front[back.reshape(-1)], dtype=np.bool_)


def _union_of_boxes(sizes: Floats) -> float:
    """Volume of the union of boxes that share a corner; (n, m) positive side lengths.

    Each box adds what the boxes longer along the last side leave of it: within it those all
    have its own length there, so what they cover is a union in one dimension less (the idea of
    While, Bradstreet and Barone, "A fast way of calculating exact hypervolumes", 2012).
    """
    if len(sizes) == 0:
        return 0.0
    sizes = sizes[_front(-sizes)]
    if sizes.shape[1] == 1:
        return float(sizes.max())
    sizes = sizes[np.argsort(sizes[:, -1], kind="stable")]
    if sizes.shape[1] == 2:
        widths = np.maximum.accumulate(sizes[::-1, 0])[::-1]
        return float((widths * np.diff(sizes[:, 1], prepend=0.0)).sum())
    total = 0.0
    for i, box in enumerate(sizes):
        inside = np.minimum(sizes[i + 1 :, :-1], box[:-1])
        total += float(box[-1]) * (float(box[:-1].prod()) - _union_of_boxes(inside))
    return total
