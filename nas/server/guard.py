"""What every request passes first: names of the host, origins, sizes; and headers of answers."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas.server.errors import Problem, problem_response
from nas.server.settings import LOOPBACK_NAMES, Settings
from nas.store.engine import time_limit

# styles may be inline, since plots set them; scripts never are, and nothing comes from elsewhere
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
PROBES = ("/healthz", "/readyz")  # asked by address, and they tell nothing
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses what no route should see, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        own = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._hosts = {name.lower() for name in (*LOOPBACK_NAMES, own, *settings.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with_headers = with_security_headers(send)
        try:
            self._check(scope)
        except Problem as problem:
            answer = problem_response(problem.status, str(problem))
            await answer(scope, receive, with_headers)
            return
        time_limit.set(self._settings.limits.query_s)  # in this request's own context
        limited = _limited(receive, self._settings.limits.body_bytes)
        await self._app(scope, limited, with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["path"] not in PROBES:
            self._check_host(headers.get("host", ""))
        if scope["method"] not in SAFE_METHODS:
            self._check_origin(headers)
        if b"%00" in scope.get("raw_path", b"") or b"%00" in scope.get("query_string", b""):
            raise Problem(400, "An address must not hold the character NUL.")
        length = headers.get("content-length", "0")
        most = self._settings.limits.body_bytes
        if not length.isdecimal() or int(length) > most:
            raise Problem(413, f"A body must have at most {most:,} bytes, but got {length:.20}.")

    def _check_host(self, host: str) -> None:
        """A page elsewhere that has its name point here sends that name (DNS rebinding)."""
        if host_name(host) not in self._hosts:
            raise Problem(
                421,
                f"This server is not known as {host!r:.80}; its operator may add the name: "
                f"nas serve --host-name NAME.",
            )

    def _check_origin(self, headers: Headers) -> None:
        """A page elsewhere may not change anything here in the name of who reads it (CSRF).

        Browsers say where such a request comes from; a request with a token in its header was
        not made by a page elsewhere.
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if headers.get("authorization", "").lower().startswith("bearer "):
            return
        foreign = site is not None and site not in ("same-origin", "none")
        if origin is not None:
            foreign = foreign or urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if foreign:
            raise Problem(403, "A page of another site must not change anything here.")


def host_name(host: str) -> str:
    """A Host header without its port.

    >>> host_name("Nas.Example:8000"), host_name("[::1]:8000")
    ('nas.example', '[::1]')
    """
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def with_security_headers(send: Send) -> Send:
    """Answers with every security header that they lack."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _missing(headers, HEADERS.items()):
                headers[name] = value
        await send(message)

    return wrapped


def _missing(headers: MutableHeaders, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in wanted if name not in headers]


def _limited(receive: Receive, most: int) -> Receive:
    """The body, broken off where it is larger than it may be, whatever its header said."""
    seen = 0

    async def wrapped() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise Problem(413, f"A body must have at most {most:,} bytes.")
        return message

    return wrapped
