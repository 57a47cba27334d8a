"""Errors as problem+json (RFC 9457): one sentence, and the field where there is one."""

from __future__ import annotations

import http
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from cluster.errors import ClusterError
from nas.errors import InvalidRequestError, NasError
from search_spaces.errors import SearchSpaceError

PROBLEM = "application/problem+json"


class Problem(NasError):
    """An answer other than the one that was asked for.

    Args:
        status: HTTP status.
        detail: One sentence: the rule, what arrived, the way out.
        field: Where in the request, as in `search.trials`; or None.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.field, self.headers = status, field, headers or {}


def problem_document(
    status: int, detail: str, field: str | None = None, line: int | None = None
) -> dict[str, Any]:
    """The body of an answer that says what was wrong; `line` is of a posted text."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    more = {"field": field, "line": line}
    return {**document, **{name: value for name, value in more.items() if value is not None}}


def problem_response(
    status: int,
    detail: str,
    field: str | None = None,
    headers: dict[str, str] | None = None,
    line: int | None = None,
) -> JSONResponse:
    """An answer that says what was wrong."""
    document = problem_document(status, detail, field, line)
    return JSONResponse(document, status, headers, media_type=PROBLEM)


def add_handlers(app: FastAPI) -> None:
    """Have every expected error answered as problem+json."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(InvalidRequestError, _invalid)
    app.add_exception_handler(SearchSpaceError, _invalid)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(NasError, _failed)
    app.add_exception_handler(ClusterError, _failed)
    app.add_exception_handler(Exception, _broken)


def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    detail = _without_place(request, error)
    return problem_response(error.status, detail, error.field, error.headers)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    field, line = getattr(error, "field", None), getattr(error, "line", None)
    return problem_response(422, _without_place(request, error), field, line=line)


def _failed(request: Request, error: Exception) -> JSONResponse:
    detail = _without_place(request, error)
    return problem_response(503, detail, headers={"retry-after": "5"})


def _without_place(request: Request, error: Exception) -> str:
    """What went wrong, without where the operator keeps the store."""
    return str(error).replace(request.app.state.store.url, "this store")


def _broken(request: Request, error: Exception) -> JSONResponse:
    # what it was stands in the log; a stranger learns nothing from it
    return problem_response(500, "The server failed at this; its log says why.")


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return problem_response(error.status_code, str(error.detail), headers=headers)


def _not_valid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    name = ".".join(place[1:]) or place[0]
    arrived = first.get("input")
    got = "" if arrived is None or name == "body" else f", but got {_shown(arrived)}"
    return problem_response(422, f"`{name}`: {first['msg']}{got}.", name)


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return f"{value!r:.80}"
