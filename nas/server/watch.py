"""Every request gets an id, is counted and timed, and leaves one line in the log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas.server.errors import problem_response
from nas.server.guard import with_security_headers
from nas.server.logs import request_id

ID_HEADER = "x-request-id"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PROBES = ("/healthz", "/readyz", "/metrics")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("nas.server.requests")


@dataclass(slots=True)
class Meters:
    """What a server counts, apart for each server of a process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    open: Gauge = field(init=False)

    def __post_init__(self) -> None:
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = Counter(
            "nas_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "nas_http_request_seconds",
            "Time from a request's start to the last byte of its answer.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.open = Gauge(
            "nas_http_requests_open", "Requests that are being answered.", registry=self.registry
        )


@dataclass(slots=True)
class _Answer:
    """What became of a request."""

    status: int = 0
    bytes: int = 0


class Watch:
    """The outermost layer of the server; an error that nobody foresaw ends here."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        number = _number(Headers(scope=scope))
        token = request_id.set(number)
        answer = _Answer()
        watched = with_security_headers(_watched(send, number, answer))
        start = time.perf_counter()
        self._meters.open.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception:
            _log.exception("The server failed at %s %s", scope["method"], _path(scope))
            if answer.status:  # the answer is under way; breaking it off is all that is left
                raise
            # what it was stands in the log; a stranger learns nothing from it
            failed = problem_response(500, f"The server failed at this; its log says why: {number}")
            await failed(scope, receive, watched)
        finally:
            self._meters.open.dec()
            self._note(scope, answer, time.perf_counter() - start)
            request_id.reset(token)

    def _note(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope)
        self._meters.requests.labels(method, route, str(answer.status)).inc()
        self._meters.seconds.labels(method, route).observe(seconds)
        client = scope.get("client")
        fields: dict[str, Any] = {
            "method": method,
            "path": _path(scope),  # without its query, in which people put what they shouldn't
            "route": route,
            "status": answer.status,
            "ms": round(1000 * seconds, 1),
            "bytes": answer.bytes,
            "client": client[0] if client else None,
            "user": scope["state"].get("user"),
        }
        quiet = scope["path"] in PROBES and answer.status == 200
        level = logging.DEBUG if quiet else logging.INFO
        _log.log(level, "%s %s %d", method, fields["path"], answer.status, extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """The route that answered, as in `/v1/jobs/{job}`; one name for all that none answered.

    A label for each address would let strangers fill the memory.
    """
    path: str = getattr(scope.get("route"), "path", "")
    if not path:
        return "none"
    is_api = scope["path"].startswith("/v1/") and not path.startswith("/v1/")
    return f"/v1{path}" if is_api else path


def _number(headers: Headers) -> str:
    """The id that a proxy gave the request, or a new one."""
    given = headers.get(ID_HEADER, "")
    return given if _ID.fullmatch(given) else secrets.token_hex(8)


def _path(scope: Scope) -> str:
    return quote(scope["path"], safe="/:@!$&'()*+,;=~", errors="replace")[:500]


def _watched(send: Send, number: str, answer: _Answer) -> Send:
    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            MutableHeaders(scope=message)[ID_HEADER] = number
        elif message["type"] == "http.response.body":
            answer.bytes += len(message.get("body", b""))
        await send(message)

    return watched
