"""A server over a store with a little of everything, and a browser to look at it with."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from nas.server.app import create_app
from nas.server.listen import make_socket, url_of
from nas.server.settings import Settings
from nas.store import Store
from tests.nas.server.pages.library import fill

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """A server in a thread of this process; its URL."""
    config = uvicorn.Config(create_app(settings), log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with make_socket("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server ended at its start"
            time.sleep(0.02)
        yield url_of(bound)
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server over a filled store; nothing changes it."""
    folder = tmp_path_factory.mktemp("site")
    settings = Settings(store=f"sqlite:///{folder}/nas.db", artifacts=str(folder / "artifacts"))
    with Store.open(settings.store) as store:
        fill(store)
    with served(settings) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The real Chromium, without a window."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("There is no Chromium: apt-get install chromium, or set CHROMIUM to its path.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    """Leave a picture of each open page of a test that fails, in its temporary folder."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    page = item.funcargs.get("page") if report.when == "call" and report.failed else None
    folder: Path | None = item.funcargs.get("tmp_path")
    if page is not None and folder is not None:
        picture = folder / "failed.png"
        page.screenshot(path=picture, full_page=True)
        report.sections.append(("Screenshot", f"{picture} of {page.url}"))


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """An empty page of the browser."""
    context = browser.new_context(viewport={"width": 1200, "height": 850})
    context.set_default_timeout(120_000)  # a busy machine is not a fault of the page
    yield context.new_page()
    context.close()
