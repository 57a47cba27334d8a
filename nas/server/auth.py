"""Who asks, and what they may do: tokens with scopes, by header or by a page's cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import Response

from nas.server.errors import Problem

if TYPE_CHECKING:
    from nas.server.settings import Settings
    from nas.store import Store, TokenRow

COOKIE = "nas_token"
SCOPES = ("read", "submit", "admin")  # each holds those before it
PREFIX = "nas_"  # so that a leaked token is recognised by those who scan for secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks.

    Args:
        name: The token's name, or 'loopback' where none is needed.
        scope: The largest that they have.
        token: Id of the token; None where none is needed.
    """

    name: str
    scope: str
    token: str | None = None

    def may(self, scope: str) -> bool:
        """Whether their scope holds this one."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


ANYBODY = Principal(name="loopback", scope="admin")


@dataclass(slots=True)
class FailedTries:
    """Wrong tokens by client address, in a window that slides; safe to use from threads."""

    limit: int
    window_s: float
    clock: Callable[[], float] = time.monotonic
    _tries: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, address: str) -> float:
        """How long this address must wait; 0 if it may try."""
        with self._lock:
            recent = self._recent(address)
            if len(recent) < self.limit:
                return 0.0
            return recent[-self.limit] + self.window_s - self.clock()

    def add(self, address: str) -> None:
        """Count a wrong token."""
        with self._lock:
            if len(self._tries) > 10_000:  # an attacker with many addresses fills no memory
                for known in list(self._tries):
                    self._recent(known)
            self._tries[address] = [*self._recent(address)[-self.limit :], self.clock()]

    def _recent(self, address: str) -> list[float]:
        since = self.clock() - self.window_s
        recent = [at for at in self._tries.get(address, ()) if at > since]
        if recent:
            self._tries[address] = recent
        else:
            self._tries.pop(address, None)
        return recent


def make_token() -> str:
    """A new token: 256 random bits, so that no hash need be slow to keep it from being guessed."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What the store keeps of a token.

    SHA-256 without salt or stretching: those slow down guessing of what people choose, and
    nobody guesses one of 2^256 random values.
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def needs(scope: str) -> Callable[[Request], Principal]:
    """A dependency of a route: who asks, if they have the scope.

    Raises:
        Problem: 401 without a good token, 403 without the scope, 429 after too many wrong ones.
    """

    def principal(request: Request) -> Principal:
        asking = authenticate(request)
        if not asking.may(scope):
            raise Problem(
                403, f"This needs the scope {scope}, but the token has {asking.scope} only."
            )
        return asking

    return principal


def authenticate(request: Request) -> Principal:
    """Who asks, by `Authorization: Bearer TOKEN` or by a page's cookie."""
    settings: Settings = request.app.state.settings
    asking = _known(request, token_of(request)) if settings.authentication else ANYBODY
    request.state.user = asking.name  # for the log
    return asking


def check_token(request: Request, token: str) -> Principal:
    """Who a token belongs to, as `authenticate` says it; for a form in which one is given."""
    return _known(request, token)


def token_of(request: Request) -> str | None:
    """The token of a request; a header goes before a cookie."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    return request.cookies.get(COOKIE)


def set_cookie(response: Response, request: Request, token: str) -> None:
    """Have a browser send a token from now on, to this site's own pages alone."""
    secure = request.app.state.settings.secure or request.url.scheme == "https"
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")


def clear_cookie(response: Response) -> None:
    """Have a browser forget its token."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")


def _known(request: Request, token: str | None) -> Principal:
    failed: FailedTries = request.app.state.failed_tries
    address = request.client.host if request.client else "unknown"
    wait = failed.wait_s(address)
    if wait > 0:
        seconds = max(1, round(wait))
        raise Problem(
            429,
            f"Too many wrong tokens from this address; try again in {seconds} s.",
            headers={"retry-after": str(seconds)},
        )
    if token is None:
        raise _unauthorized("This needs a token: send `Authorization: Bearer TOKEN`.")
    row = _find(request.app.state.store, token)
    if row is None:
        failed.add(address)
        raise _unauthorized("The token is not known; `nas token create` makes one.")
    if row.revoked_at is not None:
        raise _unauthorized("The token was revoked; ask for another.")
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        raise _unauthorized("The token has expired; ask for another.")
    scope = max(row.scopes, key=SCOPES.index)
    return Principal(name=row.name, scope=scope, token=row.id)


def _find(store: Store, token: str) -> TokenRow | None:
    """The row of a token. The database looks up the digest of what came, whose comparison tells
    nothing of the token; the whole digests are then compared in constant time."""
    digest = digest_of(token)
    row = store.find_token(digest)
    return row if row is not None and hmac.compare_digest(row.digest, digest) else None


def _unauthorized(detail: str) -> Problem:
    headers: dict[str, Any] = {"www-authenticate": 'Bearer realm="nas"'}
    return Problem(401, detail, headers=headers)
