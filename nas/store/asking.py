"""From a filter and names of metrics to what the database is asked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
)

from nas.errors import InvalidRequestError
from nas.store.engine import is_sqlite
from nas.store.measuring import (
    WAYS,
    check_one_kind,
    find_device,
    is_measured,
    keys_of,
    latest,
    within,
)
from nas.store.questions import GROUP_PARTS, Filter
from nas.store.schema import (
    COSTS,
    comparables,
    datasets,
    evaluations,
    families,
    jobs,
    members,
    trials,
)

ACCURACIES = ("val_accuracy", "test_accuracy")
COLUMNS = (*ACCURACIES, *COSTS, "seconds")
LESS_IS_BETTER = ("_ms", "_s", "_j", "_mj", "_w", "_bytes", "macs", "parameters")
FEW = 50_000
"""So many evaluations are found faster one by one, by their keys, than among all that compares."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A metric as the database sees it; `error` is its standard error, 0 where it is exact.

    Args:
        column: Its name among the columns of an evaluation, if it is one.
        measured: Its name where it is read from the measurements of a named device.
    """

    value: ColumnElement[float]
    error: ColumnElement[float]
    maximize: bool
    column: str | None = None
    measured: str | None = None

    @property
    def downwards(self) -> ColumnElement[float]:
        """The value, or its negative, so that less is better."""
        return -self.value if self.maximize else self.value


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter whose names were looked up in the store.

    Args:
        groups: Ids of the comparables that it allows; None where it names none of their parts.
        devices: Ids by the names that the question has for them.
        measured: Names of the metrics in it that are read from measurements.
        are_few: Whether they are found by their trials, members, network or measurements, rather
            than among all that compares.
        rare: The bounded metric that few measurements are within, if there is one.
        by_guess: Whether the database plans without statistics, as SQLite does.
    """

    where: Filter
    groups: tuple[str, ...] | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    are_few: bool = False
    rare: str | None = None
    by_guess: bool = False

    @property
    def comparable(self) -> str | None:
        """The one comparable that is meant, if it is one."""
        return self.groups[0] if self.groups is not None and len(self.groups) == 1 else None

    @property
    def is_usual(self) -> bool:
        """Whether nothing but data set, recipe and the like narrows the question, bounds aside."""
        groups = dict.fromkeys((*GROUP_PARTS, "comparable", "device", *WAYS))
        rest: Filter = replace(self.where, mixed=False, at_most={}, at_least={}, **groups)
        return rest == Filter(origins=self.where.origins)

    @property
    def hides_columns(self) -> bool:
        """Whether SQLite would rather walk all that compares than look few up by their keys."""
        return self.are_few and self.by_guess

    @property
    def has_bounds(self) -> bool:
        return bool(self.where.at_most or self.where.at_least)

    def axis(self, metric: str, maximize: bool | None = None, of: Any = evaluations) -> Axis:
        """What to read for a metric, and which way is better.

        Args:
            of: The table of evaluations, or an alias of it.
        """
        name = "val_accuracy" if metric == "accuracy" else metric
        exact: ColumnElement[float] = literal(0.0)
        if name in ACCURACIES:
            error = func.coalesce(of.c[f"{name}_se"], 0.0)
            return Axis(of.c[name], error, True if maximize is None else maximize, name)
        if name in COLUMNS:
            return Axis(of.c[name], exact, bool(maximize), name)
        bare, _, device = name.partition("@")
        if maximize is None:
            maximize = is_maximized(bare)
        if maximize is None or not re.fullmatch(r"[\w./-]+", bare):
            raise InvalidRequestError(
                f"A metric must be one of {', '.join(COLUMNS)}, or an evaluator's own with its "
                f"direction, but got {metric!r}."
            )
        if device or is_measured(self.where):
            named = self.device_of(name)
            value = latest(of, bare, named, self.where)
            return Axis(value, exact, maximize, measured=name if named else None)
        return Axis(of.c.metrics[bare].as_float(), exact, maximize)

    def axes(self, metrics: Sequence[str], maximize: Sequence[bool] | None) -> list[Axis]:
        """`axis` of each metric, in its direction where directions are given."""
        return [self.axis(m, maximize[i] if maximize else None) for i, m in enumerate(metrics)]

    def conditions(self, of: Any = evaluations) -> list[ColumnElement[bool]]:
        """The filter, said of evaluations or of an alias of that table."""
        status, comparable = of.c.status, of.c.comparable
        if self.hides_columns:
            status, comparable = func.coalesce(status, ""), func.coalesce(comparable, "")
        found: list[ColumnElement[bool]] = [status == "completed"]
        if self.comparable is not None:
            found.append(comparable == self.comparable)
        elif self.groups is not None:
            found.append(comparable.in_(self.groups))
        return [*found, *self.own_conditions(of), *self.other_conditions(of)]

    def own_conditions(self, of: Any = evaluations) -> list[ColumnElement[bool]]:
        """That part which an evaluation's own columns tell."""
        where, found = self.where, []
        if where.architecture is not None:
            found.append(of.c.architecture == where.architecture)
        if where.since is not None:
            found.append(of.c.created_at >= where.since)
        if where.until is not None:
            found.append(of.c.created_at < where.until)
        return found + self._within_bounds(of, elsewhere=False)

    def other_conditions(
        self, of: Any = evaluations, among: FromClause | None = None
    ) -> list[ColumnElement[bool]]:
        """The other part: of trials, families and measurements.

        Args:
            of: Whatever has the columns `key` and `architecture`.
            among: Has the keys of all that is looked at, if that is not every evaluation.
        """
        where, found = self.where, []
        if where.job is not None or where.space is not None:
            found.append(of.c.key.in_(_used(where, among)))
        if where.family is not None:
            found.append(of.c.key.in_(_of_family(where)))
        if self.rare is not None:
            found.append(of.c.key.in_(keys_of(self.measured_within(self.rare))))
        return found + self._within_bounds(of, elsewhere=True)

    def _within_bounds(self, of: Any, elsewhere: bool) -> list[ColumnElement[bool]]:
        found = []
        for bounds, whole in ((self.where.at_most, math.floor), (self.where.at_least, math.ceil)):
            for name, bound in bounds.items():
                if (name in self.measured) == elsewhere:
                    value, limit = self.axis(name, False, of).value, _bound(name, bound, whole)
                    found.append(value <= limit if bounds is self.where.at_most else value >= limit)
        return found

    def device_of(self, metric: str) -> str | None:
        """Id of the device that a metric is asked about on, if one is named."""
        return self.devices.get(metric.partition("@")[2] or self.where.device or "")

    def measured_within(self, metric: str, most: float | None = None) -> Select[Any]:
        """What was ever measured within the bounds on a metric, or at most so much; see
        `measuring.within`."""
        bounds = (self.where.at_most.get(metric), self.where.at_least.get(metric))
        limits = bounds if most is None else (most, None)
        return within(metric.partition("@")[0], self.device_of(metric), self.where, *limits)


def ask(connection: Connection, where: Filter, metrics: Iterable[str] = ()) -> Asked:
    """Look up what a filter names.

    Args:
        metrics: Those that are asked for, beside the filter's bounds.

    Raises:
        InvalidRequestError: If a device isn't known, or what is known of a metric was measured in
            several ways that don't compare.
    """
    known: dict[str, str] = {}
    named = (*metrics, *where.at_most, *where.at_least)
    open_ones = dict.fromkeys(m for m in named if m not in (*COLUMNS, "accuracy"))
    measured = [metric for metric in open_ones if "@" in metric or is_measured(where)]
    names = {m.partition("@")[2] or where.device for m in measured}
    for name in names | {where.device}:
        if name:
            known[name] = find_device(connection, name)
    for metric in measured:
        bare, _, device = metric.partition("@")
        check_one_kind(connection, bare, known.get(device or where.device or ""), where)
    asked = Asked(
        where,
        _groups(connection, where),
        known,
        tuple(measured),
        are_few=_are_few(connection, where),
        by_guess=is_sqlite(connection),
    )
    for metric in () if asked.are_few else (*where.at_most, *where.at_least):
        if metric in measured and _is_rare(connection, asked, metric):
            return replace(asked, are_few=True, rare=metric)
    return asked


def is_maximized(metric: str) -> bool | None:
    """Which way is better, as far as a metric's name tells.

    >>> is_maximized("test_accuracy"), is_maximized("energy_mj"), is_maximized("score")
    (True, False, None)
    """
    return True if metric in ACCURACIES else False if metric.endswith(LESS_IS_BETTER) else None


def _groups(connection: Connection, where: Filter) -> tuple[str, ...] | None:
    given = {"id": where.comparable, **{part: getattr(where, part) for part in GROUP_PARTS}}
    given = {part: value for part, value in given.items() if value is not None}
    if not given:
        some = connection.execute(_SOME_GROUPS).scalars().all()
        return tuple(some) if len(some) == 1 else None
    found = connection.execute(_groups_with(tuple(given)), given).scalars().all()
    if not found:
        begins = (_begins_with(part, value) for part, value in given.items())
        found = connection.execute(select(comparables.c.id).where(*begins)).scalars().all()
    return tuple(sorted(found))


_SOME_GROUPS = select(comparables.c.id).limit(2)


@cache  # to build a statement takes longer than to ask it
def _groups_with(parts: tuple[str, ...]) -> Select[Any]:
    query = select(comparables.c.id)
    for part in parts:
        is_it = comparables.c[part] == bindparam(part)
        if part == "dataset":
            called = select(datasets.c.hash).where(datasets.c.name == bindparam(part))
            is_it = or_(is_it, comparables.c.dataset.in_(called))
        query = query.where(is_it)
    return query


def _begins_with(part: str, value: Any) -> ColumnElement[bool]:
    column: ColumnElement[Any] = comparables.c[part]
    is_text = part in ("dataset", "recipe")
    return column.startswith(value, autoescape=True) if is_text else column == value


def _bound(name: str, bound: float, whole: Callable[[float], int]) -> float:
    """A bound as a column may be compared with it: costs are whole, of 64 bits."""
    return whole(max(-(2.0**62), min(2.0**62, bound))) if name in COSTS else bound


def _are_few(connection: Connection, where: Filter) -> bool:
    if where.architecture is not None or where.family is not None:
        return True
    if where.job is None and where.space is None:
        return False
    return _is_short(connection, _used(where))


def _is_rare(connection: Connection, asked: Asked, metric: str) -> bool:
    """Whether few measurements are within the bound; only those of a named device are in order."""
    named = asked.device_of(metric) is not None
    return named and _is_short(connection, asked.measured_within(metric))


def _is_short(connection: Connection, query: Any) -> bool:
    some = query.limit(FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() <= FEW


def _used(where: Filter, among: FromClause | None = None) -> Any:
    """Keys of the evaluations that the trials of some jobs used."""
    query = select(trials.c.evaluation).where(
        trials.c.state == "completed", trials.c.evaluation.is_not(None)
    )
    if among is not None:
        query = query.where(trials.c.evaluation.in_(select(among.c.key)))
    job: Any = trials.c.job
    if among is not None:  # else SQLite would look for each of them in each of many jobs
        job = func.coalesce(job, "")
    if isinstance(where.job, str):
        query = query.where(job == where.job)
    elif where.job is not None:
        query = query.where(job.in_(where.job))
    if where.space is not None:
        named = select(jobs.c.id).where(jobs.c.space["name"].as_string() == where.space)
        query = query.where(job.in_(named))
    if where.origins is not None:
        query = query.where(trials.c.origin.in_(where.origins))
    return query


def _of_family(where: Filter) -> Any:
    named = families.c.id == where.family
    if where.job is not None:
        of_jobs = [where.job] if isinstance(where.job, str) else where.job
        named = or_(named, and_(families.c.name == where.family, families.c.job.in_(of_jobs)))
    query = select(members.c.evaluation).join(families, families.c.id == members.c.family)
    return query.where(named, members.c.evaluation.is_not(None))
