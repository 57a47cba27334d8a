"""What nobody needs any more: named first, freed when that is asked for.

Rows go before files. An artifact that is given up is called garbage in the transaction that gives
it up, and its row goes when its file has: a process that dies in between leaves the rest to the
next `gc`, and nobody can take up weights that are about to go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from nas.data.artifacts import names_in, remove
from nas.store.connected import chunks, shared_now
from nas.store.evaluations import WEIGHTS
from nas.store.repository import Store
from nas.store.rows import ENDED_JOB_STATES, ArtifactRow, JobState
from nas.store.schema import (
    artifacts,
    claims,
    evaluations,
    families,
    jobs,
    measurements,
    members,
    recipes,
    trials,
)

GARBAGE = "garbage"
_UNUSED = {"kind": GARBAGE, "architecture": None, "evaluation": None, "parent": None}
CHECKPOINTS = "checkpoints"
"""Folder of the artifact location where trainings under way keep their state, by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What `gc` frees, or freed."""

    artifacts: tuple[ArtifactRow, ...]
    checkpoints: tuple[str, ...]
    claims: int

    @property
    def bytes(self) -> int:
        """Size of the files; one that several rows name counts once."""
        return bytes_of(self.artifacts)


def gc(store: Store, location: str, *, dry_run: bool = True) -> Freed:
    """Remove weights and checkpoints that nobody needs, and claims that ran out.

    Kept are the weights of fronts (by the objectives of each job), of families and their
    baselines, of jobs that have not ended, and those that something was made from or measured on;
    and the checkpoints of trainings without a result, while a job may still go on with them.

    Args:
        location: The artifacts' folder or fsspec URL.
        dry_run: Only say what would go.
    """
    names = names_in(location, CHECKPOINTS)
    with store._read() as connection:
        fronts = _on_fronts(connection)
    with store._read() if dry_run else store._write() as connection:
        doomed = _unneeded_weights(connection, fronts)
        expired = claims.c.expires_at < shared_now(connection)
        count = connection.execute(select(func.count()).where(expired)).scalar_one()
        left = _unneeded_checkpoints(connection, names)
        if not dry_run:
            discard(connection, doomed)
            connection.execute(delete(claims).where(expired))
    if not dry_run:
        for name in left:
            remove(location, name)
        sweep(store, location)
    return Freed(artifacts=tuple(doomed), checkpoints=left, claims=count)


def bytes_of(rows: Iterable[ArtifactRow]) -> int:
    """Size of the files of artifacts; one that several rows name counts once."""
    return sum({row.name: row.bytes for row in rows}.values())


def discard(connection: Connection, rows: Sequence[ArtifactRow]) -> None:
    """Give artifacts up; `sweep` removes them."""
    for some in chunks([row.id for row in rows]):
        given_up = update(artifacts).where(artifacts.c.id.in_(some))
        connection.execute(given_up.values(**_UNUSED))


def sweep(store: Store, location: str) -> None:
    """Remove the files of what was given up, unless some other artifact is the same file.

    Only files under the location go; what somebody exported to a folder of theirs is theirs.
    """
    with store._read() as connection:
        query = select(artifacts.c.id, artifacts.c.name)
        garbage = connection.execute(query.where(artifacts.c.kind == GARBAGE)).all()
        needed: set[str] = set()
        for some in chunks([name for _, name in garbage]):
            others = select(artifacts.c.name).where(artifacts.c.name.in_(some))
            needed.update(connection.execute(others.where(artifacts.c.kind != GARBAGE)).scalars())
    for name in {name for _, name in garbage} - needed:
        if not PurePath(name).is_absolute():
            remove(location, name)
    with store._write() as connection:
        for some in chunks([number for number, _ in garbage]):
            connection.execute(delete(artifacts).where(artifacts.c.id.in_(some)))


def start_weights(connection: Connection) -> set[str]:
    """SHA-256 of the weights that some recipe starts from."""
    found = connection.execute(select(recipes.c.document)).scalars().all()
    for spec in connection.execute(select(jobs.c.spec)).scalars():
        found = [*found, *(spec.get(name) for name in ("recipe", "final_recipe"))]
    starts = [recipe.get("initial_weights") for recipe in found if isinstance(recipe, dict)]
    return {sha256 for sha256 in starts if sha256}


def _unneeded_checkpoints(connection: Connection, names: Sequence[str]) -> tuple[str, ...]:
    """Checkpoints of trainings that have a result, or of jobs that are all over."""
    over = (JobState.COMPLETED, JobState.FAILED)
    going = select(func.count()).select_from(jobs).where(jobs.c.state.not_in(over))
    if not connection.execute(going).scalar_one():
        return tuple(names)
    keys = {name.rpartition("/")[2].partition(".")[0]: name for name in names}
    done: set[str] = set()
    for some in chunks(sorted(keys)):
        query = select(evaluations.c.key).where(evaluations.c.key.in_(some))
        done.update(connection.execute(query).scalars())
    return tuple(keys[key] for key in sorted(done))


def _unneeded_weights(connection: Connection, on_fronts: set[str]) -> list[ArtifactRow]:
    live = select(jobs.c.id).where(~jobs.c.state.in_(ENDED_JOB_STATES))
    scaled = select(members.c.architecture).union(select(families.c.baseline))
    parents = select(artifacts.c.parent).where(artifacts.c.parent.is_not(None))
    measured = select(measurements.c.artifact).where(measurements.c.artifact.is_not(None))
    unneeded = and_(
        artifacts.c.kind == WEIGHTS,
        artifacts.c.evaluation.is_not(None),
        ~artifacts.c.id.in_(parents),
        ~artifacts.c.id.in_(measured),
        artifacts.c.job.is_(None) | ~artifacts.c.job.in_(live),
        artifacts.c.architecture.is_(None) | ~artifacts.c.architecture.in_(scaled),
    )
    kept = set(on_fronts)
    for column in (members.c.evaluation, trials.c.evaluation):
        used = select(column).where(column.is_not(None))
        if column.table is trials:
            used = used.where(trials.c.job.in_(live))
        kept |= set(connection.execute(used).scalars())
    starts = start_weights(connection)
    query = select(artifacts).where(or_(unneeded, artifacts.c.kind == GARBAGE))
    rows = [
        ArtifactRow(**row._mapping) for row in connection.execute(query.order_by(artifacts.c.id))
    ]
    return [
        row
        for row in rows
        if row.kind == GARBAGE or (row.evaluation not in kept and row.sha256 not in starts)
    ]


def _on_fronts(connection: Connection) -> set[str]:
    """Keys of the evaluations on the front of each job, by its own objectives."""
    import numpy as np

    from nas.pareto import non_dominated

    kept: set[str] = set()
    for job, objectives in connection.execute(select(jobs.c.id, jobs.c.objectives)).all():
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
