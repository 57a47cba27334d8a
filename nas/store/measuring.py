"""Metrics that are measured on devices, as a question about evaluations reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, or_, select

from nas.errors import InvalidRequestError
from nas.store.questions import Filter
from nas.store.schema import devices, evaluations, measurements

WAYS = ("runtime", "precision", "batch_size", "threads")
"""How something was measured, beside the device."""


def is_measured(where: Filter) -> bool:
    """Whether open metrics are read from measurements, rather than from evaluators' answers."""
    return where.device is not None or any(getattr(where, name) is not None for name in WAYS)


def latest(of: Any, metric: str, device: str | None, where: Filter) -> ColumnElement[float]:
    """The latest measurement of an evaluation's weights, or else of its network.

    Args:
        of: Whatever has the columns `key` and `architecture` of evaluations.
    """
    own = measurements.alias()
    kind = kind_of(own, metric, device, where)
    by_weights = (own.c.evaluation == of.c.key, *kind)
    by_network = (own.c.architecture == of.c.architecture, own.c.evaluation.is_(None), *kind)
    found = [
        select(own.c.value)
        .where(*whose, own.c.artifact.is_(None), own.c.value.is_not(None))
        .order_by(own.c.id.desc())
        .limit(1)
        .correlate(of)
        .scalar_subquery()
        for whose in (by_weights, by_network)
    ]
    return func.coalesce(*found)


def within(
    metric: str, device: str | None, where: Filter, most: float | None, least: float | None
) -> Select[Any]:
    """Networks and weights that were ever measured within bounds, with the values."""
    own = measurements.c
    kind = kind_of(measurements, metric, device, where)
    query = select(own.architecture, own.evaluation, own.value).where(*kind, own.artifact.is_(None))
    if most is not None:
        query = query.where(own.value <= most)
    return query if least is None else query.where(own.value >= least)


def keys_of(measured: Select[Any]) -> Any:
    """Keys of all evaluations that what `within` finds may belong to."""
    some, same = measured.subquery(), evaluations.alias("same")
    by_network = select(same.c.key).join(some, same.c.architecture == some.c.architecture)
    by_weights = select(some.c.evaluation).where(some.c.evaluation.is_not(None))
    return by_network.where(some.c.evaluation.is_(None)).union_all(by_weights)


def find_device(connection: Connection, name: str) -> str:
    query = select(devices.c.id).where(or_(devices.c.id == name, devices.c.name == name))
    found = connection.execute(query.limit(2)).scalars().all()
    if name in found or len(found) == 1:
        return name if name in found else str(found[0])
    if found:
        raise InvalidRequestError(
            f"Several devices are called {name!r}: {', '.join(sorted(found))}; name one by its id."
        )
    known = connection.execute(select(devices.c.id).order_by(devices.c.id).limit(9)).scalars()
    there = ", ".join(known) or "none"
    raise InvalidRequestError(f"Nothing was measured on a device {name!r}; known are: {there}.")


def kind_of(
    own: FromClause, metric: str, device: str | None, where: Filter
) -> Sequence[ColumnElement[bool]]:
    named = [own.c.metric == metric]
    if device is not None:
        named.append(own.c.device == device)
    for name in WAYS:
        if getattr(where, name) is not None:
            named.append(own.c[name] == getattr(where, name))
    return named


def check_one_kind(connection: Connection, metric: str, device: str | None, where: Filter) -> None:
    """Raise if measurements of the metric differ in what the question doesn't name."""
    parts = ("device", *WAYS)
    columns = [measurements.c[name] for name in parts]
    query = select(*columns).where(*kind_of(measurements, metric, device, where)).limit(1)
    ends = []
    for order in (columns, [column.desc() for column in columns]):
        row = connection.execute(query.order_by(*order)).first()
        ends.append(tuple(row) if row is not None else ())
    if ends[0] == ends[1]:
        return
    differing = [
        f"`{name}` ({first!r}, {last!r})"
        for name, first, last in zip(parts, *ends)
        if first != last
    ]
    raise InvalidRequestError(
        f"Only measurements made in one way are compared, but {metric} was measured with several "
        f"of {', '.join(differing)}; name one."
    )
