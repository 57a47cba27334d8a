"""What the pages change: jobs are started, stopped and taken up again, models exported."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from nas.errors import InvalidRequestError
from nas.jobs.submit import stop_job
from nas.server.api.common import job_named
from nas.server.errors import Problem
from nas.server.exporting import Exporter, ask_export
from nas.server.launch import InvalidJobError, launch_job, read_job, relaunch_job, try_job
from nas.server.pages.jobs import job_file, store_of
from nas.server.pages.models import make_card, model_page
from nas.server.pages.render import PageRoute, Submitter, page, path_to
from nas.server.rules import allowed
from nas.server.settings import Settings
from search_spaces.errors import SearchSpaceError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

EXAMPLE = """\
name: first-look
data: digits
space: small_images
resolution: 8
search:
  trials: 40
  objectives: [accuracy, macs]
  constraints: ["macs <= 2M"]
recipe: {epochs: 3, batch_size: 64, learning_rate: 0.1}
final_recipe: {epochs: 30, batch_size: 64, learning_rate: 0.1}
scaling: {phi: [0, 1, 2], coefficients: paper}
"""


@router.get("/new")
def write_job(request: Request, asking: Submitter, like: str = "") -> Response:
    """A form to write a job in, to begin with as another job was, if one is named."""
    text = job_file(job_named(store_of(request), like)) if like else EXAMPLE
    return _form(request, text, secrets.token_urlsafe(16))


@router.post("/new/check")
def check_job(request: Request, asking: Submitter, job: Annotated[str, Form()] = "") -> Response:
    """What is wrong with a job, or what it would be; starts nothing."""
    settings = _settings(request)
    try:
        spec = read_job(settings, job)
        tried = try_job(store_of(request), settings, spec)
    except (InvalidRequestError, SearchSpaceError, Problem) as error:
        return JSONResponse({"ok": False, **_wrong(error)})
    return JSONResponse(
        {"ok": True, "name": spec.name, "trials": spec.search.trials, **asdict(tried)}
    )


@router.post("/new")
def start_job(
    request: Request,
    asking: Submitter,
    job: Annotated[str, Form()] = "",
    key: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Start a job; the same form sent twice starts it once."""
    settings, store = _settings(request), store_of(request)
    try:
        spec = read_job(settings, job)
        try_job(store, settings, spec)
        row = launch_job(store, settings, spec, owner=asking.name, key=key or None)
    except (InvalidRequestError, SearchSpaceError, Problem) as error:
        status = error.status if isinstance(error, Problem) else 422
        return _form(request, job, secrets.token_urlsafe(16), _wrong(error)["message"], status)
    return RedirectResponse(path_to("jobs", row.id), 303)


@router.post("/jobs/{name}/stop")
def stop(request: Request, asking: Submitter, name: str) -> Response:
    """End a job politely."""
    store = store_of(request)
    job = job_named(store, name)
    stop_job(store, job)
    return RedirectResponse(path_to("jobs", job.id), 303)


@router.post("/jobs/{name}/resume")
def resume(request: Request, asking: Submitter, name: str) -> Response:
    """Go on with a job that was stopped or lost."""
    store = store_of(request)
    job = relaunch_job(store, _settings(request), job_named(store, name))
    return RedirectResponse(path_to("jobs", job.id), 303)


@router.post("/models/{name}/exports")
def ask_for_file(
    request: Request,
    asking: Submitter,
    name: str,
    format: Annotated[str, Form(max_length=20)],
    job: Annotated[str, Form(max_length=64)] = "",
    train: Annotated[bool, Form()] = False,
) -> Response:
    """Have a network written as a file; the same asked for twice is made once."""
    store = store_of(request)
    card = make_card(store, name)
    try:
        ask_export(
            store,
            _settings(request),
            card.fingerprint if card.is_stored else name,
            format=format,
            job=job or None,
            train=train,
            owner=asking.name,
        )
    except (InvalidRequestError, Problem) as error:
        status = error.status if isinstance(error, Problem) else 422
        return model_page(request, asking, card, str(error), status)
    exporter: Exporter = request.app.state.exporter
    exporter.wake()
    return RedirectResponse(f"{card.path}#take", 303)


def _form(request: Request, text: str, key: str, message: str = "", status: int = 200) -> Response:
    return page(
        request,
        "new.html",
        status=status,
        text=text,
        key=key,
        message=message,
        allowed=allowed(_settings(request)),
    )


def _wrong(error: Exception) -> dict[str, Any]:
    """What is wrong in one sentence, and where, as far as that is known."""
    line, field = (error.line, error.field) if isinstance(error, InvalidJobError) else (None, None)
    return {"message": str(error), "line": line, "field": field}


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings
