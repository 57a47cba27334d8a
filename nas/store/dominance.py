"""Fronts as queries over points: keys with numbers of which less is better."""

from __future__ import annotations

from sqlalchemy import CTE, FromClause, func, or_, select


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
