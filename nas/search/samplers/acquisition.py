"""Expected hypervolume improvement, in closed form, with some objectives known exactly.

All objectives are gains here (larger is better; a cost is its negative), beyond a reference
point. The coordinates of the front cut the space of all objectives but the last into cells. In
a cell the front has one level of the last objective, so a candidate's improvement is, summed
over cells,

    (how far it covers the cell, in each cut objective) * (its gain over the level, in the last)

and its expectation is the product of expectations, since the model has the objectives
independent. A known objective covers a cell by a plain length. With one cost and one unknown
accuracy this is a sum of one-dimensional expected improvements over the steps of the front, each
times the step's width in cost; with several costs the widths become boxes, and with several
unknown objectives expected lengths. (Emmerich et al. 2011 cut the space likewise.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.pareto import non_dominated

Array = NDArray[np.float64]

MOST_CELLS = 4_096
"""Beyond this, coordinates of the front are rounded to fewer, which understates the front."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A front as levels over cells.

    Args:
        edges: For each cut objective the (cells + 1,) bounds of its cells, from the reference up;
            the last is infinite.
        levels: The last objective's level in each cell; one axis a cut objective.
    """

    edges: tuple[Array, ...]
    levels: Array


def cut_cells(front: Array, reference: Array, most_cells: int = MOST_CELLS) -> Cells:
    """Cut the space beyond `reference` (m,) along the coordinates of the points (n, m).

    Points beyond the reference in every objective count; dominated ones do no harm.
    """
    front = front[(front > reference).all(axis=1)]
    front = front[non_dominated(front, True)]
    axes = len(reference) - 1
    if not axes:
        return Cells((), np.maximum.reduce(front[:, 0], initial=reference[0]))
    most = int(most_cells ** (1 / axes)) if axes > 1 else len(front)
    inner = [_thin(np.unique(front[:, axis]), most) for axis in range(axes)]
    levels = np.full([len(c) + 1 for c in inner], reference[-1])
    # cell i ends at coordinate i, so a point fills the cells up to the one that ends at its own
    places = tuple(np.searchsorted(c, front[:, axis], "right") - 1 for axis, c in enumerate(inner))
    np.maximum.at(levels, places, front[:, -1])
    for axis in range(axes):
        levels = np.flip(np.maximum.accumulate(np.flip(levels, axis), axis), axis)
    edges = tuple(np.concatenate([reference[[axis]], c, [np.inf]]) for axis, c in enumerate(inner))
    return Cells(edges, levels)


def _thin(coordinates: Array, most: int) -> Array:
    """At most that many of the coordinates, the lowest among them."""
    if len(coordinates) <= most:
        return coordinates
    kept = np.linspace(0, len(coordinates) - 1, most).astype(int)
    return np.asarray(coordinates[kept])


def expected_improvement(mean: Array, deviation: Array, level: Array) -> Array:
    """E[max(0, y - level)] of normal y; a deviation of 0 means that y is known.

    >>> expected_improvement(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.25, 0.0]))
    array([0.75      , 0.39894228])
    """
    gap = mean - level
    certain = deviation <= 0
    if certain.all():
        return np.asarray(np.maximum(gap, 0.0))
    z = gap / np.where(certain, 1.0, deviation)
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return np.where(certain, np.maximum(gap, 0.0), gap * ndtr(z) + deviation * density)


def expected_hypervolume_improvement(mean: Array, deviation: Array, cells: Cells) -> Array:
    """Score candidates against a front.

    Args:
        mean, deviation: Of each candidate's objectives, (n, m), the front's last objective last.

    Returns:
        (n,) expected improvements.
    """
    axes = len(cells.edges)
    shape = (len(mean),) + (1,) * axes
    gain = expected_improvement(
        mean[:, -1].reshape(shape), deviation[:, -1].reshape(shape), cells.levels[None]
    )
    for axis in reversed(range(axes)):
        low, high = cells.edges[axis][:-1], cells.edges[axis][1:]
        mu, sd = mean[:, axis, None], deviation[:, axis, None]
        beyond_high = np.zeros((len(mean), len(high)))
        beyond_high[:, :-1] = expected_improvement(mu, sd, high[None, :-1])
        covered = expected_improvement(mu, sd, low[None]) - beyond_high
        gain = (gain * covered.reshape(len(mean), *(1,) * axis, -1)).sum(axis=-1)
    return gain
