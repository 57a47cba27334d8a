"""How much deeper, wider and finer: coefficients, the compound rule and its small grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas.errors import InvalidRequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """Factors on a baseline's repeats, channels and pixels a side; 1 leaves it as it is.

    Raises:
        InvalidRequestError: If one is not a positive number.
    """

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    def __post_init__(self) -> None:
        for name in ("depth", "width", "resolution"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 < value <= 1000.0):
                raise InvalidRequestError(
                    f"`{name}` must be above 0, up to 1000, but got {value!r}."
                )

    @property
    def product(self) -> float:
        """depth * width^2 * resolution^2: the factor on MACs that the paper reckons with."""
        return self.depth * self.width**2 * self.resolution**2


PAPER = Coefficients(depth=1.2, width=1.1, resolution=1.15)
"""Alpha, beta and gamma of arXiv 1905.11946, section 3.3; their product is 1.920."""


def compound(alpha: float, beta: float, gamma: float, phi: float) -> Coefficients:
    """Compound scaling, equation (3) of arXiv 1905.11946.

    >>> compound(1.2, 1.1, 1.15, 2).depth
    1.44
    """
    return Coefficients(
        depth=power(alpha, phi), width=power(beta, phi), resolution=power(gamma, phi)
    )


def power(base: float, exponent: float) -> float:
    """base ** exponent; beyond what numbers hold, a request that makes no sense.

    Raises:
        InvalidRequestError: If the power is not a finite positive number.
    """
    try:
        value = float(base**exponent)
    except (OverflowError, ZeroDivisionError):
        value = math.inf
    if not (math.isfinite(value) and value > 0.0):
        raise InvalidRequestError(
            f"`phi` must be a moderate number such as 0.5 or 7, but {base:g} to the power of "
            f"{exponent:g} has no use."
        )
    return value


def steps(high: float, step: float = 0.05) -> tuple[float, ...]:
    """1, 1 + step, ... up to `high`: one axis of a coefficient grid.

    >>> steps(1.2)
    (1.0, 1.05, 1.1, 1.15, 1.2)
    """
    if not (0.0 < step <= 1.0 and 1.0 <= high <= 16.0 and (high - 1.0) / step <= 1000):
        raise InvalidRequestError(
            f"`step` must be above 0, up to 1, and the grid must end between 1 and 16 after at "
            f"most 1000 steps, but got step {step!r} and end {high!r}."
        )
    return tuple(round(1.0 + i * step, 9) for i in range(int((high - 1.0) / step + 1e-9) + 1))


def coefficient_grid(
    product: float = 2.0,
    *,
    tolerance: float = 0.05,
    step: float = 0.05,
    exponents: tuple[float, float, float] = (1.0, 2.0, 2.0),
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
    at_most: int | None = None,
) -> list[Coefficients]:
    """Alpha, beta, gamma of 1 or more whose nominal cost is near `product`: candidates at phi=1.

    The paper's own grid is not published (arXiv 1905.11946, section 3.3); its result, 1.2, 1.1
    and 1.15, is on this one. `nas.scaling.grid_under_cost` takes real costs instead.

    Args:
        tolerance: Largest relative distance of the nominal cost from `product`.
        step: Grid step where an axis is not given.
        exponents: How the cost grows with depth, width and resolution: (1, 2, 2) for MACs,
            (1, 2, 0) for parameters, (1, 1, 2) for activations.
        alphas, betas, gammas: The axes, where not from 1 to the factor that alone would do.
        at_most: Keep so many, spread over the whole grid; the most even one is among them.

    Raises:
        InvalidRequestError: If a setting breaks its rule, or no point of the grid is near.

    >>> PAPER in coefficient_grid()
    True
    """
    check_grid(product, tolerance)
    axes = [
        axis(name, given, steps(_alone(product, exponent, tolerance), step))
        for name, given, exponent in zip(
            ("alphas", "betas", "gammas"), (alphas, betas, gammas), exponents
        )
    ]
    grid = []
    for alpha, beta, gamma in itertools.product(*axes):
        cost = alpha ** exponents[0] * beta ** exponents[1] * gamma ** exponents[2]
        if abs(cost / product - 1.0) <= tolerance + 1e-12:
            grid.append(Coefficients(depth=alpha, width=beta, resolution=gamma))
    if not grid:
        raise InvalidRequestError(
            f"No coefficients of the grid come within `tolerance` {tolerance:g} of {product:g}; "
            "raise `tolerance` or lower `step`."
        )
    return grid if at_most is None else spread(grid, at_most)


def spread(grid: Sequence[Coefficients], at_most: int) -> list[Coefficients]:
    """So many members of a grid, far from each other, beginning with the most even one.

    >>> [c.width for c in spread([Coefficients(width=w) for w in (1.0, 1.1, 1.2, 2.0)], 2)]
    [1.0, 2.0]
    """
    if at_most < 1:
        raise InvalidRequestError(f"`at_most` must be at least 1, but got {at_most!r}.")

    def place(c: Coefficients) -> tuple[float, float, float]:
        # how much of MACs each takes: distances there are the paper's
        return math.log(c.depth), 2 * math.log(c.width), 2 * math.log(c.resolution)

    places = [place(c) for c in grid]
    chosen = [min(range(len(grid)), key=lambda i: max(places[i]) - min(places[i]))]
    while len(chosen) < min(at_most, len(grid)):
        gaps = [min(math.dist(p, places[c]) for c in chosen) for p in places]
        chosen.append(max(range(len(grid)), key=gaps.__getitem__))
    return [grid[i] for i in sorted(chosen)]


def check_grid(factor: float, tolerance: float) -> None:
    """Refuse a factor on cost, or a distance from it, that no grid can have."""
    if not 1.0 < factor <= 16.0:
        raise InvalidRequestError(
            f"The factor on cost must be above 1, up to 16, but got {factor!r}."
        )
    if not 0.0 < tolerance < 1.0:
        raise InvalidRequestError(f"`tolerance` must be between 0 and 1, but got {tolerance!r}.")


def axis(name: str, given: Sequence[float] | None, usual: tuple[float, ...]) -> tuple[float, ...]:
    """One axis of a grid: what was given, or the usual one."""
    if given is None:
        return usual
    if not given or min(given) < 1.0:
        raise InvalidRequestError(
            f"`{name}` must be one or more numbers of 1 or more, but got {list(given)!r:.80}."
        )
    return tuple(given)


def _alone(product: float, exponent: float, tolerance: float) -> float:
    """The factor that reaches the product by itself; 1 for a dimension that costs nothing."""
    return float((product * (1.0 + tolerance)) ** (1.0 / exponent)) if exponent > 0 else 1.0
