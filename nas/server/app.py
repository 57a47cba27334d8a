"""The server: routers, and what stands in front of every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from nas import __version__
from nas.server import operations, pages
from nas.server.api import routers
from nas.server.api.events import Streams
from nas.server.auth import FailedTries
from nas.server.errors import add_handlers
from nas.server.exporting import Exporter
from nas.server.guard import Guard
from nas.server.openapi import add_openapi
from nas.server.settings import Settings
from nas.server.together import Together
from nas.store import Store
from nas.store.engine import CONNECTIONS


def create_app(settings: Settings) -> FastAPI:
    """The whole server over one store.

    `app.state` holds `settings`, `store`, `failed_tries`, `exporter`, `streams` and `together`,
    for every route to use.

    Raises:
        InvalidRequestError: If the store can't be opened.
    """
    app = FastAPI(
        title="nas-scale",
        version=__version__,
        docs_url=None,  # both take their scripts from a third party
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.store = Store.open(settings.store, create=True)
    limits = settings.limits
    app.state.failed_tries = FailedTries(limits.failed_tries, limits.failed_window_s)
    app.state.exporter = Exporter(app.state.store, settings)
    app.state.streams = Streams()
    app.state.together = Together()
    add_handlers(app)
    add_openapi(app)
    for router in routers():
        app.include_router(router, prefix="/v1")
    app.include_router(operations.router)
    app.include_router(pages.router)
    app.add_middleware(Guard, settings=settings)
    operations.install(app)  # outermost, so that what is refused is seen, too
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # more threads at work than this only take turns at Python's lock and open more connections
    current_default_thread_limiter().total_tokens = CONNECTIONS
    app.state.exporter.start()
    yield
    await run_in_threadpool(app.state.exporter.close)
