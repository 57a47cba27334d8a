"""Models: evaluated networks, asked for by the database: fronts, ties, the best under bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    SelectBase,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from nas.errors import InvalidRequestError
from nas.store.connected import Connected
from nas.store.questions import Comparable, Filter, ModelRow
from nas.store.schema import COSTS, evaluations, trials

EVERYTHING = Filter()
ACCURACIES = ("val_accuracy", "test_accuracy")


@dataclass(frozen=True, slots=True)
class Axis:
    """A metric as the database sees it; `error` is its standard error, 0 where it is exact."""

    value: ColumnElement[float]
    error: ColumnElement[float]
    maximize: bool


class Models(Connected):
    """The part of the store that answers questions about models."""

    def comparables(self, where: Filter = EVERYTHING) -> list[Comparable]:
        """The groups of evaluations that may be compared with each other, the largest first."""
        parts = ("dataset", "split", "recipe", "evaluator", "train_on", "fidelity")
        columns = [evaluations.c.comparable.label("id"), *(evaluations.c[p] for p in parts)]
        query = select(*columns, func.count().label("count")).where(*_conditions(where))
        query = query.group_by(*columns).order_by(func.count().desc(), evaluations.c.comparable)
        with self._read() as connection:
            return [Comparable(**row._mapping) for row in connection.execute(query)]

    def front(
        self,
        where: Filter = EVERYTHING,
        metrics: Sequence[str] = ("macs", "val_accuracy"),
        maximize: Sequence[bool] | None = None,
        *,
        ties: bool = False,
    ) -> list[ModelRow]:
        """The non-dominated models, the best by the first metric first.

        A model without one of the metrics takes no part. Two metrics are a query alone; for
        more, the numbers (not the rows) are read and compared by `nas.pareto`.

        Args:
            metrics: Costs, 'val_accuracy' ('accuracy' means the same), 'test_accuracy',
                'seconds', or a metric of the evaluator's own.
            maximize: Directions; needed for the evaluator's own metrics.
            ties: Add the dominated models that the front beats by no more than the accuracies'
                errors, marked as tied; see `nas.pareto.tied`.

        Raises:
            InvalidRequestError: If a metric is not known, or what `where` describes is not
                comparable (several data sets, recipes or fidelities).
        """
        axes = [axis_of(name, maximize[i] if maximize else None) for i, name in enumerate(metrics)]
        with self._read() as connection:
            find = _front_of_two if len(axes) == 2 else _front_of_many
            marks, is_mixed = find(connection, _conditions(where), axes, ties)
            refused = is_mixed and not where.mixed
            rows = [] if refused else _models(connection, where, marks)
        if refused:
            raise InvalidRequestError(self._not_comparable(where))
        places = {key: place for place, key in enumerate(marks)}
        return sorted(rows, key=lambda row: places[row.evaluation])

    def models(
        self,
        where: Filter = EVERYTHING,
        order_by: str = "val_accuracy",
        maximize: bool | None = None,
        *,
        limit: int | None = None,
    ) -> list[ModelRow]:
        """Completed evaluations, the best by one metric first; those without it come last."""
        axis = axis_of(order_by, maximize)
        best_first = axis.value.desc() if axis.maximize else axis.value.asc()
        order = (best_first.nulls_last(), evaluations.c.key)
        query = _model_query(where).where(*_conditions(where)).order_by(*order).limit(limit)
        with self._read() as connection:
            return [ModelRow(**row._mapping) for row in connection.execute(query)]

    def _not_comparable(self, where: Filter) -> str:
        groups = self.comparables(where)
        differing = [
            name
            for name in ("dataset", "split", "recipe", "evaluator", "train_on", "fidelity")
            if len({getattr(group, name) for group in groups}) > 1
        ]
        return (
            f"A front compares one data set, recipe and fidelity, but {len(groups)} kinds of "
            f"evaluations were meant, which differ in {', '.join(differing)}; name a job, or one "
            f"of the kinds {', '.join(group.id for group in groups[:5])}."
        )


def axis_of(metric: str, maximize: bool | None = None) -> Axis:
    """What to read for a metric, and which way is better."""
    name = "val_accuracy" if metric == "accuracy" else metric
    exact: ColumnElement[float] = literal(0.0)
    if name in ACCURACIES:
        error = func.coalesce(evaluations.c[f"{name}_se"], 0.0)
        return Axis(evaluations.c[name], error, True if maximize is None else maximize)
    if name in (*COSTS, "seconds"):
        return Axis(evaluations.c[name], exact, bool(maximize))
    if maximize is None or not re.fullmatch(r"[\w.@/-]+", name):
        known = ", ".join((*ACCURACIES, *COSTS, "seconds"))
        raise InvalidRequestError(
            f"A metric must be one of {known}, or an evaluator's own with its direction, "
            f"but got {metric!r}."
        )
    return Axis(evaluations.c.metrics[name].as_float(), exact, maximize)


def _conditions(where: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [evaluations.c.status == "completed"]
    for name in ("comparable", "dataset", "recipe", "evaluator", "train_on", "architecture"):
        value = getattr(where, name)
        if value is not None:
            found.append(evaluations.c[name] == value)
    if where.job is not None:
        used = select(trials.c.evaluation).where(
            trials.c.job == where.job,
            trials.c.state == "completed",
            trials.c.evaluation.is_not(None),
        )
        if where.origins is not None:
            used = used.where(trials.c.origin.in_(where.origins))
        found.append(evaluations.c.key.in_(used))
    for name, bound in where.at_most.items():
        found.append(axis_of(name, maximize=False).value <= bound)
    for name, bound in where.at_least.items():
        found.append(axis_of(name, maximize=False).value >= bound)
    return found


def _front_of_two(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    axes: Sequence[Axis],
    ties: bool,
) -> tuple[dict[str, bool], bool]:
    """Keys of the front in order with whether each is merely tied; and whether kinds are mixed.

    Walked from the best x to the worst, and from the best y to the worst at each x: a point is
    on the front if its y is better than all before it. Equal points are one step (a group of
    peers), so that duplicates are on the front or none is.
    """
    points = _points(conditions, axes, ties)
    place = (points.c.x, points.c.y)
    before = func.min(points.c.y).over(order_by=place, groups=(None, -1))
    walk = select(points, before.label("before")).cte("walk")
    kept = [c for c in walk.c if c.name != "before"]
    improves = or_(walk.c.before.is_(None), walk.c.y < walk.c.before)
    front = select(*kept, literal(0).label("tied")).where(improves).cte("front")
    marked: SelectBase = select(front)
    if ties:
        marked = union_all(select(front), _tied_with(points, front))
    found = marked.subquery()
    kinds = [select(f(points.c.comparable)).scalar_subquery() for f in (func.min, func.max)]
    query = select(found.c.key, found.c.tied, (kinds[0] != kinds[1]).label("mixed"))
    rows = connection.execute(query.order_by(found.c.x, found.c.tied, found.c.key)).all()
    return {row.key: bool(row.tied) for row in rows}, bool(rows and rows[0].mixed)


def _points(conditions: Sequence[ColumnElement[bool]], axes: Sequence[Axis], ties: bool) -> CTE:
    """Every point, turned so that less is better on both axes."""
    columns: list[ColumnElement[Any]] = [evaluations.c.key, evaluations.c.comparable]
    for name, axis in zip("xy", axes):
        columns.append((-axis.value if axis.maximize else axis.value).label(name))
        if ties:
            columns.append(axis.error.label(f"{name}_error"))
    present = (axis.value.is_not(None) for axis in axes)
    return select(*columns).where(*conditions, *present).cte("points")


def _tied_with(points: CTE, front: CTE) -> Select[Any]:
    """Dominated points that no member of the front beats clearly."""
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


def _front_of_many(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    axes: Sequence[Axis],
    ties: bool,
) -> tuple[dict[str, bool], bool]:
    """The same for any number of axes: the database gives the numbers, and no more."""
    import numpy as np

    from nas.pareto import non_dominated, tied

    names = (evaluations.c.key, evaluations.c.comparable)
    values, errors = [axis.value for axis in axes], [axis.error for axis in axes]
    order = values[0].desc() if axes[0].maximize else values[0].asc()
    query = select(*names, *values, *errors).where(*conditions)
    rows = connection.execute(query.order_by(order, evaluations.c.key)).all()
    table = np.array([tuple(row[2:]) for row in rows], dtype=np.float64)
    table = table.reshape(len(rows), 2 * len(axes))
    points, maximize = table[:, : len(axes)], [axis.maximize for axis in axes]
    front = non_dominated(points, maximize)
    doubtful = tied(points, table[:, len(axes) :], maximize) if ties else np.zeros_like(front)
    shown = [i for i in range(len(rows)) if front[i] or doubtful[i]]
    is_mixed = len({row.comparable for row in rows}) > 1
    return {rows[i].key: bool(doubtful[i]) for i in shown}, is_mixed


def _models(connection: Connection, where: Filter, marks: dict[str, bool]) -> list[ModelRow]:
    keys = list(marks)
    rows = []
    for start in range(0, len(keys), 500):
        wanted = evaluations.c.key.in_(keys[start : start + 500])
        for row in connection.execute(_model_query(where).where(wanted)):
            rows.append(ModelRow(tied=marks[row.evaluation], **row._mapping))
    return rows


def _model_query(where: Filter) -> Select[Any]:
    job = literal(where.job) if where.job is not None else evaluations.c.job
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
    )
