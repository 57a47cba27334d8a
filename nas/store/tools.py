"""Housekeeping: check a store, bring it up to date, copy it whole, free what nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, select, text

from nas.data.artifacts import names_in, remove, size_of
from nas.errors import InvalidRequestError
from nas.store.connected import shared_now
from nas.store.engine import is_sqlite, open_engine, version_of
from nas.store.evaluations import WEIGHTS
from nas.store.repository import Store
from nas.store.rows import ENDED_JOB_STATES, ArtifactRow, JobState
from nas.store.schema import (
    REVISIONS,
    artifacts,
    claims,
    datasets,
    evaluations,
    families,
    fronts,
    jobs,
    measurements,
    members,
    metadata,
    recipes,
    trials,
)

CHUNK = 1_000
CHECKPOINTS = "checkpoints"
"""Folder of the artifact location where trainings under way keep their state, by key."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that should not be so, with how many rows or files it is about."""

    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What `gc` frees, or freed."""

    artifacts: tuple[ArtifactRow, ...]
    checkpoints: tuple[str, ...]
    claims: int

    @property
    def bytes(self) -> int:
        """Size of the files; one that several rows name counts once."""
        return sum({row.name: row.bytes for row in self.artifacts}.values())


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


def copy(source: Store, target: Store) -> dict[str, int]:
    """Copy a whole store into an empty one, in one transaction; returns the rows by table.

    Raises:
        InvalidRequestError: If the target has rows.
    """
    copied = {}
    with source._read() as reading, target._write() as writing:
        if not is_sqlite(reading):
            reading.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for table in metadata.sorted_tables:
            if writing.execute(select(table).limit(1)).first() is not None:
                raise InvalidRequestError(
                    f"The store {target.url} must be empty to copy into it, "
                    f"but it has {table.name}; name a new one."
                )
        for table in metadata.sorted_tables:
            copied[table.name] = _copy_table(reading, writing, table)
        if not is_sqlite(writing):
            for table in (artifacts, fronts, measurements):
                writing.execute(text(_NEXT_ID.format(table=table.name)))
    return copied


def gc(store: Store, location: str, *, dry_run: bool = True) -> Freed:
    """Remove weights and checkpoints that nobody needs, and claims that ran out.

    Kept are the weights of fronts (by the objectives of each job), of families and their
    baselines, of jobs that have not ended, and those that something was made from or measured on;
    and the checkpoints of trainings without a result, while a job may still go on with them.

    Args:
        location: The artifacts' folder or fsspec URL.
        dry_run: Only say what would go.
    """
    with store._read() as connection:
        doomed = _unneeded_weights(connection)
        used = _names_of_others(connection, {row.id for row in doomed})
        expired = claims.c.expires_at < shared_now(connection)
        count = connection.execute(select(func.count()).where(expired)).scalar_one()
        left = _unneeded_checkpoints(connection, location)
    freed = Freed(artifacts=tuple(doomed), checkpoints=left, claims=count)
    if dry_run:
        return freed
    # files first: should this be cut short, the rows are left to be found by the next run
    for name in {row.name for row in doomed} - used:
        remove(location, name)
    for name in left:
        remove(location, name)
    with store._write() as connection:
        for row in doomed:
            connection.execute(delete(artifacts).where(artifacts.c.id == row.id))
        connection.execute(delete(claims).where(expired))
    return freed


def _unneeded_checkpoints(connection: Connection, location: str) -> tuple[str, ...]:
    """Checkpoints of trainings that have a result, or of jobs that are all over."""
    names = names_in(location, CHECKPOINTS)
    over = (JobState.COMPLETED, JobState.FAILED)
    going = select(func.count()).select_from(jobs).where(jobs.c.state.not_in(over))
    if not connection.execute(going).scalar_one():
        return tuple(names)
    keys = {name.rpartition("/")[2].partition(".")[0]: name for name in names}
    done: set[str] = set()
    wanted = sorted(keys)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        query = select(evaluations.c.key).where(evaluations.c.key.in_(chunk))
        done.update(connection.execute(query).scalars())
    return tuple(keys[key] for key in sorted(done))


_NEXT_ID = (
    "SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
    "(SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
)


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


def _copy_table(reading: Connection, writing: Connection, table: Table) -> int:
    # parents before children where a table refers to itself: their numbers are smaller
    rows = reading.execution_options(yield_per=CHUNK).execute(
        select(table).order_by(*table.primary_key.columns)
    )
    count = 0
    for part in rows.mappings().partitions():
        writing.execute(table.insert(), [dict(row) for row in part])
        count += len(part)
    return count


def _unneeded_weights(connection: Connection) -> list[ArtifactRow]:
    live = select(jobs.c.id).where(~jobs.c.state.in_(ENDED_JOB_STATES))
    scaled = select(members.c.architecture).union(select(families.c.baseline))
    parents = select(artifacts.c.parent).where(artifacts.c.parent.is_not(None))
    measured = select(measurements.c.artifact).where(measurements.c.artifact.is_not(None))
    query = select(artifacts).where(
        artifacts.c.kind == WEIGHTS,
        artifacts.c.evaluation.is_not(None),
        ~artifacts.c.id.in_(parents),
        ~artifacts.c.id.in_(measured),
        artifacts.c.job.is_(None) | ~artifacts.c.job.in_(live),
        artifacts.c.architecture.is_(None) | ~artifacts.c.architecture.in_(scaled),
    )
    kept = _on_fronts(connection)
    for column in (members.c.evaluation, trials.c.evaluation):
        used = select(column).where(column.is_not(None))
        if column.table is trials:
            used = used.where(trials.c.job.in_(live))
        kept |= set(connection.execute(used).scalars())
    rows = connection.execute(query.order_by(artifacts.c.id))
    return [ArtifactRow(**row._mapping) for row in rows if row.evaluation not in kept]


def _on_fronts(connection: Connection) -> set[str]:
    """Keys of the evaluations on the front of each job, by its own objectives."""
    import numpy as np

    from nas.pareto import non_dominated

    kept: set[str] = set()
    for job, objectives in connection.execute(select(jobs.c.id, jobs.c.objectives)):
        ended = and_(trials.c.job == job, trials.c.state == "completed")
        query = select(trials.c.evaluation, trials.c["values"]).where(ended)
        rows = [(key, values) for key, values in connection.execute(query) if values]
        if not rows:
            continue
        points, maximize = [values for _, values in rows], [o["maximize"] for o in objectives]
        comparable = all(len(values) == len(maximize) for values in points)
        front = non_dominated(np.array(points), maximize) if comparable else [True] * len(rows)
        kept |= {key for (key, _), is_front in zip(rows, front) if is_front}
    return kept


def _names_of_others(connection: Connection, doomed: set[int | None]) -> set[str]:
    """Files that some other artifact is, too."""
    query = select(artifacts.c.id, artifacts.c.name)
    return {name for number, name in connection.execute(query) if number not in doomed}


def _named(what: str, names: Sequence[str]) -> list[Problem]:
    return [Problem(what, len(names), tuple(names[:3]))] if names else []
