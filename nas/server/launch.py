"""Jobs that are posted: held against what the operator allows, tried out, and started.

The API and the page do it by the same four calls:

    spec = read_job(settings, text)                            # the rules; what is wrong by field
    found = try_job(store, settings, spec)                     # against its data; starts nothing
    job = launch_job(store, settings, spec, owner=..., key=...)  # put down, and its driver started
    job = relaunch_job(store, settings, job)                   # one that was stopped or lost

`read_job` takes the text of a job file (YAML) or the plain values of one, and raises
`InvalidJobError` with `field` and, for a text, `line`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.documents import Tried
from nas.jobs.process import count_processes, start_process
from nas.jobs.spec import InvalidJobError, JobSpec, job_from_dict, job_from_yaml
from nas.jobs.start import check_runnable, job_spec, plan_job
from nas.jobs.submit import Place, check_without_data, put_down_job, resubmit_job, submit_job
from nas.jobs.table_plan import TablePlan
from nas.jobs.truth import find_truth
from nas.search.objectives import objective_text
from nas.server.errors import Problem
from nas.server.rules import check_rules
from nas.server.settings import Settings
from nas.store import JobRow, JobState, Store

CODE = "submission"
"""The attribute that tells who made a job's row, of several that ask with one key."""

MOST_FILES = 10_000


def read_job(settings: Settings, job: str | Mapping[str, Any]) -> JobSpec:
    """A posted job, if it is one and the operator allows all that it names.

    Returns:
        The job, with the paths of its data and tables resolved.

    Raises:
        InvalidJobError: With the field that is wrong or not allowed.
    """
    source = "The job"
    spec = job_from_yaml(job, source) if isinstance(job, str) else job_from_dict(job, source)
    try:
        plain = spec.model_dump_json()
    except ValueError:
        plain = "\\u0000"
    if "\\u0000" in plain:  # half a character or none, which not every database takes
        field = _refused_field(settings, spec)
        place = f"The job: `{field}`" if field else "The job"
        raise InvalidJobError(f"{place} must be whole Unicode text, without NUL.", field)
    return check_rules(settings, spec)


def _refused_field(settings: Settings, spec: JobSpec) -> str | None:
    """Which field the rules refuse, if they refuse one."""
    try:
        check_rules(settings, spec)
    except InvalidJobError as error:
        return error.field
    except UnicodeError:
        pass
    return None


def try_job(store: Store, settings: Settings, spec: JobSpec) -> Tried:
    """Check a job as its driver would, where its data is small enough for that; starts nothing.

    Raises:
        InvalidRequestError, SearchSpaceError: If anything in it is wrong.
    """
    check_without_data(spec)
    size = data_bytes(spec)
    if size > settings.limits.read_bytes:
        note = f"Its data, {size / 2**20:,.0f} MiB, is looked at when the job begins."
        return Tried(data=None, networks=None, objectives=spec.search.objectives, notes=(note,))
    plan = plan_job(spec, settings.artifacts)
    check_runnable(plan, store)
    networks = None if isinstance(plan, TablePlan) else float(plan.space.size)
    objectives = tuple(objective_text(o.metric, o.maximize) for o in plan.objectives)
    return Tried(
        data=plan.describe(), networks=networks, objectives=objectives, notes=tuple(plan.notes)
    )


def launch_job(
    store: Store, settings: Settings, spec: JobSpec, *, owner: str, key: str | None = None
) -> JobRow:
    """Put a job down and have its driver started: on the server's cluster, or as a process of
    this machine.

    Args:
        spec: As `read_job` gave it.
        owner: Who asks.
        key: A request that is sent again with the same key finds the job that it made.

    Raises:
        InvalidRequestError, SearchSpaceError: If something is wrong whatever the data is.
        Problem: 409 where another job was asked for with the key, 429 where enough run here.
        ClusterError: If the cluster can't be reached; the job is then failed with the reason.
    """
    request_key = None if key is None else _key_of(owner, key)
    before = None if request_key is None else store.find_request(request_key)
    if before is not None:
        return _same_request(before, spec)
    if settings.address is not None:
        place = Place(address=settings.address, store_on_nodes=settings.store_on_nodes)
        job = submit_job(store, settings.store, spec, settings.artifacts, place, request_key, owner)
        return _same_request(job, spec)
    _check_room(store, settings)
    mine = {CODE: secrets.token_hex(8)}
    job = put_down_job(store, spec, settings.artifacts, request_key, owner, mine)
    if job.attributes.get(CODE) != mine[CODE]:
        return _same_request(job, spec)
    return start_process(store, settings.store, job)


def relaunch_job(store: Store, settings: Settings, job: JobRow) -> JobRow:
    """Have a job that was stopped, failed or lost go on.

    Raises:
        Problem: 409 where nothing is left to do, or its driver lives.
        InvalidJobError: If the operator does not allow what it names; the command line goes on
            with such a job.
    """
    truth = find_truth(store, job)
    if truth.state in (JobState.RUNNING, JobState.WAITING, JobState.COMPLETED, "pending"):
        raise Problem(409, f"Job {job.name} ({job.id}) is {truth.state}; there is nothing to do.")
    check_rules(settings, job_spec(job))
    if settings.address is not None:
        place = Place(address=settings.address, store_on_nodes=settings.store_on_nodes)
        return resubmit_job(store, settings.store, job, place)
    if job.ray_id is not None:
        raise Problem(409, f"Job {job.name} ({job.id}) runs on a cluster that this server lacks.")
    _check_room(store, settings)
    return start_process(store, settings.store, job)


def data_bytes(spec: JobSpec) -> int:
    """How large a job's data is on disk; of a folder with very many files it is not counted."""
    path = Path(spec.evaluator.file or spec.data.source)
    if not path.is_absolute():  # a data set that comes with a package
        return 0
    total = 0
    for number, file in enumerate(path.rglob("*") if path.is_dir() else [path]):
        if number >= MOST_FILES:
            return 2**62
        total += file.stat().st_size if file.is_file() else 0
    return total


def _check_room(store: Store, settings: Settings) -> None:
    most = settings.limits.jobs
    if count_processes(store) >= most:
        raise Problem(
            429,
            f"{most} jobs run on this machine, as many as its operator allows; try again when one "
            f"has ended.",
            headers={"retry-after": "60"},
        )


def _same_request(job: JobRow, spec: JobSpec) -> JobRow:
    if job.attributes.get("spec_digest") != spec.digest:
        raise Problem(
            409, f"The idempotency key made another job, {job.id}; a new job needs a new key."
        )
    return job


def _key_of(owner: str, key: str) -> str:
    """Keys of one who asks don't meet those of another."""
    return hashlib.sha256(f"{owner}\n{key}".encode()).hexdigest()


__all__ = [
    "InvalidJobError",
    "data_bytes",
    "launch_job",
    "read_job",
    "relaunch_job",
    "try_job",
]
