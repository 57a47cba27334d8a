"""Pages from templates: one environment, escaped always, with the numbers as people read them."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cluster.errors import ClusterError
from nas.errors import InvalidRequestError, NasError
from nas.plots.metrics import metric, si
from nas.server.auth import COOKIE, Principal, needs
from nas.server.errors import Problem
from nas.server.pages.assets import url_of
from search_spaces.errors import SearchSpaceError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of every page: nothing inline, nothing from elsewhere."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _asking(scope: str) -> Callable[[Request], Principal]:
    """Who asks, if they have the scope; kept with the request for what every page shows of it."""
    check = needs(scope)

    def principal(request: Request) -> Principal:
        request.state.principal = asking = check(request)
        return asking

    return principal


Reader = Annotated[Principal, Depends(_asking("read"))]
Submitter = Annotated[Principal, Depends(_asking("submit"))]


def page(
    request: Request, template: str, *, status: int = 200, cache: str = "no-store", **values: Any
) -> Response:
    """A page, zipped where the browser takes that."""
    principal: Principal | None = getattr(request.state, "principal", None)
    text = (
        environment()
        .get_template(template)
        .render(
            request=request,
            path=request.url.path,
            signed_in=COOKIE in request.cookies,
            may_submit=principal is not None and principal.may("submit"),
            **values,
        )
    )
    headers = {"content-security-policy": POLICY, "cache-control": cache, "vary": "accept-encoding"}
    body = text.encode()
    if len(body) > 1_000 and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = gzip.compress(body, 5), "gzip"
    return HTMLResponse(body, status, headers)


class PageRoute(APIRoute):
    """A route whose errors are pages too; who must sign in is taken to where they can."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except Problem as problem:
                if problem.status == 401 and request.url.path != "/login":
                    return RedirectResponse(login_url(request), 303)
                return error_page(request, problem.status, str(problem))
            except RequestValidationError as error:
                first = error.errors()[0]
                name = ".".join(str(part) for part in first["loc"][1:])
                return error_page(request, 422, f"`{name}`: {first['msg']}.")
            except (InvalidRequestError, SearchSpaceError) as error:
                return error_page(request, 422, str(error))
            except (NasError, ClusterError) as error:
                return error_page(request, 503, str(error))
            except HTTPException as error:
                return error_page(request, error.status_code, str(error.detail))

        return handler


def login_url(request: Request) -> str:
    """Where to sign in, and to go on from there."""
    there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/login?{urlencode({'next': there})}" if there != "/" else "/login"


def error_page(request: Request, status: int, message: str) -> Response:
    """What went wrong, in one sentence."""
    return page(request, "error.html", status=status, code=status, message=message)


@cache
def environment() -> Environment:
    """The templates, with what they may use."""
    env = Environment(
        loader=PackageLoader("nas.server", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(static=url_of, metric=metric, path_to=path_to, when=when, duration=duration)
    env.filters.update(si=_si, percent=percent, shown=shown, data=data)
    return env


def path_to(*parts: str | int, **query: Any) -> str:
    """A path whose parts are data; query values of None and '' are left out.

    >>> path_to("jobs", "a b", after=3, sort="")
    '/jobs/a%20b?after=3'
    """
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    kept = {k: v for k, v in query.items() if v not in (None, "", [], ())}
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def percent(value: float | None, error: float | None = None) -> str:
    """
    >>> percent(0.981, 0.007), percent(None)
    ('98.1 ± 0.7 %', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{100 * value:.1f}" + (f" ± {100 * error:.1f}" if error else "") + " %"


def shown(value: float | None, name: str) -> str:
    """A value of that metric, with its unit; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return (
        percent(value) if name.endswith("accuracy") and value <= 1 else metric(name).format(value)
    )


def when(value: datetime | None) -> Markup:
    """A time that a browser shows in its own zone, and in UTC where it can't."""
    if value is None:
        return Markup("–")
    text = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        text.isoformat(timespec="seconds"), text.strftime("%Y-%m-%d %H:%M UTC")
    )


def duration(seconds: float | None) -> str:
    """
    >>> duration(0.4), duration(75), duration(7_300), duration(200_000)
    ('0.4 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, unit, below, less in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // below} {less}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def data(value: Mapping[str, Any]) -> Markup:
    """Plain values as the text of a data block, in which nothing can end the block."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _si(value: float | None) -> str:
    return "–" if value is None else si(float(value), 3)
