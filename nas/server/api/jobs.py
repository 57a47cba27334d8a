"""Jobs: submitted, tried out, listed, stopped, resumed; their trials."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import Response

from nas.documents import Job, JobPage, Status, Trial, TrialPage, Tried
from nas.jobs.start import job_spec
from nas.jobs.submit import stop_job
from nas.jobs.summary import summarise
from nas.jobs.truth import Truth, find_truth
from nas.search.objectives import objective_text
from nas.server.api.common import (
    After,
    JobName,
    Limit,
    Reader,
    Submitter,
    TheSettings,
    TheStore,
    job_named,
    read_place,
    write_place,
)
from nas.server.bodies import posted
from nas.server.errors import Problem
from nas.server.launch import launch_job, read_job, relaunch_job, try_job
from nas.store import JobRow, Store, TrialRow

router = APIRouter(tags=["jobs"])
Posted = Annotated[str | dict[str, Any], Depends(posted)]
EXAMPLE = {
    "name": "flowers",
    "data": "digits",
    "space": "small_images",
    "search": {"trials": 40, "constraints": ["macs <= 3M"]},
    "recipe": {"epochs": 5},
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/JobSpec"},
                "example": EXAMPLE,
            },
            "application/yaml": {
                "schema": {"type": "string"},
                "example": "name: flowers\ndata: digits\nsearch: {trials: 40}\n",
            },
        },
    }
}


@router.post("/jobs", status_code=202, openapi_extra=BODY, responses={409: {}, 415: {}})
def submit(
    asking: Submitter,
    store: TheStore,
    settings: TheSettings,
    document: Posted,
    response: Response,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            description="The same key again finds the job that it made, and makes no second.",
        ),
    ] = None,
) -> Job:
    """Submit a job; it runs by itself.

    A job may name the data sets, spaces and evaluators that `/v1/allowed` lists; paths are
    relative to the server's data folders.
    """
    spec = read_job(settings, document)
    row = launch_job(store, settings, spec, owner=asking.name, key=key)
    response.headers["location"] = f"/v1/jobs/{row.id}"
    return job_document(store, row)


@router.post("/jobs/validate", openapi_extra=BODY, responses={415: {}})
def validate(asking: Submitter, store: TheStore, settings: TheSettings, document: Posted) -> Tried:
    """Check a job file as its driver would; starts and stores nothing."""
    return try_job(store, settings, read_job(settings, document))


@router.get("/jobs")
def jobs(
    reader: Reader,
    store: TheStore,
    limit: Limit,
    after: After = None,
    state: Annotated[str | None, Query(max_length=20)] = None,
    owner: Annotated[str | None, Query(max_length=200)] = None,
) -> JobPage:
    """Jobs, the latest first."""
    found = store.list_jobs(state=state, owner=owner, limit=limit + 1, after=read_place(after))
    last = found[limit - 1] if len(found) > limit else None
    rows = tuple(job_document(store, row) for row in found[:limit])
    return JobPage(rows=rows, after=write_place(last.created_at, last.id) if last else None)


@router.get("/jobs/{job}", responses={404: {}})
def status(reader: Reader, store: TheStore, job: JobName) -> Status:
    """How a job stands, and what it has found so far."""
    row = job_named(store, job)
    truth = find_truth(store, row)
    summary = summarise(store, store.find_job(row.id))
    return Status(
        job=job_document(store, summary.job, truth),
        spec=job_spec(summary.job).model_dump(mode="json", exclude_defaults=True),
        front=summary.front,
        best_accuracy=number(summary.best_accuracy),
        hypervolume=number(summary.hypervolume),
        family=summary.family,
        chosen=summary.chosen,
        trained=summary.trained,
        reused=summary.reused,
        seconds=summary.seconds,
        usage=summary.usage,
    )


@router.post("/jobs/{job}/stop", status_code=202, responses={404: {}, 409: {}})
def stop(asking: Submitter, store: TheStore, job: JobName) -> Job:
    """End a job politely; every result that came in is kept."""
    row = job_named(store, job)
    truth = find_truth(store, row)
    if truth.state not in ("running", "waiting", "pending"):
        raise Problem(409, f"Job {row.name} ({row.id}) is {truth.state}; nothing is left to stop.")
    stop_job(store, row)
    return job_document(store, store.find_job(row.id))


@router.post("/jobs/{job}/resume", status_code=202, responses={404: {}, 409: {}})
def resume(asking: Submitter, store: TheStore, settings: TheSettings, job: JobName) -> Job:
    """Go on with a job that was stopped or lost; nothing is computed twice."""
    return job_document(store, relaunch_job(store, settings, job_named(store, job)))


@router.get("/jobs/{job}/trials", responses={404: {}})
def trials(
    reader: Reader,
    store: TheStore,
    limit: Limit,
    job: JobName,
    after: Annotated[
        int | None, Query(ge=0, lt=2**31, description="Number of the last trial before.")
    ] = None,
) -> TrialPage:
    """A job's trials by their number."""
    row = job_named(store, job)
    found = store.trials(row.id, after=-1 if after is None else after, limit=limit + 1)
    more = found[limit - 1].number if len(found) > limit else None
    return TrialPage(rows=tuple(map(trial_document, found[:limit])), after=more)


def job_document(store: Store, row: JobRow, truth: Truth | None = None) -> Job:
    """A job as it is answered with; a cluster is not asked, unless the truth is brought."""
    if truth is None:
        own = row.ray_id is None
        truth = find_truth(store, row) if own else Truth(state=row.state, message=row.message)
    return Job(
        id=row.id,
        name=row.name,
        owner=row.owner,
        kind=row.kind,
        state=truth.state,
        message=truth.message,
        trials=store.count_trials(row.id),
        objectives=tuple(objective_text(o["metric"], o["maximize"]) for o in row.objectives),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def trial_document(row: TrialRow) -> Trial:
    """A trial without what is the sampler's own."""
    return Trial(**{name: getattr(row, name) for name in Trial.__dataclass_fields__})


def number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
