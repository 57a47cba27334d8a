"""What may be on the front of a cost, or a measured metric, and the validation accuracy, or tied.

One index has all that compares by accuracy, with the costs. A look at a few evaluations below
each of some accuracies finds stairs: whatever is less accurate than a step and costs no less is
dominated. One run along the index then leaves out all that the stairs dominate, before anything
else is asked of it: of a million some thousands are left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Select,
    bindparam,
    case,
    func,
    literal,
    select,
    true,
    union_all,
)

from nas.store.asking import Asked
from nas.store.fronts import members_of
from nas.store.schema import COSTS, evaluations, fronts

MANY = 20_000
"""Among fewer evaluations a front is found faster by sorting them."""
LEVELS = 56  # accuracies from the greatest to the least, closer to each other at the top
MEMBERS = 24  # and those of some members of the usual front
LOOKED_AT = 100  # below each
INDEXED = (
    *("key", "comparable", "architecture", *COSTS),
    *("val_accuracy", "test_accuracy", "created_at"),
)

Step = tuple[float, float]
"""An accuracy, and a cost at which it can be had."""


def are_many(connection: Connection, group: str) -> bool:
    """Whether so many evaluations compare that a sieve is worth its two looks."""
    some = select(literal(1)).where(*_compared(group)).limit(MANY + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() > MANY


def sieved_points(connection: Connection, asked: Asked, x: str, *, with_ties: bool = False) -> CTE:
    """Points with the front of a cost and the validation accuracy among them.

    Args:
        asked: Names one comparable.
        with_ties: And all that is tied with it.
    """
    group = asked.comparable
    assert group is not None
    steps = _look(connection, asked, group, x)
    if with_ties:
        worst = select(func.max(evaluations.c.val_accuracy_se)).where(*_compared(group))
        # the gap to a step is beyond any doubt where it is more than both errors make together
        doubt = 1.5 * (connection.execute(worst).scalar() or 0.0)
        steps = [(accuracy - doubt, cost) for accuracy, cost in steps]
    stairs = _stairs(steps)
    points = _points(asked, x).where(*_compared(group))
    if x not in COSTS:
        points = _measured_points(connection, asked, group, x, stairs)
    some = points.subquery()
    near = select(some).where(some.c.x <= _most(-some.c.y, stairs))
    return _allowed(asked, near.cte("near"))


def _measured_points(
    connection: Connection, asked: Asked, group: str, x: str, stairs: Sequence[Step]
) -> Any:
    """All above one of the stairs by accuracy, and all under it by what was measured: to look one
    up in the other's table takes long, and the rest is dominated by that step."""
    if not stairs:
        return _points(asked, x).where(*_compared(group))
    accuracy, cost = _halfway(connection, asked, group, x, stairs)
    above = _points(asked, x).where(*_compared(group), evaluations.c.val_accuracy >= accuracy)
    fast = asked.measured_within(x, cost).subquery()
    # the latest value is one of these, and looked for only where this one is worth it
    worth = fast.c.value <= _most(evaluations.c.val_accuracy, stairs)
    under = _points(asked, x).where(*_compared(group, hidden=asked.by_guess), worth)
    by_weights = under.join(fast, fast.c.evaluation == evaluations.c.key)
    by_network = under.join(fast, fast.c.architecture == evaluations.c.architecture)
    return union_all(above, by_weights, by_network.where(fast.c.evaluation.is_(None)))


def _halfway(
    connection: Connection, asked: Asked, group: str, x: str, stairs: Sequence[Step]
) -> Step:
    """The step with about as many evaluations above as measurements under it."""
    first, last = 0, len(stairs) - 1
    while first < last:
        middle = (first + last) // 2
        accuracy, cost = stairs[middle]
        above = select(literal(1)).where(*_compared(group), evaluations.c.val_accuracy >= accuracy)
        sizes = [
            connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
            for some in (above, asked.measured_within(x, cost))
        ]
        first, last = (middle + 1, last) if sizes[0] > sizes[1] else (first, middle)
    return stairs[first]


def _look(connection: Connection, asked: Asked, group: str, x: str) -> list[Step]:
    """Steps that some evaluations make which are allowed."""
    levels = _levels(connection, group, x)
    if not levels:
        return []
    some = _some_below(_needed(asked), len(levels), LOOKED_AT)
    near = _points(asked, x, some).add_columns(some.c.level)
    found = _allowed(asked, near.cte("near"))
    steps = select(-func.max(found.c.y), func.min(found.c.x)).where(found.c.x.is_not(None))
    steps = steps.group_by(found.c.level)
    named = {f"_level_{number}": level for number, level in enumerate(levels)}
    rows = connection.execute(steps, {"_group": group, **named})
    return [(accuracy, cost) for accuracy, cost in rows]


@cache  # to build it takes longer than to ask it
def _some_below(names: tuple[str, ...], levels: int, rows: int) -> CTE:
    """Columns of some evaluations of `_group` at and below each `_level_0`, `_level_1`, ..."""
    columns = [evaluations.c[name] for name in names]
    parts = []
    for number in range(levels):
        accuracy = evaluations.c.val_accuracy
        below = select(*columns, literal(number).label("level"))
        below = below.where(*_compared(bindparam("_group")))
        below = below.where(accuracy <= bindparam(f"_level_{number}"))
        parts.append(select(below.order_by(accuracy.desc()).limit(rows).subquery()))
    return union_all(*parts).cte("some")


def _levels(connection: Connection, group: str, x: str) -> list[float]:
    """Accuracies to look below."""
    accuracy = evaluations.c.val_accuracy
    ends = [select(f(accuracy)).where(*_compared(group)) for f in (func.min, func.max)]
    least, greatest = (connection.execute(end).scalar() for end in ends)
    if least is None or greatest is None:
        return []
    y_value = fronts.c.y_value
    members = select(y_value).where(*members_of(group, x, "val_accuracy")).distinct()
    on_front = list(connection.execute(members.order_by(y_value.desc())).scalars())
    some = on_front[:: len(on_front) // MEMBERS + 1]
    others = (greatest - (greatest - least) * (i / LEVELS) ** 2 for i in range(LEVELS))
    levels = [*some, *others]
    return levels + levels[-1:] * (LEVELS + MEMBERS - len(levels))  # one statement, compiled once


def _compared(group: Any, hidden: bool = False) -> tuple[Any, ...]:
    """Conditions on what compares.

    Args:
        hidden: From SQLite, which would begin with them where there is a better way.
    """
    own: list[Any] = [evaluations.c[n] for n in ("comparable", "status", "val_accuracy")]
    comparable, status, accuracy = (func.coalesce(c, None) for c in own) if hidden else own
    return comparable == group, status == "completed", accuracy.is_not(None)


def _needed(asked: Asked) -> tuple[str, ...]:
    """Names of the columns that `_points` asks for, those outside of the index only if it does."""
    bounds = {*asked.where.at_most, *asked.where.at_least}
    return INDEXED if bounds <= {*INDEXED} else (*INDEXED, "seconds", "metrics")


def _points(asked: Asked, x: str, of: FromClause = evaluations) -> Select[Any]:
    """What the index alone tells."""
    columns = (of.c.key, of.c.comparable, of.c.architecture)
    value = asked.axis(x, False, of).value.label("x")
    query = select(*columns, value, (-of.c.val_accuracy).label("y"))
    return query.where(*asked.own_conditions(of))


def _allowed(asked: Asked, near: CTE) -> CTE:
    """Those of which the rest is true, which takes a look elsewhere."""
    near = near.prefix_with("MATERIALIZED", dialect="postgresql")  # which would ask the rest first
    rest = asked.other_conditions(near, among=near)
    return select(near).where(*rest, true()).cte("allowed")


def _stairs(steps: Iterable[Step]) -> list[Step]:
    """The steps that cost less than all above them, from the least accuracy to the greatest."""
    stairs: list[Step] = []
    for accuracy, cost in sorted(steps, key=lambda step: (-step[0], step[1])):
        if not stairs or cost < stairs[-1][1]:
            stairs.append((accuracy, cost))
    return stairs[::-1]


def _most(
    accuracy: Any, stairs: Sequence[Step], otherwise: float = math.inf
) -> ColumnElement[float]:
    """The cost beyond which an evaluation is dominated: that of the first step above its accuracy.

    Halved again and again, so that a row takes a handful of comparisons.
    """
    if not stairs:
        return literal(otherwise, Double)
    half = len(stairs) // 2
    step, cost = stairs[half]
    below = _most(accuracy, stairs[:half], cost)
    above = _most(accuracy, stairs[half + 1 :], otherwise)
    return case((accuracy < step, below), else_=above)
