"""A job deleted with what only it used; what others use stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, or_, select, union

from nas.errors import InvalidRequestError
from nas.store.connected import chunks, shared_now
from nas.store.fronts import mend_fronts
from nas.store.garbage import bytes_of, discard, start_weights, sweep
from nas.store.repository import Store
from nas.store.rows import ArtifactRow, JobRow, JobState
from nas.store.schema import (
    architectures,
    artifacts,
    evaluations,
    exports,
    families,
    jobs,
    members,
    metadata,
    trials,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What goes with a job, or went.

    Args:
        shared: Evaluations of its trials and members that stay, since others use them.
        artifacts: Files; those under the artifact location are removed.
    """

    job: str
    name: str
    trials: int
    families: int
    evaluations: int
    shared: int
    architectures: int
    artifacts: tuple[ArtifactRow, ...]

    @property
    def bytes(self) -> int:
        """Size of the files; one that several rows name counts once."""
        return bytes_of(self.artifacts)


def delete_job(store: Store, job: JobRow, location: str, *, dry_run: bool = True) -> Deleted:
    """Delete a job, its trials and families, and what nobody else uses of its results.

    Others use an evaluation if a trial or member of theirs refers to it or a file of theirs was
    made from it; weights, if a recipe starts from them; an architecture, if anything refers to it.

    Args:
        location: The artifacts' folder or fsspec URL.
        dry_run: Only say what would go.

    Raises:
        InvalidRequestError: If a driver holds the job, or it waits on a cluster.
    """
    with store._write() as connection:
        _check_over(connection, job)
        deleted = _delete_rows(connection, job)
        if dry_run:  # what would go is found by letting it go, and taking that back
            connection.rollback()
        else:
            mend_fronts(connection)
    if not dry_run:
        sweep(store, location)
    return deleted


def _check_over(connection: Connection, job: JobRow) -> None:
    held = jobs.c.driver.is_not(None) & (jobs.c.lease_expires_at > shared_now(connection))
    waits = jobs.c.ray_id.is_not(None) & jobs.c.state.in_((JobState.WAITING, JobState.RUNNING))
    found = select(jobs.c.id).where(jobs.c.id == job.id, or_(held, waits))
    if connection.execute(found).first() is not None:
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) must have ended to be deleted, but a driver holds it; "
            f"stop it first: nas stop {job.id}"
        )


def _delete_rows(connection: Connection, job: JobRow) -> Deleted:
    used = _used_by(job.id)
    own = _own_evaluations(job.id)
    candidates = connection.execute(_architectures_of(job.id, own)).scalars().all()
    doomed = _doomed_artifacts(connection, job.id, own)
    keys = connection.execute(select(evaluations.c.key).where(own)).scalars().all()
    counts = {
        table.name: connection.execute(
            select(func.count()).select_from(table).where(table.c.job == job.id)
        ).scalar_one()
        for table in (trials, families)
    }
    referred = connection.execute(select(func.count()).select_from(used.subquery())).scalar_one()
    gone = connection.execute(
        select(func.count()).select_from(evaluations).where(own, evaluations.c.key.in_(used))
    ).scalar_one()

    discard(connection, doomed)
    connection.execute(delete(jobs).where(jobs.c.id == job.id))  # trials, families, ... with it
    for some in chunks(keys):
        connection.execute(delete(evaluations).where(evaluations.c.key.in_(some)))
    return Deleted(
        job=job.id,
        name=job.name,
        trials=counts["trials"],
        families=counts["families"],
        evaluations=len(keys),
        shared=referred - gone,
        architectures=_delete_architectures(connection, candidates),
        artifacts=tuple(doomed),
    )


def _used_by(job: str) -> Any:
    """Keys of the evaluations that a job's trials and members refer to."""
    of_trials = select(trials.c.evaluation).where(trials.c.job == job)
    of_members = (
        select(members.c.evaluation)
        .join(families, families.c.id == members.c.family)
        .where(families.c.job == job)
    )
    return union(
        of_trials.where(trials.c.evaluation.is_not(None)),
        of_members.where(members.c.evaluation.is_not(None)),
    )


def _own_evaluations(job: str) -> ColumnElement[bool]:
    """Evaluations that a job made, or that are nobody's and it uses, and that no other uses."""
    key = evaluations.c.key
    in_trials = exists().where(trials.c.evaluation == key, trials.c.job != job)
    in_families = exists().where(
        members.c.evaluation == key, members.c.family == families.c.id, families.c.job != job
    )
    in_files = exists().where(artifacts.c.evaluation == key, artifacts.c.job != job)
    orphaned = evaluations.c.job.is_(None) & key.in_(_used_by(job))
    mine = or_(evaluations.c.job == job, orphaned)
    return mine & ~in_trials & ~in_families & ~in_files


def _architectures_of(job: str, own: ColumnElement[bool]) -> Any:
    in_families = select(members.c.architecture).join(families, families.c.id == members.c.family)
    queries = (
        select(trials.c.architecture).where(trials.c.job == job),
        in_families.where(families.c.job == job),
        select(families.c.baseline).where(families.c.job == job),
        select(exports.c.architecture).where(exports.c.job == job),
        select(evaluations.c.architecture).where(own),
    )
    found = union(*queries).subquery()
    return select(found.c[0]).where(found.c[0].is_not(None))


def _doomed_artifacts(
    connection: Connection, job: str, own: ColumnElement[bool]
) -> list[ArtifactRow]:
    of_own = artifacts.c.evaluation.in_(select(evaluations.c.key).where(own))
    of_job = (artifacts.c.job == job) & artifacts.c.evaluation.is_(None)
    asked_by_others = exists().where(exports.c.artifact == artifacts.c.id, exports.c.job != job)
    query = select(artifacts).where(or_(of_own, of_job), ~asked_by_others)
    rows = [ArtifactRow(**row._mapping) for row in connection.execute(query)]
    starts = start_weights(connection)
    doomed = {row.id: row for row in rows if row.sha256 not in starts}
    parents = select(artifacts.c.id, artifacts.c.parent).where(artifacts.c.parent.is_not(None))
    children = connection.execute(parents).all()
    while True:  # what something else was made from stays, and so on up
        needed = {parent for child, parent in children if child not in doomed} & doomed.keys()
        if not needed:
            return sorted(doomed.values(), key=lambda row: row.id or 0)
        for number in needed:
            del doomed[number]


def _delete_architectures(connection: Connection, candidates: Sequence[str]) -> int:
    """Delete those of the architectures that nothing refers to any more; returns how many."""
    references = [
        key.parent
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table is architectures
    ]
    here = architectures.c.fingerprint
    unused = [~exists().where(column == here) for column in references]
    count = 0
    for some in chunks(candidates):
        gone = delete(architectures).where(here.in_(some), *unused)
        count += connection.execute(gone).rowcount
    return count
