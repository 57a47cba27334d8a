"""What the operator of a server decided, once, at its start."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from nas.errors import InvalidRequestError
from nas.quantity import parse_duration, parse_quantity

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request, or one client, may ask for; `--limit` sets each by its name.

    Args:
        body_bytes: Of a request.
        document_bytes: Of a posted job file or network; they are a few thousand long.
        rows: Of a page of a listing.
        query_s: Of a question to the store, before the answer is 503.
        exports: At work at once; more wait for their turn, and `waiting_exports` of them at most.
        jobs: Running at once as processes of this machine, where no cluster runs them.
        workers: That a job may ask for.
        read_bytes: Data up to which a job is tried out against it before it is submitted.
        streams: Connections for server-sent events at once.
        failed_tries, failed_window_s: Wrong tokens from one address before it must wait.
    """

    body_bytes: int = 1_048_576
    document_bytes: int = 65_536
    rows: int = 500
    query_s: float = 20.0
    exports: int = 1
    waiting_exports: int = 20
    jobs: int = 4
    workers: int = 256
    read_bytes: int = 64 * 2**20
    streams: int = 100
    failed_tries: int = 10
    failed_window_s: float = 60.0


MAY_BE_NONE = ("exports", "waiting_exports", "jobs", "streams")
"""Limits that may be 0, on a server that leaves such work to others."""
_UNITS = ("_bytes", "_s")


def limits_from(texts: Iterable[str]) -> Limits:
    """Limits as an operator writes them, by their names without the unit; the rest as usual.

    Raises:
        InvalidRequestError: If there is no such limit, or it can't be that.

    >>> limits_from(["query=1m", "failed-tries=3", "body=2Mi"]).query_s
    60.0
    """
    names = {_flag(f.name): f.name for f in fields(Limits)}
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            raise InvalidRequestError(
                f"`--limit` must be NAME=VALUE with one of {', '.join(names)}, but got "
                f"{text!r:.80}."
            )
        found[names[name]] = _limit(names[name], value)
    return Limits(**found)  # type: ignore[arg-type]


def _limit(name: str, text: str) -> float:
    is_time = name.endswith("_s")
    value = parse_duration(text) if is_time else parse_quantity(text)
    least = 0.1 if is_time else 0 if name in MAY_BE_NONE else 1
    most = 86_400.0 if is_time else 2**53
    if not least <= value <= most or (not is_time and value != int(value)):
        kind = "a time" if is_time else "a whole number"
        raise InvalidRequestError(
            f"`--limit {_flag(name)}` must be {kind} from {least} to {most:,.0f}"
            f"{' seconds' if is_time else ''}, but got {text!r:.80}."
        )
    return value if is_time else int(value)


def _flag(name: str) -> str:
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A server's settings.

    Args:
        store: URL of the store.
        artifacts: Where its files lie.
        host, port: Where it listens; 0 is any free port.
        authentication: Whether every request needs a token. Without, everybody who reaches the
            server is its administrator, so it must listen on loopback.
        data_sets: Names of built-in data sets that a job may use.
        data_roots: Folders that a job may take data and tables from.
        spaces: Names of search spaces that a job may use; None means all that there are.
        evaluators: Kinds of evaluators that a job may use: 'training', 'table'.
        address: The Ray cluster that runs jobs; None runs them as processes of this machine.
        store_on_nodes: As `nas submit --store-on-nodes`.
        hosts: Names that it is reached by, beside loopback's and `host`.
        secure: Whether people reach it by HTTPS (a proxy in front), so cookies are only sent so.
    """

    store: str
    artifacts: str
    host: str = "127.0.0.1"
    port: int = 8000
    authentication: bool = False
    data_sets: tuple[str, ...] = ("digits",)
    data_roots: tuple[Path, ...] = ()
    spaces: tuple[str, ...] | None = None
    evaluators: tuple[str, ...] = ("training",)
    address: str | None = None
    store_on_nodes: str | None = None
    hosts: tuple[str, ...] = ()
    secure: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not (self.authentication or is_loopback(self.host)):
            raise InvalidRequestError(
                f"A server on {self.host} can be reached by others and needs --auth; make a token "
                f"first: nas token create --scope admin."
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "")]
    [True, True, True, False, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
