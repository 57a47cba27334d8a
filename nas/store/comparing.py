"""Questions that set models or jobs against each other: the best, the nearest, what was added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import CTE, Connection, and_, literal, or_, select

from nas.errors import InvalidRequestError
from nas.store.asking import Asked, Axis, ask
from nas.store.fronts import is_damaged, members_of, usual_pair
from nas.store.models import EVERYTHING, USUAL, Models, front_rows, points_of, rows_of
from nas.store.questions import Added, Filter, ModelRow, VolumePoint
from nas.store.schema import evaluations, fronts, trials


class Comparisons(Models):
    """The part of the store that sets models and jobs against each other."""

    def best(
        self,
        where: Filter = EVERYTHING,
        metric: str = "val_accuracy",
        maximize: bool | None = None,
        *,
        limit: int = 1,
    ) -> list[ModelRow]:
        """The best by one metric within the bounds of `where`, such as 300 M MACs and 10 ms.

        Of equal ones the first is the better by the bounded metrics, in the bounds' order.

        Raises:
            InvalidRequestError: If a metric is not known, or what `where` describes is not
                comparable.
        """
        with self._read() as connection:
            asked = ask(connection, where, [metric])
            axis = asked.axis(metric, maximize)
            self.check_comparable(connection, asked, [axis])
            keys = _best(connection, asked, axis, limit)
            return rows_of(connection, asked, dict.fromkeys(keys, False))

    def nearest(
        self,
        key: str,
        where: Filter = EVERYTHING,
        metrics: Sequence[str] = USUAL,
        maximize: Sequence[bool] | None = None,
        *,
        limit: int = 5,
    ) -> list[ModelRow]:
        """The models nearest to one that are cheaper by the first metric.

        How far apart two are is the sum over the metrics of squared relative differences: one
        percent of accuracy weighs as much as one percent of MACs.

        Args:
            key: Of its evaluation; only what compares with it is looked at, unless `where.mixed`.
        """
        return self._against(key, where, metrics, maximize, _nearest, limit)

    def dominating(
        self,
        key: str,
        where: Filter = EVERYTHING,
        metrics: Sequence[str] = USUAL,
        maximize: Sequence[bool] | None = None,
        *,
        limit: int = 20,
    ) -> list[ModelRow]:
        """The models that are at least as good as one by every metric and better by one of them;
        the best by the last metric first.

        Args:
            key: Of its evaluation; only what compares with it is looked at, unless `where.mixed`.
        """
        return self._against(key, where, metrics, maximize, _dominating, limit)

    def added(
        self,
        first: str,
        second: str,
        where: Filter = EVERYTHING,
        metrics: Sequence[str] = USUAL,
        maximize: Sequence[bool] | None = None,
    ) -> Added:
        """What a second job added to a first job's front.

        Args:
            first, second: Ids of the jobs; `where.job` is not looked at.
        """
        own, other, both = (replace(where, job=job) for job in (first, second, (first, second)))
        with self._read() as connection:
            asked = ask(connection, both, metrics)
            axes = asked.axes(metrics, maximize)
            self.check_comparable(connection, asked, axes)
            joint, before = (
                front_rows(connection, ask(connection, one, metrics), axes, ties=False)
                for one in (both, own)
            )
            known = _among(connection, ask(connection, own), joint)
            new = [row.evaluation for row in joint if row.evaluation not in known]
            rows = rows_of(connection, ask(connection, other, metrics), dict.fromkeys(new, False))
        kept = {row.evaluation for row in joint}
        displaced = tuple(row for row in before if row.evaluation not in kept)
        return Added(rows=tuple(rows), displaced=displaced)

    def hypervolume_over_time(
        self,
        job: str,
        reference: Sequence[float],
        metrics: Sequence[str] = USUAL,
        maximize: Sequence[bool] | None = None,
        where: Filter = EVERYTHING,
    ) -> list[VolumePoint]:
        """How the hypervolume of a job's front grew, one point for each trial that changed it.

        Args:
            reference: One number a metric, in its own direction.
        """
        where = replace(where, job=job)
        with self._read() as connection:
            asked = ask(connection, where, metrics)
            axes = asked.axes(metrics, maximize)
            if len(reference) != len(axes):
                raise InvalidRequestError(
                    f"`reference` must have one number a metric ({len(axes)}), "
                    f"but got {len(reference)}."
                )
            self.check_comparable(connection, asked, axes)
            rows = _in_time(connection, asked, axes)
        return _volumes(rows, [axis.maximize for axis in axes], reference)

    def _against(
        self,
        key: str,
        where: Filter,
        metrics: Sequence[str],
        maximize: Sequence[bool] | None,
        find: Any,
        limit: int,
    ) -> list[ModelRow]:
        """Models found by comparing all points with those of one evaluation."""
        with self._read() as connection:
            group = select(evaluations.c.comparable).where(
                evaluations.c.key == key, evaluations.c.status == "completed"
            )
            comparable = connection.execute(group).scalar()
            if comparable is None:
                raise InvalidRequestError(
                    f"There is no completed evaluation {key!r} in {self.url}."
                )
            if not where.mixed:
                where = replace(where, comparable=comparable)
            asked = ask(connection, where, metrics)
            axes = asked.axes(metrics, maximize)
            values = select(*(axis.downwards for axis in axes)).where(evaluations.c.key == key)
            own = tuple(connection.execute(values).one())
            if None in own:
                missing = metrics[own.index(None)]
                raise InvalidRequestError(f"The evaluation {key!r} has no {missing!r} to compare.")
            self.check_comparable(connection, asked, axes)
            keys = connection.execute(find(points_of(asked, axes), own, limit)).scalars()
            return rows_of(connection, asked, dict.fromkeys(keys, False))


def _best(connection: Connection, asked: Asked, axis: Axis, limit: int) -> list[str]:
    if limit == 1:
        quick = _best_of_front(connection, asked, axis)
        if quick is not None:
            return quick
    # the column itself, so that an index in its order ends at the first that is within bounds
    order: list[Any] = [axis.value.desc() if axis.maximize else axis.value]
    bounds = ((asked.where.at_most, False), (asked.where.at_least, True))
    order += [asked.axis(name, most).downwards for named, most in bounds for name in named]
    query = select(evaluations.c.key).where(*asked.conditions(), axis.value.is_not(None))
    found = connection.execute(query.order_by(*order, evaluations.c.key).limit(limit))
    return list(found.scalars())


def _best_of_front(connection: Connection, asked: Asked, axis: Axis) -> list[str] | None:
    """The same from a usual front; None where it doesn't know.

    The best accuracy under a bound on a cost is the front's last under it, and the cheapest of
    at least some accuracy its first of that.
    """
    where = asked.where
    bounds = [*where.at_most.items(), *where.at_least.items()]
    if asked.comparable is None or not asked.is_usual or len(bounds) != 1:
        return None
    name, bound = bounds[0]
    bounded = asked.axis(name, bool(where.at_least))
    pair = usual_pair((bounded, axis))
    if pair is None or is_damaged(connection, asked.comparable, *pair):
        return None
    cost, accuracy = fronts.c.x_value, -fronts.c.y_value
    within = -accuracy >= bound if bounded.maximize else cost <= bound
    order = (cost, accuracy) if bounded.maximize else (accuracy, cost)
    query = select(fronts.c.evaluation).where(*members_of(asked.comparable, *pair), within)
    found = connection.execute(query.order_by(*order, fronts.c.evaluation).limit(1))
    return list(found.scalars())


def _names(points: CTE) -> list[str]:
    return [column.name for column in points.c if column.name not in ("key", "comparable")]


def _nearest(points: CTE, own: Sequence[float], limit: int) -> Any:
    distance: Any = literal(0.0)
    for name, value in zip(_names(points), own):
        gap = (points.c[name] - float(value)) / (abs(float(value)) or 1.0)
        distance = distance + gap * gap
    cheaper = points.c[_names(points)[0]] < own[0]
    return select(points.c.key).where(cheaper).order_by(distance, points.c.key).limit(limit)


def _dominating(points: CTE, own: Sequence[float], limit: int) -> Any:
    columns = [points.c[name] for name in _names(points)]
    at_least = [column <= value for column, value in zip(columns, own)]
    better = or_(*(column < value for column, value in zip(columns, own)))
    query = select(points.c.key).where(and_(*at_least), better)
    return query.order_by(*reversed(columns), points.c.key).limit(limit)


def _among(connection: Connection, asked: Asked, rows: Sequence[ModelRow]) -> set[str]:
    """Keys of those rows that a question is about."""
    keys = [row.evaluation for row in rows]
    query = select(evaluations.c.key).where(*asked.conditions(), evaluations.c.key.in_(keys))
    return set(connection.execute(query).scalars())


def _in_time(connection: Connection, asked: Asked, axes: Sequence[Axis]) -> list[Any]:
    """Time, trial, key and values of a job's trials, as they ended."""
    present = [axis.value.is_not(None) for axis in axes]
    ended = and_(
        trials.c.evaluation == evaluations.c.key,
        trials.c.job == asked.where.job,
        trials.c.state == "completed",
    )
    if asked.where.origins is not None:
        ended = and_(ended, trials.c.origin.in_(asked.where.origins))
    query = select(
        trials.c.ended_at, trials.c.number, evaluations.c.key, *(axis.value for axis in axes)
    )
    query = query.select_from(evaluations.join(trials, ended))
    query = query.where(*asked.conditions(), *present)
    return list(connection.execute(query.order_by(trials.c.ended_at, trials.c.number)))


def _volumes(
    rows: Sequence[Any], maximize: Sequence[bool], reference: Sequence[float]
) -> list[VolumePoint]:
    import numpy as np

    from nas.pareto import hypervolume

    signs = np.where(maximize, -1.0, 1.0)
    corner = np.asarray(reference, dtype=np.float64) * signs
    front = np.empty((0, len(signs)))
    points: list[VolumePoint] = []
    for at, trial, key, *values in rows:
        point = np.asarray(values, dtype=np.float64) * signs
        if not (point < corner).all() or (front <= point).all(axis=1).any():
            continue  # it adds nothing
        front = np.vstack([front[~(point <= front).all(axis=1)], point])
        volume = hypervolume(front, corner, maximize=False)
        points.append(VolumePoint(at=at, trial=trial, evaluation=key, hypervolume=volume))
    return points
