"""Coefficients to try at phi = 1 under any cost, by what the scaled networks really cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import Coefficients, axis, check_grid, spread, steps
from nas.scaling.transform import EFFICIENTNET_ROUNDING, Rounding, Shape, build, shape_of
from search_spaces.architecture import Architecture


def grid_under_cost(
    baseline: Architecture,
    cost: Callable[[Architecture], float],
    factor: float = 2.0,
    *,
    tolerance: float = 0.05,
    step: float = 0.05,
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
    rounding: Rounding = EFFICIENTNET_ROUNDING,
    at_most: int | None = None,
) -> list[Coefficients]:
    """Alpha, beta, gamma of 1 or more that multiply a baseline's cost by about `factor`.

    Of coefficients that round to the same network, the smallest stand for all. A dimension that
    does not change the cost (resolution, under parameters) stays at 1 unless its axis is given.

    Args:
        cost: Architecture to MACs, parameters, bytes, milliseconds; asked of every network on
            the grid once, so it must be quick.
        tolerance: Largest relative distance of the cost from `factor` times the baseline's.
        step, alphas, betas, gammas, at_most: As in `coefficient_grid`.

    Raises:
        InvalidRequestError: If a setting breaks its rule, or no network of the grid is near.

    >>> from nas.cost import count
    >>> from search_spaces.published import get_published
    >>> b0 = get_published("efficientnet_b0")
    >>> grid = grid_under_cost(b0, lambda a: count(a).parameters, step=0.1)
    >>> {c.resolution for c in grid}
    {1.0}
    """
    check_grid(factor, tolerance)
    before = cost(baseline)
    most = factor * (1.0 + tolerance)
    axes = (
        axis("alphas", alphas, _usual(baseline, cost, before, "depth", most, step)),
        axis("betas", betas, _usual(baseline, cost, before, "width", math.sqrt(most), step)),
        axis("gammas", gammas, _usual(baseline, cost, before, "resolution", math.sqrt(most), step)),
    )
    networks: dict[Shape, Coefficients] = {}
    for alpha, beta, gamma in itertools.product(*axes):
        coefficients = Coefficients(depth=alpha, width=beta, resolution=gamma)
        networks.setdefault(shape_of(baseline, coefficients, rounding), coefficients)
    near = [
        coefficients
        for shape, coefficients in networks.items()
        if abs(cost(build(baseline, shape)) / (factor * before) - 1.0) <= tolerance
    ]
    if not near:
        raise InvalidRequestError(
            f"No network of the grid costs {factor:g} times the baseline within `tolerance` "
            f"{tolerance:g}; raise `tolerance` or lower `step`."
        )
    return near if at_most is None else spread(near, at_most)


def _usual(
    baseline: Architecture,
    cost: Callable[[Architecture], float],
    before: float,
    dimension: str,
    high: float,
    step: float,
) -> tuple[float, ...]:
    """The axis of a dimension that nobody gave: up to `high`, or 1 where it costs nothing."""
    doubled = build(baseline, shape_of(baseline, Coefficients(**{dimension: 2.0})))
    return steps(high, step) if cost(doubled) != before else (1.0,)
