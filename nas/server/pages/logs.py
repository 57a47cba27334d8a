"""What a job prints, the end of it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from nas.errors import InvalidRequestError
from nas.jobs.process import LOG, job_folder, read_log
from nas.server.api.common import job_named
from nas.server.api.events import log_from
from nas.server.pages.jobs import store_of, view_of
from nas.server.pages.render import PageRoute, Reader, page
from nas.store import JobRow

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MOST_BYTES = 65_536


@router.get("/jobs/{name}/log")
def show_log(request: Request, reader: Reader, name: str) -> Response:
    """The last of what a job has printed; it goes on while the job does."""
    store = store_of(request)
    job = job_named(store, name)
    view = view_of(store, job)  # before the log, so that an ended job's last words are not missed
    try:
        (text, end), message = _tail(job), ""
    except InvalidRequestError as error:
        text, end, message = "", 0, str(error)
    return page(request, "log.html", view=view, text=text, end=end, message=message)


def _tail(job: JobRow) -> tuple[str, int]:
    """The last of a job's log, and the byte to go on from."""
    if job.ray_id is not None:
        text, end = log_from(job, 0)
        return text[-MOST_BYTES:], end
    file = job_folder(job) / LOG
    size = file.stat().st_size if file.exists() else 0
    text, end = read_log(job, max(0, size - MOST_BYTES), MOST_BYTES)
    return (text if size <= MOST_BYTES else text.partition("\n")[2]), end
