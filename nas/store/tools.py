"""Housekeeping: check a store, and bring it up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from nas.data.artifacts import size_of
from nas.store.engine import is_sqlite, open_engine, version_of
from nas.store.repository import Store
from nas.store.rows import ArtifactRow, JobState
from nas.store.schema import REVISIONS, artifacts, datasets, evaluations, jobs, recipes, trials


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that should not be so, with how many rows or files it is about."""

    what: str
    count: int
    examples: tuple[str, ...] = ()


def upgrade(url: str) -> str:
    """Bring a store's tables up to date; returns the version that they have now."""
    open_engine(url, create=False, upgrade=True).dispose()
    return REVISIONS[-1]


def check(store: Store, location: str | None = None) -> list[Problem]:
    """Look for damage: the file itself, rows that refer to nothing, files that are not there.

    Args:
        location: The artifacts' folder or fsspec URL; without it files are not looked at.
    """
    with store._read() as connection:
        found = _check_database(connection)
        found += [problem for problem in _check_rows(connection) if problem.count]
        rows = [ArtifactRow(**row._mapping) for row in connection.execute(select(artifacts))]
    if location is not None:
        sizes = {name: size_of(location, name) for name in {row.name for row in rows}}
        missing = sorted({row.name for row in rows if sizes[row.name] is None})
        wrong = sorted({row.name for row in rows if sizes[row.name] not in (None, row.bytes)})
        found += _named("artifacts without their file", missing)
        found += _named("artifacts whose file has another size", wrong)
    return found


def _check_database(connection: Connection) -> list[Problem]:
    version, found = version_of(connection), []
    if version != REVISIONS[-1]:
        found.append(Problem(f"tables of version {version}, not {REVISIONS[-1]}", 1))
    if is_sqlite(connection):
        damage = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
        found += _named("damage in the file", [line for line in damage if line != "ok"])
        dangling = connection.execute(text("PRAGMA foreign_key_check")).all()
        found += _named("rows that refer to nothing", [str(row[0]) for row in dangling])
    return found


def _check_rows(connection: Connection) -> list[Problem]:
    """What no foreign key forbids, and should not be."""
    no_data = ~evaluations.c.dataset.in_(select(datasets.c.hash)) & (evaluations.c.dataset != "")
    no_recipe = ~evaluations.c.recipe.in_(select(recipes.c.digest)) & (evaluations.c.recipe != "")
    ended = select(jobs.c.id).where(jobs.c.state == JobState.COMPLETED)
    unfinished = trials.c.state.in_(("running", "waiting")) & trials.c.job.in_(ended)
    unevaluated = (trials.c.state == "completed") & trials.c.evaluation.is_(None)
    questions: list[tuple[str, Table, Any, Any]] = [
        ("evaluations of a data set without a description", evaluations, no_data, "key"),
        ("evaluations of a recipe that is not stored", evaluations, no_recipe, "key"),
        ("trials left open by a job that completed", trials, unfinished, "job"),
        ("completed trials without an evaluation", trials, unevaluated, "job"),
    ]
    problems = []
    for what, table, condition, name in questions:
        count = connection.execute(
            select(func.count()).select_from(table).where(condition)
        ).scalar_one()
        some = select(table.c[name]).where(condition).distinct().limit(3)
        examples = tuple(connection.execute(some).scalars()) if count else ()
        problems.append(Problem(what, count, examples))
    return problems


def _named(what: str, names: Sequence[str]) -> list[Problem]:
    return [Problem(what, len(names), tuple(names[:3]))] if names else []
