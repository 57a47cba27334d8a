"""Which members of a family are wanted: by phi, by targets, or by factors; and those members."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from nas.cost import count
from nas.errors import InvalidRequestError
from nas.quantity import Bound
from nas.scaling.coefficients import Coefficients
from nas.scaling.member import LatencyModel, Member, family
from nas.scaling.rules.contract import Rule
from nas.scaling.solver import solve
from nas.scaling.target import parse_targets
from search_spaces.architecture import Architecture

FACTORS = ("depth", "width", "resolution")
FEWEST_PIXELS = 8.0
"""A resolution from here on is pixels a side; below, a factor."""


def parse_target_sets(texts: Sequence[str], baseline: Architecture) -> list[tuple[Bound, ...]]:
    """Read targets that hold together, each perhaps a list by commas: a set for each of those.

    >>> from search_spaces.published import get_published
    >>> b0 = get_published("efficientnet_b0")
    >>> for targets in parse_target_sets(["1x,2x", "parameters<=8M"], b0):
    ...     print(*targets, sep=", ")
    macs <= 386 M, parameters <= 8 M
    macs <= 772 M, parameters <= 8 M
    """
    lists = [text.split(",") for text in texts]
    return [parse_targets(chosen, baseline) for chosen in itertools.product(*lists)]


def parse_factors(text: str, baseline: Architecture) -> Coefficients:
    """Read factors on a baseline, resolution also as pixels: `depth=1.4,width=1.2,resolution=291`.

    Raises:
        InvalidRequestError: If it names no factor, or one twice, or no number above 0.

    >>> from search_spaces.published import get_published
    >>> parse_factors("width=0.75,resolution=160", get_published("mobilenet_v1")).width
    0.75
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        number = _number(value)
        if name not in FACTORS or name in found or not number > 0.0:
            raise InvalidRequestError(
                f"Factors must read like 'depth=1.4,width=1.2,resolution=291', "
                f"but got {text!r:.80}."
            )
        found[name] = number
    return _in_pixels(found, baseline)


def factor_grid(lists: dict[str, str], baseline: Architecture) -> list[Coefficients]:
    """Every combination of lists of factors by name, as in `{"width": "1,0.75"}`.

    >>> from search_spaces.published import get_published
    >>> v1 = get_published("mobilenet_v1")
    >>> len(factor_grid({"width": "1,0.75,0.5,0.25", "resolution": "224,192,160,128"}, v1))
    16
    """
    axes = [[(name, value) for value in text.split(",")] for name, text in lists.items()]
    return [
        parse_factors(",".join(f"{name}={value}" for name, value in chosen), baseline)
        for chosen in itertools.product(*axes)
    ]


def make_members(
    baseline: Architecture,
    rule: Rule,
    *,
    phis: Sequence[float] = (),
    target_sets: Sequence[Sequence[Bound]] = (),
    factors: Sequence[Coefficients] = (),
    latency_model: LatencyModel | None = None,
) -> list[Member]:
    """The members asked for: those at phi first, then one for each set of targets, then factors.

    Raises:
        UnmetTargetError: If no member meets a set of targets; it holds the nearest.
    """
    return [
        *family(baseline, rule, phis, latency_model),
        *(solve(baseline, rule, targets, latency_model) for targets in target_sets),
        *(_by_factors(baseline, rule, given, latency_model) for given in factors),
    ]


def _by_factors(
    baseline: Architecture, rule: Rule, factors: Coefficients, latency_model: LatencyModel | None
) -> Member:
    architecture = rule.scale(baseline, factors)
    return Member(
        architecture=architecture,
        rule=rule.name,
        phi=None,
        coefficients=factors,
        costs=count(architecture),
        latency_ms=latency_model(architecture) if latency_model else None,
    )


def _in_pixels(found: dict[str, float], baseline: Architecture) -> Coefficients:
    pixels = found.get("resolution", 1.0)
    if pixels >= FEWEST_PIXELS:
        found["resolution"] = pixels / baseline.resolution
    return Coefficients(**found)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
