"""Listening: a socket, and uvicorn behind it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from nas.errors import NasError
from nas.kills import at_kill
from nas.server.app import create_app
from nas.server.settings import Settings

END_S = 10
"""What ending takes beside the slowest question, at most; systemd and the like must wait longer."""


def listen(settings: Settings, listening: Callable[[str], None]) -> None:
    """Serve until it is told to end (SIGTERM, SIGINT), and what it began to answer is answered.

    Args:
        listening: Told the URL once the socket is there.

    Raises:
        NasError: If the address can't be had.
    """
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,  # `nas.server.logs` has set it up
        access_log=False,
        server_header=False,
        # whoever waits for an answer gets it: no question may take longer than this
        timeout_graceful_shutdown=round(settings.limits.query_s) + END_S,
        timeout_keep_alive=10,
        limit_concurrency=1_000,
    )
    server = uvicorn.Server(config)
    with make_socket(settings.host, settings.port) as bound, _polite_end(server):
        listening(url_of(bound))
        server.run(sockets=[bound])


@contextmanager
def _polite_end(server: uvicorn.Server) -> Iterator[None]:
    """Who is told to end and does has not failed: uvicorn would end by the signal itself, which
    supervisors tell from an exit status of 0."""

    def end() -> None:
        server.should_exit = True

    with at_kill(end):
        yield


def make_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        NasError: If it is taken, or not this machine's.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = infos[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1_024)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NasError(f"Can't listen on {host} port {port}: {reason.lower()}.") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
