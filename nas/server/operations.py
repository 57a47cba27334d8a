"""Operations: whether the server lives, whether it can answer, and what it counts.

`/healthz` asks nothing but the server itself, so that a store that is away has nobody restart it;
`/readyz` asks the store. Neither needs a token or a name of the host: they tell nothing, and those
who ask know addresses only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response

from nas import __version__
from nas.errors import InvalidRequestError, NasError
from nas.server.auth import Principal, needs
from nas.server.errors import problem_response
from nas.server.watch import Meters, Watch
from nas.store import Store
from nas.store.exports import STATES

ASK_AGAIN_S = 1.0
router = APIRouter(include_in_schema=False)
_log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """What operations need beside their routes; of all middleware, this comes last."""
    meters = Meters()
    meters.registry.register(_OfStore(app.state.store))
    app.state.meters = meters
    app.state.readiness = Readiness(app.state.store)
    app.add_middleware(Watch, meters=meters)


@dataclass(slots=True)
class Readiness:
    """Whether the store answers; asked at most once a second, since anybody may ask."""

    store: Store
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asked_at: float = float("-inf")
    _problem: str | None = None

    def problem(self) -> str | None:
        """Why requests can't be answered now, without a place or a name; None if they can."""
        with self._lock:
            if time.monotonic() - self._asked_at > ASK_AGAIN_S:
                before, self._problem = self._problem, self._ask()
                self._asked_at = time.monotonic()
                if self._problem != before:
                    level = logging.INFO if self._problem is None else logging.WARNING
                    _log.log(level, "%s", self._problem or "The store answers again.")
            return self._problem

    def _ask(self) -> str | None:
        try:
            self.store.check_version()
        except InvalidRequestError:
            return "The store's tables are not of this package's version; see nas db upgrade."
        except NasError:
            return "The store does not answer."
        return None


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """The server lives."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def readyz(request: Request) -> Response:
    """The server can answer: its store is there, and of the right version."""
    readiness: Readiness = request.app.state.readiness
    problem = readiness.problem()
    if problem is None:
        return PlainTextResponse("ok\n")
    return problem_response(503, problem, headers={"retry-after": "5"})


@router.get("/metrics")
def metrics(request: Request, reader: Annotated[Principal, Depends(needs("read"))]) -> Response:
    """What was counted, for Prometheus."""
    meters: Meters = request.app.state.meters
    return Response(generate_latest(meters.registry), headers={"content-type": CONTENT_TYPE_LATEST})


class _OfStore(Collector):
    """What the store holds, asked when Prometheus asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the store when this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        info = InfoMetricFamily("nas_build", "The package that answers.")
        info.add_metric((), {"version": __version__})
        yield info
        jobs = GaugeMetricFamily("nas_jobs", "Jobs of the store.", labels=("state",))
        exports = GaugeMetricFamily(
            "nas_exports", "Exports that were asked for.", labels=("state",)
        )
        up = GaugeMetricFamily("nas_store_up", "Whether the store answers.")
        try:
            for state, count in self._store.count_jobs().items():
                jobs.add_metric((state,), count)
            for state in STATES:
                exports.add_metric((state,), self._store.count_exports((state,)))
        except NasError:
            up.add_metric((), 0.0)
            yield up
            return
        up.add_metric((), 1.0)
        yield from (up, jobs, exports)
