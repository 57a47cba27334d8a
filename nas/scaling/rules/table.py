"""A rule that goes through published members, one at each given phi."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nas.scaling.coefficients import Coefficients, power


class Point(NamedTuple):
    """A published member: where it stands on the path, and its factors."""

    phi: float
    width: float
    depth: float
    resolution: float


def along(points: Sequence[Point], phi: float) -> Coefficients:
    """Factors at any phi: a member's own, between two members log-linear, beyond the ends at the
    mean slope of the whole table.

    Args:
        points: By rising phi; the baseline, phi 0 and factors 1, among them.
    """
    first, last = points[0], points[-1]
    for point in points:
        if phi == point.phi:
            return Coefficients(depth=point.depth, width=point.width, resolution=point.resolution)
    if phi < first.phi or phi > last.phi:
        end, slope = (first if phi < first.phi else last), (first, last)
    else:
        right = next(i for i, point in enumerate(points) if point.phi > phi)
        end, slope = points[right - 1], (points[right - 1], points[right])
    share = (phi - end.phi) / (slope[1].phi - slope[0].phi)

    def at(name: str) -> float:
        low, high, start = (float(getattr(p, name)) for p in (*slope, end))
        return start * power(math.e, math.log(high / low) * share)

    return Coefficients(depth=at("depth"), width=at("width"), resolution=at("resolution"))
