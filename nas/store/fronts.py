"""The usual fronts, kept up to date in the transaction that writes an evaluation.

The table holds every member of a front, and perhaps more: of two writers at once neither sees the
other's. A reader takes the front of what is there, some hundreds of rows. What is not added,
because a member dominates it, stays dominated for as long as that member is there; once a member
is deleted, its row is left without an evaluation, the front is asked of all evaluations, and the
next writer makes it anew. A writer holds a share of its comparable's row until its transaction
ends, and who makes the front anew holds the whole, so that none of them misses the other's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    Connection,
    Double,
    Executable,
    Select,
    Subquery,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    literal,
    select,
    union_all,
)

from nas.store.asking import Axis
from nas.store.connected import chunks, upsert
from nas.store.dominance import front_of
from nas.store.questions import GROUP_PARTS
from nas.store.schema import COSTS, comparables, evaluations, fronts

PAIRS = tuple((x, y) for x in COSTS for y in ("val_accuracy", "test_accuracy"))
"""Metrics of the usual fronts: what is minimised, what is maximised."""
COLUMNS = ("comparable", "x", "y", "x_value", "y_value", "evaluation")


def keep_fronts(connection: Connection, keys: Sequence[str], groups: Iterable[str]) -> None:
    """Take evaluations that were just written into the usual fronts.

    Args:
        groups: The comparables that they belong to.
    """
    ids = sorted(set(groups))
    there = connection.execute(_THERE, {"_ids": ids}).all()
    if len(there) < len(ids):
        for some in chunks(keys):
            connection.execute(_new_groups(connection.dialect.name), {"_keys": list(some)})
    damaged = [row.id for row in there if row.damaged]
    if damaged:
        mend_fronts(connection, damaged)
    if len(damaged) == len(ids):
        return
    if connection.dialect.name != "sqlite":  # which has one writer at a time
        connection.execute(_SHARE, {"_ids": ids})
    for some in chunks(keys):
        written = {"_keys": list(some)}
        if connection.execute(_ADD, written).rowcount:
            connection.execute(_REMOVE, written)


def mend_fronts(connection: Connection, groups: Iterable[str] | None = None) -> None:
    """Make the usual fronts anew: of some comparables, or of those that lost a member."""
    if groups is None:
        lost = select(fronts.c.comparable).where(fronts.c.evaluation.is_(None)).distinct()
        groups = connection.execute(lost).scalars().all()
    for group in sorted(groups):
        whole = select(comparables.c.id).where(comparables.c.id == group).with_for_update()
        connection.execute(whole)
        connection.execute(delete(fronts).where(fronts.c.comparable == group))
        for x, y in PAIRS:
            connection.execute(_add_front(x, y), {"_group": group})


def cost_and_gain(axes: Sequence[Axis]) -> tuple[Axis, Axis] | None:
    """Two axes, in either order, of which one is minimised and the other maximised."""
    if len(axes) != 2 or axes[0].maximize == axes[1].maximize:
        return None
    first, second = axes
    return (second, first) if first.maximize else (first, second)


def usual_pair(axes: Sequence[Axis]) -> tuple[str, str] | None:
    """Cost and accuracy of the usual front that two axes, in either order, ask for; if one."""
    found = cost_and_gain(axes)
    pair = None if found is None else (found[0].column or "", found[1].column or "")
    return pair if pair in PAIRS else None


def usual_points(x: str, y: str) -> CTE:
    """Points among which the usual front of `_group` is, less being better on both axes."""
    columns = (
        fronts.c.evaluation.label("key"),
        fronts.c.comparable,
        fronts.c.x_value.label("x"),
        (-fronts.c.y_value).label("y"),
    )
    return select(*columns).where(*members_of(bindparam("_group"), x, y)).cte("members")


def is_damaged(connection: Connection, group: str, x: str, y: str) -> bool:
    """Whether a usual front lost a member that was deleted."""
    return connection.execute(_LOST, {"_group": group, "_x": x, "_y": y}).first() is not None


def members_of(group: Any, x: Any, y: Any) -> tuple[Any, ...]:
    """The conditions on the rows of one usual front."""
    return fronts.c.comparable == group, fronts.c.x == x, fronts.c.y == y


_LOST = (
    select(literal(1))
    .where(*members_of(bindparam("_group"), bindparam("_x"), bindparam("_y")))
    .where(fronts.c.evaluation.is_(None))
    .limit(1)
)
_IDS: Any = bindparam("_ids", expanding=True)
_THERE = select(
    comparables.c.id,
    exists()
    .where(fronts.c.comparable == comparables.c.id, fronts.c.evaluation.is_(None))
    .label("damaged"),
).where(comparables.c.id.in_(_IDS))
# in one order, so that two writers can't wait for each other
_SHARE = (
    select(comparables.c.id)
    .where(comparables.c.id.in_(_IDS))
    .order_by(comparables.c.id)
    .with_for_update(read=True)
)
_WRITTEN = and_(
    evaluations.c.key.in_(bindparam("_keys", expanding=True)), evaluations.c.status == "completed"
)


@cache
def _new_groups(dialect: str) -> Executable:
    parts = [evaluations.c[name] for name in GROUP_PARTS]
    found = select(evaluations.c.comparable, *parts).where(_WRITTEN).distinct()
    insert = upsert(dialect, comparables).from_select(["id", *GROUP_PARTS], found)
    return insert.on_conflict_do_nothing()


def _new_points() -> Subquery:
    """Points of the evaluations that were written, one row for each pair of metrics."""
    points = [
        select(
            evaluations.c.key,
            evaluations.c.comparable,
            literal(x).label("x"),
            literal(y).label("y"),
            cast(evaluations.c[x], Double).label("x_value"),
            evaluations.c[y].label("y_value"),
        ).where(_WRITTEN, evaluations.c[x].is_not(None), evaluations.c[y].is_not(None))
        for x, y in PAIRS
    ]
    # no CTE: Python's sqlite3 counts the rows of what begins with INSERT, and not with WITH
    return union_all(*points).subquery("new")


def _additions() -> Executable:
    new, member = _new_points(), fronts.alias("member")
    same = and_(*(member.c[name] == new.c[name] for name in ("comparable", "x", "y")))
    better = and_(
        member.c.x_value <= new.c.x_value,
        member.c.y_value >= new.c.y_value,
        (member.c.x_value < new.c.x_value) | (member.c.y_value > new.c.y_value),
    )
    is_there = exists().where(same, member.c.evaluation == new.c.key)
    is_dominated = exists().where(same, better, member.c.evaluation.is_not(None))
    columns = (new.c[name] for name in ("comparable", "x", "y", "x_value", "y_value", "key"))
    added = select(*columns).where(~is_there.correlate(new), ~is_dominated.correlate(new))
    return fronts.insert().from_select(list(COLUMNS), added)


def _removals() -> Executable:
    new, member = _new_points(), fronts.alias("member")
    worse = and_(
        *(member.c[name] == new.c[name] for name in ("comparable", "x", "y")),
        member.c.x_value >= new.c.x_value,
        member.c.y_value <= new.c.y_value,
        (member.c.x_value > new.c.x_value) | (member.c.y_value < new.c.y_value),
    )
    dominated = select(member.c.id).select_from(new.join(member, worse))
    # a new one that was not added is dominated, and what it dominates is, too
    return delete(fronts).where(fronts.c.id.in_(dominated))


_ADD = _additions()
_REMOVE = _removals()


@cache
def _add_front(x: str, y: str) -> Executable:
    points: Select[Any] = select(
        evaluations.c.key,
        evaluations.c.comparable,
        cast(evaluations.c[x], Double).label("x"),
        (-evaluations.c[y]).label("y"),
    ).where(
        evaluations.c.comparable == bindparam("_group"),
        evaluations.c.status == "completed",
        evaluations.c[x].is_not(None),
        evaluations.c[y].is_not(None),
    )
    found = front_of(points.cte("points"))
    columns = (found.c.comparable, literal(x), literal(y), found.c.x, -found.c.y, found.c.key)
    return fronts.insert().from_select(list(COLUMNS), select(*columns))
