"""Where a job really stands, whatever its row says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cluster.errors import ClusterError
from cluster.ray_jobs import RayJob, RayJobs
from nas.jobs.process import last_words, process_is_gone, why_it_ended
from nas.store import ENDED_JOB_STATES, JobRow, JobState, Store

LIVE = ("running", "waiting", "pending", "unreachable")
"""States of a `Truth` in which a job may still change by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A job's state after both sides were asked; `unreachable` is one, and is never stored."""

    state: str
    message: str


def find_truth(store: Store, job: JobRow) -> Truth:
    """Where a job really stands: by its driver's lease, and by Ray where it was submitted.

    What is found out is written down, so that no job looks running for ever.
    """
    if job.state in ENDED_JOB_STATES:
        return Truth(state=job.state, message=job.message)
    expires = job.lease_expires_at
    lives = expires is not None and expires > datetime.now(UTC)
    if job.ray_id is None:
        if process_is_gone(job):
            return _settle(store, job, JobState.FAILED, why_it_ended(job))
        state = "interrupted" if job.state == JobState.RUNNING and not lives else job.state
        return Truth(state=state, message=job.message)
    try:
        known = RayJobs(str(job.attributes["ray_address"])).find(job.ray_id)
    except ClusterError as error:
        if lives:  # the driver renews its lease, whatever became of the dashboard
            return Truth(state=job.state, message=job.message)
        return Truth(state="unreachable", message=str(error))
    if known is not None and not known.ended:
        state = job.state if job.state == JobState.RUNNING else known.state
        return Truth(state=state, message=job.message)
    return _ended(store, store.find_job(job.id), known, lives)


def _ended(store: Store, job: JobRow, known: RayJob | None, lives: bool) -> Truth:
    """What to say of a job that Ray has ended or doesn't know, read again since."""
    if job.state in ENDED_JOB_STATES or (known is None and lives):
        return Truth(state=job.state, message=job.message)
    if known is None:
        return _settle(store, job, JobState.LOST, "the cluster no longer knows it")
    if known.state == "stopped":
        return _settle(store, job, JobState.STOPPED, "stopped on the cluster")
    last = (known.message.strip().splitlines() or [""])[-1].strip()
    if (own := last_words(last)) is not None:
        return _settle(store, job, JobState.FAILED, own)
    return _settle(store, job, JobState.LOST, f"its driver ended ({known.state}): {last}")


def _settle(store: Store, job: JobRow, state: JobState, message: str) -> Truth:
    store.set_job_state(job.id, state, message)
    return Truth(state=state, message=message)
