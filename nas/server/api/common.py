"""What the routes share: who asks, the store, names, pages, answers that have not changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from starlette.responses import Response

from nas.cursor import read_cursor, write_cursor
from nas.errors import InvalidRequestError
from nas.jobs.naming import find_architecture
from nas.server.auth import Principal, needs
from nas.server.errors import Problem
from nas.server.settings import Settings
from nas.store import FamilyRow, JobRow, Store
from search_spaces.architecture import Architecture

Reader = Annotated[Principal, Depends(needs("read"))]
Submitter = Annotated[Principal, Depends(needs("submit"))]


async def _store(request: Request) -> Store:  # not in a thread, which takes longer than this
    store: Store = request.app.state.store
    return store


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _limit(
    settings: Annotated[Settings, Depends(_settings)],
    limit: Annotated[int, Query(ge=1, le=10_000, description="Rows of a page.")] = 50,
) -> int:
    return min(limit, settings.limits.rows)


TheStore = Annotated[Store, Depends(_store)]
TheSettings = Annotated[Settings, Depends(_settings)]
Limit = Annotated[int, Depends(_limit)]
After = Annotated[
    str | None, Query(max_length=400, description="`after` of the page before this one.")
]
JobName = Annotated[
    str, Path(max_length=64, description="Id, the beginning of one, or a name.", examples=["demo"])
]
NetworkName = Annotated[
    str,
    Path(
        max_length=100,
        description="A published name, a fingerprint or its beginning, or JOB/12.",
        examples=["efficientnet_b0"],
    ),
]


def job_named(store: Store, name: str) -> JobRow:
    """The job of a name, or 404."""
    try:
        return store.find_job(name)
    except InvalidRequestError as error:
        raise Problem(404, str(error)) from None


def network_named(store: Store, name: str) -> Architecture:
    """The network of a name, or 404; files of the server are none."""
    try:
        return find_architecture(name, store, files=False)
    except InvalidRequestError as error:
        raise Problem(404, str(error)) from None


def family_of_id(store: Store, family_id: str) -> FamilyRow:
    """The family of an id, or 404."""
    found = store.family(family_id)
    if found is None:
        raise Problem(404, f"There is no family {family_id!r:.80}.")
    return found


def write_place(time: datetime, name: str) -> str:
    """A place in a list by time and id, as a short text."""
    return write_cursor(time.isoformat(), name)


def read_place(text: str | None) -> tuple[datetime, str] | None:
    """A place in a list by time and id, as `write_place` wrote it.

    Raises:
        Problem: 422 if nobody wrote it.
    """
    if text is None:
        return None
    try:
        time, name = read_cursor(text)
        at = datetime.fromisoformat(time)
        if at.tzinfo is None or not isinstance(name, str):
            raise ValueError
        return at, name
    except (ValueError, TypeError, OverflowError):
        raise Problem(
            422, f"`after` must be what the page before gave, but got {text!r:.80}.", "after"
        ) from None


def tag_of(*parts: str) -> str:
    """A strong ETag of what is the same for as long as these parts are."""
    return f'"{hashlib.sha256(chr(0).join(parts).encode("utf-8", "replace")).hexdigest()[:32]}"'


def unchanged(request: Request, response: Response, tag: str) -> bool:
    """Put an answer's tag on it; whether who asks has this very answer (then answer 304)."""
    response.headers["etag"] = tag
    response.headers["cache-control"] = "private, no-cache"
    given = request.headers.get("if-none-match", "")
    tags: Sequence[str] = [part.strip().removeprefix("W/") for part in given.split(",")]
    return tag in tags or given.strip() == "*"


def not_modified(response: Response) -> Response:
    """304 with the headers that `unchanged` put down."""
    return Response(status_code=304, headers=dict(response.headers))
