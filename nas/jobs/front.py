"""A job's front by its own objectives, whether its trials have networks or choices alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas.errors import InvalidRequestError
from nas.quantity import Bound
from nas.store import Filter, JobRow, ModelRow, Store

SEARCHED = ("search", "known")
ACCURACY = {"accuracy": "val_accuracy"}
COLUMNS = (
    *("val_accuracy", "test_accuracy", "seconds"),
    *("macs", "parameters", "activations", "memory_bytes"),
)

NO_WAY: Mapping[str, str | int] = {}


def is_over_table(job: JobRow) -> bool:
    """Whether its trials have choices and no networks."""
    return "decisions" in job.space


def table_error(name: str) -> InvalidRequestError:
    """What is said where a network is asked for and a job has none."""
    return InvalidRequestError(
        f"Job {name} is over a table: its trials have choices and no networks."
    )


def front_axes(job: JobRow) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Metrics of a job's front with their directions, what is minimized first.

    A job over networks with fewer than two objectives is seen as accuracy against MACs.
    """
    axes = [
        (ACCURACY.get(name, name), bool(o["maximize"]))
        for o in job.objectives
        if (name := str(o["metric"])) != "reward" or is_over_table(job)
    ]
    if not is_over_table(job) and len(axes) < 2:
        axes = [("macs", False), ("val_accuracy", True)]
    axes.sort(key=lambda axis: axis[1])
    return tuple(name for name, _ in axes), tuple(maximize for _, maximize in axes)


def job_reference(job: JobRow) -> tuple[float, ...] | None:
    """The reference point of a job's hypervolume in the order of `front_axes`; None where it has
    none for one of them."""
    names = [ACCURACY.get(name := str(o["metric"]), name) for o in job.objectives]
    known = dict(zip(names, job.reference or ()))
    axes, _ = front_axes(job)
    return tuple(known[name] for name in axes) if set(axes) <= set(known) else None


def value_of(row: ModelRow, metric: str) -> float:
    """A metric of a model by name; NaN where it has none."""
    name = ACCURACY.get(metric, metric)
    value = row.metrics.get(metric, row.metrics.get(name))
    if value is None and name in COLUMNS:
        value = getattr(row, name)
    return math.nan if value is None else float(value)


def job_models(
    store: Store,
    job: JobRow,
    order_by: str | None = None,
    bounds: Sequence[Bound] = (),
    limit: int | None = None,
    way: Mapping[str, str | int] = NO_WAY,
) -> list[ModelRow]:
    """The models that a job evaluated, the best by one metric first; those without it come last.

    Args:
        order_by: None is the job's first measured objective.
        way: As for `job_front`.
    """
    metric = order_by or _first_measured(job)
    directions = dict(zip(*front_axes(job)))
    named = ACCURACY.get(metric, metric)
    if not is_over_table(job):
        where = replace(_filter(job, bounds, way), origins=None)
        return store.models(where, named, directions.get(named), limit=limit)
    maximize = directions.get(named, named.endswith("accuracy"))
    rows = store.models(Filter(job=job.id, origins=None))
    rows = [row for row in rows if _within(row, bounds)]
    values = {row.evaluation: value_of(row, metric) for row in rows}
    with_it = [row for row in rows if not math.isnan(values[row.evaluation])]
    if rows and not with_it:
        raise InvalidRequestError(_no_such_metric(job, rows[0], metric))
    with_it.sort(key=lambda row: values[row.evaluation], reverse=maximize)
    return [*with_it, *(row for row in rows if math.isnan(values[row.evaluation]))][:limit]


def job_front(
    store: Store,
    job: JobRow,
    metrics: Sequence[str] | None = None,
    bounds: Sequence[Bound] = (),
    *,
    ties: bool = False,
    origins: tuple[str, ...] | None = SEARCHED,
    mixed: bool = False,
    way: Mapping[str, str | int] = NO_WAY,
) -> list[ModelRow]:
    """The non-dominated models of a job's search, the best by the first metric first.

    Args:
        metrics: In place of the job's objectives.
        origins: Of which of its trials.
        mixed: Compare trials of different recipes all the same.
        way: How metrics such as latency_ms@DEVICE were measured, by fields of `Filter`.
    """
    names, directions = front_axes(job)
    if metrics is not None:
        known = dict(zip(names, directions))
        names = tuple(ACCURACY.get(name, name) for name in metrics)
        directions = tuple(known.get(n, n.endswith("accuracy")) for n in names)
    if not is_over_table(job):
        where = replace(_filter(job, bounds, way), origins=origins, mixed=mixed)
        return store.front(where, names, directions, ties=ties)
    rows = [row for row in store.models(Filter(job=job.id)) if _within(row, bounds)]
    return _front_of(job, rows, names, directions)


def _front_of(
    job: JobRow, rows: Sequence[ModelRow], names: Sequence[str], directions: Sequence[bool]
) -> list[ModelRow]:
    from nas.pareto import non_dominated  # it brings numpy, which most commands don't need

    points = [[value_of(row, name) for name in names] for row in rows]
    for name, column in zip(names, zip(*points)):
        if all(map(math.isnan, column)):
            raise InvalidRequestError(_no_such_metric(job, rows[0], name))
    if not rows:
        return []
    kept = [i for i, keep in enumerate(non_dominated(points, directions)) if keep]
    kept.sort(key=lambda i: points[i][0] * (-1.0 if directions[0] else 1.0))
    return [rows[i] for i in kept]


def _no_such_metric(job: JobRow, row: ModelRow, metric: str) -> str:
    there = sorted(name for name in {*COLUMNS, *row.metrics} if not math.isnan(value_of(row, name)))
    return f"No model of {job.name} has a metric {metric!r}; there are {', '.join(there)}."


def _first_measured(job: JobRow) -> str:
    for objective in job.objectives:
        if not objective["known"] and objective["metric"] != "reward":
            return str(objective["metric"])
    return "val_accuracy"


def _filter(job: JobRow, bounds: Sequence[Bound], way: Mapping[str, Any]) -> Filter:
    return Filter(job=job.id, **way).within(bounds)


def _within(row: ModelRow, bounds: Sequence[Bound]) -> bool:
    return all(bound.violation(value_of(row, bound.metric)) == 0 for bound in bounds)
