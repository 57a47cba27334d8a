"""What a job prints and how far it is, as it happens: server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from nas.documents import Log, Progress
from nas.errors import InvalidRequestError
from nas.jobs.front import is_over_table
from nas.jobs.process import read_log
from nas.jobs.submit import job_logs
from nas.jobs.truth import LIVE, find_truth
from nas.server.api.common import JobName, Reader, TheSettings, TheStore, job_named
from nas.server.errors import Problem
from nas.server.settings import Limits
from nas.store import Filter, JobRow, Store

router = APIRouter(tags=["jobs"])
LOOK_EVERY_S = 1.0
PING_S = 15
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`progress` events, `log` events whose id is the byte to go on from, and "
        "`end`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    404: {},
}


@router.get("/jobs/{job}/log", responses={404: {}})
def log(
    reader: Reader,
    store: TheStore,
    job: JobName,
    offset: Annotated[int, Query(ge=0, lt=2**53)] = 0,
) -> Log:
    """What a job has printed, from a byte on."""
    try:
        text, following = log_from(job_named(store, job), offset)
    except InvalidRequestError as error:
        raise Problem(404, str(error)) from None
    return Log(text=text, next=following)


@router.get("/jobs/{job}/progress", responses={404: {}})
def progress(reader: Reader, store: TheStore, job: JobName) -> Progress:
    """How far a job is."""
    return progress_of(store, job_named(store, job))


@router.get("/jobs/{job}/events", response_class=EventSourceResponse, responses=EVENTS)
def events(
    request: Request,
    reader: Reader,
    store: TheStore,
    settings: TheSettings,
    job: JobName,
    logs: Annotated[bool, Query(description="Whether what it prints comes along.")] = True,
    offset: Annotated[int, Query(ge=0, lt=2**53, description="Byte of the log to begin at.")] = 0,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> EventSourceResponse:
    """Progress, and what the job prints, until it ends; who comes back goes on where they were."""
    row = job_named(store, job)
    given = last_event_id or ""
    offset = int(given) if given.isascii() and given.isdecimal() else offset
    streams: Streams = request.app.state.streams
    stream = streams.watched(_events(store, row.id, offset if logs else None), settings.limits)
    return EventSourceResponse(stream, ping=PING_S, headers={"x-accel-buffering": "no"})


@dataclass(slots=True)
class Streams:
    """Connections that stay open, counted."""

    open: int = 0

    def watched(
        self, events: AsyncIterator[ServerSentEvent], limits: Limits
    ) -> AsyncIterator[ServerSentEvent]:
        """The same events, counted while they last.

        Raises:
            Problem: 429 if there are as many as there may be.
        """
        if self.open >= limits.streams:
            raise Problem(
                429,
                f"{limits.streams} connections are watching jobs, as many as may; ask "
                f"/v1/jobs/JOB/progress now and then.",
                headers={"retry-after": "10"},
            )

        async def counted() -> AsyncIterator[ServerSentEvent]:
            with self._one():
                async for event in events:
                    yield event

        return counted()

    @contextmanager
    def _one(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


async def _events(store: Store, job_id: str, offset: int | None) -> AsyncIterator[ServerSentEvent]:
    last: Progress | None = None
    while True:
        # the state is read before the log, so that an ended job's last words are not missed
        now = await run_in_threadpool(_look, store, job_id, last)
        if now != last:
            yield ServerSentEvent(event="progress", data=json.dumps(asdict(now)))
            last = now
        if offset is not None:
            text, following = await run_in_threadpool(_log_or_nothing, store, job_id, offset)
            while text:
                offset = following
                yield ServerSentEvent(event="log", data=json.dumps(text), id=str(offset))
                text, following = await run_in_threadpool(_log_or_nothing, store, job_id, offset)
        if now.ended:
            yield ServerSentEvent(event="end", data=json.dumps(now.state))
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _look(store: Store, job_id: str, last: Progress | None) -> Progress:
    return progress_of(store, store.find_job(job_id), last)


def progress_of(store: Store, row: JobRow, last: Progress | None = None) -> Progress:
    """How far a job is; the best is looked for only where trials have ended since."""
    truth, counts = find_truth(store, row), store.count_trials(row.id)
    best = last.best_accuracy if last is not None and last.trials == counts else _best(store, row)
    search = row.spec.get("search", {})
    return Progress(
        job=row.id,
        state=truth.state,
        message=truth.message,
        trials=counts,
        done=counts.get("completed", 0),
        total=int(search.get("trials", 50)),
        best_accuracy=best,
        ended=truth.state not in LIVE,
    )


def _best(store: Store, row: JobRow) -> float | None:
    if is_over_table(row):
        return None
    best = store.models(Filter(job=row.id, origins=None), limit=1)
    return best[0].val_accuracy if best else None


def log_from(row: JobRow, offset: int) -> tuple[str, int]:
    """What a job has printed from a byte on, on this machine or on its cluster; and the byte to
    go on from."""
    if row.ray_id is None:
        return read_log(row, offset)
    cluster, ray_id = job_logs(row)
    content = cluster.logs(ray_id).encode("utf-8", "replace")
    return content[offset:].decode("utf-8", "replace"), len(content)


def _log_or_nothing(store: Store, job_id: str, offset: int) -> tuple[str, int]:
    try:
        return log_from(store.find_job(job_id), offset)
    except InvalidRequestError:
        return "", offset
