"""Fronts and ties as queries over points: keys with numbers of which less is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
)

from nas.store.schema import evaluations

Conditions = Callable[[FromClause], Sequence[ColumnElement[bool]]]
"""Conditions on evaluations, said of the table or of an alias of it."""


def front_of(points: FromClause) -> CTE:
    """The non-dominated of points on two axes.

    Seen from the least x to the greatest, and from the least y to the greatest at each x: a
    point is on the front if its y is less than all before it. Equal points are one step (a group
    of peers), so that duplicates are on the front or none is.
    """
    place = (points.c.x, points.c.y)
    before = func.min(points.c.y).over(order_by=place, groups=(None, -1))
    seen = select(points, before.label("before")).cte("seen")
    kept = [c for c in seen.c if c.name != "before"]
    improves = or_(seen.c.before.is_(None), seen.c.y < seen.c.before)
    return select(*kept).where(improves).cte("front")


def walked_points(conditions: Conditions, x: str, y: str) -> CTE:
    """Points among which the front of a cost and an accuracy is, found without sorting.

    Step by step along an index: the next dearer evaluation that is better than the last one. The
    conditions are asked only of those that would be a step.

    Args:
        conditions: Must name one comparable.
    """
    own = evaluations.alias("candidate")
    present = (own.c[x].is_not(None), own.c[y].is_not(None))
    cheapest = select(own.c.key).where(*conditions(own), *present)
    cheapest = cheapest.order_by(own.c[x], own.c[y].desc()).limit(1)
    first, next_one = evaluations.alias("first"), evaluations.alias("next_one")
    begin = select(first.c[x].label("x"), first.c[y].label("y"))
    steps = begin.where(first.c.key == cheapest.scalar_subquery()).cte("steps", recursive=True)
    better = cheapest.where(own.c[x] > steps.c.x, own.c[y] > steps.c.y).correlate(steps)
    follows = next_one.c.key == better.scalar_subquery()
    steps = steps.union_all(
        select(next_one.c[x], next_one.c[y]).select_from(steps.join(next_one, follows))
    )
    equal = evaluations.alias("equal")
    same = and_(equal.c[x] == steps.c.x, equal.c[y] == steps.c.y, *conditions(equal))
    points = select(equal.c.key, equal.c.comparable, steps.c.x, (-steps.c.y).label("y"))
    return points.select_from(steps.join(equal, same)).cte("walked")


def tied_with(points: CTE, front: CTE) -> Select[Any]:
    """Dominated points that no member of the front beats clearly; both have x_error, y_error."""
    gaps, doubts = [], []
    for name in "xy":
        gap = points.c[name] - front.c[name]
        error = points.c[f"{name}_error"], front.c[f"{name}_error"]
        variance = error[0] * error[0] + error[1] * error[1]  # SQLite may lack sqrt
        gaps.append(gap)
        doubts.append(and_(variance > 0, gap * gap <= variance))
    dominated = and_(*(gap >= 0 for gap in gaps), or_(*(gap > 0 for gap in gaps)))
    clearly = exists().where(dominated, ~or_(*doubts)).select_from(front).correlate(points)
    some = exists().where(dominated).select_from(front).correlate(points)
    return select(points, literal(1).label("tied")).where(some, ~clearly)
