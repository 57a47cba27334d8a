"""Models: evaluated networks, asked for by the database: fronts, ties, lists of the best."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
)

from nas.cursor import read_cursor, write_cursor
from nas.errors import InvalidRequestError
from nas.store.asking import Asked, Axis, ask
from nas.store.columns import Words
from nas.store.connected import Connected, chunks
from nas.store.dominance import front_of
from nas.store.fronts import cost_and_gain, is_damaged, usual_pair, usual_points
from nas.store.questions import GROUP_PARTS, Comparable, Filter, ModelRow, Page
from nas.store.schema import COSTS, comparables, evaluations, trials
from nas.store.sieve import are_many, sieved_points

EVERYTHING = Filter()
USUAL = ("macs", "val_accuracy")


class Models(Connected):
    """The part of the store that answers questions about models."""

    def comparables(self, where: Filter = EVERYTHING) -> list[Comparable]:
        """The groups of evaluations that may be compared with each other, the largest first."""
        with self._read() as connection:
            conditions = ask(connection, where).conditions()
            count = func.count().label("count")
            sizes = select(evaluations.c.comparable, count).where(*conditions)
            found = sizes.group_by(evaluations.c.comparable).subquery()
            query = select(comparables, found.c.count)
            query = query.join(found, found.c.comparable == comparables.c.id)
            query = query.order_by(found.c.count.desc(), comparables.c.id)
            return [Comparable(**row._mapping) for row in connection.execute(query)]

    def groups(self, limit: int = 100, count_to: int = 10_000) -> list[Comparable]:
        """The same for a list to choose from, in a few milliseconds whatever the store holds.

        Args:
            limit: Groups at most.
            count_to: A larger group is counted so far and no further.
        """
        some = (
            select(literal(1))
            .where(
                evaluations.c.comparable == comparables.c.id, evaluations.c.status == "completed"
            )
            .limit(count_to)
            .correlate(comparables)
            .subquery()
        )
        size = select(func.count()).select_from(some).scalar_subquery().label("count")
        query = select(comparables, size).order_by(size.desc(), comparables.c.id).limit(limit)
        with self._read() as connection:
            found = [Comparable(**row._mapping) for row in connection.execute(query)]
        return [group for group in found if group.count]

    def model(self, key: str) -> ModelRow | None:
        """The completed evaluation of that key as a listing shows it."""
        with self._read() as connection:
            rows = rows_of(connection, Asked(EVERYTHING), {key: False})
        return rows[0] if rows else None

    def front(
        self,
        where: Filter = EVERYTHING,
        metrics: Sequence[str] = USUAL,
        maximize: Sequence[bool] | None = None,
        *,
        ties: bool = False,
        also: Sequence[str] = (),
    ) -> list[ModelRow]:
        """The non-dominated models, the best by the first metric first.

        A model without one of the metrics takes no part. Two metrics are a query alone; for
        more, the numbers (not the rows) are read and compared by `nas.pareto`.

        Args:
            metrics: Costs, 'val_accuracy' ('accuracy' means the same), 'test_accuracy',
                'seconds', a metric of the evaluator's own, or, as `where` says, a measured one.
            maximize: Directions; needed for the evaluator's own metrics.
            ties: Add the dominated models that the front beats by no more than the accuracies'
                errors, marked as tied; see `nas.pareto.tied`.
            also: Measured metrics whose values come along in the rows, with those asked about.

        Raises:
            InvalidRequestError: If a metric is not known, or what `where` describes is not
                comparable (several data sets, recipes or fidelities).
        """
        with self._read() as connection:
            asked = ask(connection, where, (*metrics, *also))
            axes = asked.axes(metrics, maximize)
            self.check_comparable(connection, asked, axes)
            return front_rows(connection, asked, axes, ties)

    def models(
        self,
        where: Filter = EVERYTHING,
        order_by: str = "val_accuracy",
        maximize: bool | None = None,
        *,
        limit: int | None = None,
        also: Sequence[str] = (),
    ) -> list[ModelRow]:
        """Completed evaluations, the best by one metric first; those without it come last.

        Args:
            also: Measured metrics whose values come along in the rows.
        """
        with self._read() as connection:
            asked = ask(connection, where, [order_by, *also])
            places = _listed(connection, asked, asked.axis(order_by, maximize), limit)
            return rows_of(connection, asked, {key: False for key, _ in places})

    def page(
        self,
        where: Filter = EVERYTHING,
        order_by: str = "val_accuracy",
        maximize: bool | None = None,
        *,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """A part of what `models` lists; a page stays where it is while others are written.

        Args:
            after: `Page.after` of the page before.

        Raises:
            InvalidRequestError: If `after` is not of a page of this list.
        """
        if limit < 1:
            raise InvalidRequestError(f"`limit` must be at least 1, but got {limit}.")
        with self._read() as connection:
            asked = ask(connection, where, [order_by])
            axis = asked.axis(order_by, maximize)
            place = None if after is None else _read_cursor(after, order_by, axis.maximize)
            places = _listed(connection, asked, axis, limit + 1, place)
            keys = {key: False for key, _ in places[:limit]}
            rows = tuple(rows_of(connection, asked, keys))
        more = len(places) > limit
        last = write_cursor(order_by, axis.maximize, *places[limit - 1]) if more else None
        return Page(rows=rows, after=last)

    def check_comparable(self, connection: Connection, asked: Asked, axes: Sequence[Axis]) -> None:
        """Raise `InvalidRequestError` if what is asked about does not compare."""
        if asked.comparable is not None or asked.where.mixed is True:
            return
        present = (axis.value.is_not(None) for axis in axes)
        parts = [evaluations.c[part] for part in GROUP_PARTS]
        some = select(evaluations.c.comparable).where(*asked.conditions(), *present)
        ends = [some.with_only_columns(f(evaluations.c.comparable)) for f in (func.min, func.max)]
        lowest, highest = (connection.execute(end).scalar() for end in ends)
        if lowest == highest:
            return
        query = some.with_only_columns(evaluations.c.comparable, *parts).distinct()
        groups = connection.execute(query.order_by(evaluations.c.comparable)).all()
        differing = [p for p in GROUP_PARTS if len({getattr(row, p) for row in groups}) > 1]
        if set(differing) <= set(asked.where.mixed or ()):
            return
        raise InvalidRequestError(
            f"A front compares one data set, recipe and fidelity, but {len(groups)} kinds of "
            f"evaluations were meant, which differ in {', '.join(differing)}; name a job, or one "
            f"of the kinds {', '.join(group.comparable for group in groups[:5])}."
        )


def front_rows(
    connection: Connection, asked: Asked, axes: Sequence[Axis], ties: bool
) -> list[ModelRow]:
    """Models of a front among what compares, the best by the first axis first."""
    if len(axes) == 2 and not ties:
        return rows_of(connection, asked, _front_of_two(connection, asked, axes))
    return rows_of(connection, asked, _front_of_many(connection, asked, axes, ties))


def rows_of(connection: Connection, asked: Asked, marks: dict[str, bool]) -> list[ModelRow]:
    """Models by key in the order of the keys, marked as tied or not; what was asked about of
    their measurements is among their metrics, by the name that the question has for it."""
    keys, rows = list(marks), {}
    job = asked.where.job
    named: dict[str, Any] = {} if job is None else {"_job": job}
    query = _model_query("" if job is None else "one" if isinstance(job, str) else "any")
    measured = {f"measured_{i}": name for i, name in enumerate(asked.measured)}
    if measured:
        values = (asked.axis(name, False).value.label(label) for label, name in measured.items())
        query = query.add_columns(*values)
    for some in chunks(keys):
        for found in connection.execute(query, {"_keys": some, **named}):
            row = dict(found._mapping)
            own = {name: row.pop(label) for label, name in measured.items()}
            if own:
                known = {name: value for name, value in own.items() if value is not None}
                row["metrics"] = {**row["metrics"], **known}
            rows[found.evaluation] = ModelRow(tied=marks[found.evaluation], **row)
    return [rows[key] for key in keys if key in rows]


def points_of(asked: Asked, axes: Sequence[Axis]) -> CTE:
    """Every point, turned so that less is better on every axis: x and y, or x0, x1, ..."""
    names = "xy" if len(axes) == 2 else [f"x{i}" for i in range(len(axes))]
    columns = [axis.downwards.label(name) for name, axis in zip(names, axes)]
    present = (axis.value.is_not(None) for axis in axes)
    query = select(evaluations.c.key, evaluations.c.comparable, *columns)
    return query.where(*asked.conditions(), *present).cte("points")


def _front_of_two(connection: Connection, asked: Asked, axes: Sequence[Axis]) -> dict[str, bool]:
    """Keys of the front in order, each with False: it is not merely tied."""
    pair, group, by_cost = usual_pair(axes), asked.comparable, axes[1].maximize
    kept = asked.is_usual and not asked.has_bounds
    if kept and group and pair and not is_damaged(connection, group, *pair):
        found = connection.execute(_usual_front(*pair, by_cost), {"_group": group})
    elif cost := _sieved(connection, asked, axes):
        points = sieved_points(connection, asked, cost)
        found = connection.execute(_front_in_order(points, by_cost))
    else:
        found = connection.execute(_front_in_order(points_of(asked, axes)))
    return dict.fromkeys(found.scalars(), False)


@cache
def _usual_front(x: str, y: str, by_cost: bool) -> Select[Any]:
    return _front_in_order(usual_points(x, y), by_cost)


def _front_in_order(points: CTE, by_x: bool = True) -> Select[Any]:
    front = front_of(points)
    return select(front.c.key).order_by(front.c.x if by_x else front.c.y, front.c.key)


def _sieved(connection: Connection, asked: Asked, axes: Sequence[Axis]) -> str | None:
    """The metric that a sieve finds a front of, with the accuracy, if one is worth its while."""
    pair = cost_and_gain(axes)
    if asked.comparable is None or asked.are_few or pair is None:
        return None
    cost, accuracy = pair
    name = cost.column if cost.column in COSTS else cost.measured
    if name is None or accuracy.column != "val_accuracy":
        return None
    return name if are_many(connection, asked.comparable) else None


def _front_of_many(
    connection: Connection, asked: Asked, axes: Sequence[Axis], ties: bool
) -> dict[str, bool]:
    """The same with ties, or for any number of axes: the database gives the numbers, no more."""
    import numpy as np

    from nas.pareto import non_dominated, tied

    values, errors = [axis.value for axis in axes], [axis.error for axis in axes]
    query = select(evaluations.c.key, *values, *errors)
    cost = _sieved(connection, asked, axes) if ties else None
    if cost:
        few = sieved_points(connection, asked, cost, with_ties=True)
        query = query.where(evaluations.c.key.in_(select(few.c.key)))
    else:
        query = query.where(*asked.conditions())
    query = query.order_by(axes[0].downwards.nulls_last(), evaluations.c.key)
    rows = connection.execute(query).all()
    table = np.array([tuple(row[1:]) for row in rows], dtype=np.float64)
    table = table.reshape(len(rows), 2 * len(axes))
    points, maximize = table[:, : len(axes)], [axis.maximize for axis in axes]
    front = non_dominated(points, maximize)
    doubtful = tied(points, table[:, len(axes) :], maximize) if ties else np.zeros_like(front)
    return {row.key: bool(doubtful[i]) for i, row in enumerate(rows) if front[i] or doubtful[i]}


Place = tuple[str, float | None]
"""Key of an evaluation, and its value of what a list is ordered by."""


def _listed(
    connection: Connection,
    asked: Asked,
    axis: Axis,
    limit: int | None,
    after: Place | None = None,
) -> list[Place]:
    """Places of a list, those without a value last, by key among equals.

    The keys run the way the values do, so that one index serves both databases and directions.
    """
    key, value = evaluations.c.key, axis.value
    query = select(key, value.label("value")).where(*asked.conditions())
    with_value = query.where(value.is_not(None))
    # of few: an expression, or SQLite would walk all that have no value
    without = query.where(
        (value + 0 if asked.by_guess and asked.are_few else value).is_(None)
    ).order_by(key)
    if after is None or after[1] is not None:
        if after is not None:
            beyond = [(c < v) if axis.maximize else (c > v) for c, v in zip((key, value), after)]
            level = (value <= after[1]) if axis.maximize else (value >= after[1])
            with_value = with_value.where(level, or_(beyond[1], beyond[0]))
        order = [c.desc() if axis.maximize else c.asc() for c in (value, key)]
        rows = connection.execute(with_value.order_by(*order).limit(limit)).all()
    else:
        rows, without = [], without.where(key > after[0])
    if limit is None or len(rows) < limit:
        rest = None if limit is None else limit - len(rows)
        rows = [*rows, *connection.execute(without.limit(rest))]
    return [(row.key, row.value) for row in rows]


def _read_cursor(text: str, order_by: str, maximize: bool) -> Place:
    try:
        name, direction, key, value = read_cursor(text)
        right = (name, direction) == (order_by, maximize) and isinstance(key, str)
        if not right or not (value is None or type(value) in (int, float)):
            raise ValueError
    except ValueError:
        raise InvalidRequestError(
            f"`after` must be what the page before gave for this order, but got {text!r:.80}; "
            f"leave it out to begin at the first page."
        ) from None
    return key, value


@cache
def _model_query(jobs: str) -> Select[Any]:
    """Rows of `_keys`, named by a trial of the "one" `_job`, of "any" of them, or of their own."""
    job: Any = evaluations.c.job
    if jobs == "one":
        job = bindparam("_job", type_=Words)
    elif jobs == "any":
        own = trials.alias("own_trials")
        several = own.c.job.in_(bindparam("_job", expanding=True))
        used = and_(own.c.evaluation == evaluations.c.key, several)
        job = select(func.min(own.c.job)).where(used).correlate(evaluations).scalar_subquery()
    number = select(func.min(trials.c.number)).where(
        trials.c.evaluation == evaluations.c.key, trials.c.job == job
    )
    columns = (
        *("architecture", "subject", "dataset", "recipe", "seed", "fidelity"),
        *("val_accuracy", "val_accuracy_se", "test_accuracy", "test_accuracy_se"),
        *COSTS,
        *("seconds", "device", "metrics", "created_at"),
    )
    return select(
        evaluations.c.key.label("evaluation"),
        job.label("job"),
        number.scalar_subquery().label("trial"),
        *(evaluations.c[name] for name in columns),
    ).where(
        evaluations.c.key.in_(bindparam("_keys", expanding=True)),
        evaluations.c.status == "completed",
    )
