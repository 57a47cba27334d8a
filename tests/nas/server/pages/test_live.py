"""What goes on moves on its page as the server tells of it, and asks for nothing unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nas.jobs.process import LOG, job_folder
from nas.search.records import architecture_row
from nas.server.settings import Settings
from nas.store import JobRow, NewTrial, Store, TrialEnd
from search_spaces.published import get_published
from tests.nas.server.conftest import wait_for
from tests.nas.server.filled import NETWORKS, OBJECTIVES, evaluation_of
from tests.nas.server.pages.conftest import served


class Running:
    """A job whose trials end when a test says so."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        spec = {"name": "goes-on", "search": {"trials": 3}}
        self.job: JobRow = store.create_job(
            "goes-on",
            spec,
            {"name": "small_images"},
            objectives=OBJECTIVES,
            reference=(0.1, 1e9),
            attributes={"artifacts": str(folder / "artifacts"), "data_hash": "d" * 32},
        )
        self.rows = [architecture_row(get_published(name)) for name in NETWORKS]
        trials = [NewTrial(number=n, choices={}, architecture=r) for n, r in enumerate(self.rows)]
        store.add_trials(self.job.id, trials)
        store.set_job_state(self.job.id, "running")
        store.take_job(self.job.id, "driver", 600.0)

    def finish(self, number: int) -> None:
        row = self.rows[number]
        accuracy = 0.5 + number / 10
        evaluation = evaluation_of(row, f"goes-on-{number}", job=self.job.id, val_accuracy=accuracy)
        values = (accuracy, float(row.macs))
        end = TrialEnd(number=number, state="completed", values=values, evaluation=evaluation)
        self.store.finish_trial(self.job.id, end)

    def print(self, text: str) -> None:
        folder = job_folder(self.job)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("a") as log:
            log.write(text)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[str, Running]]:
    settings = Settings(store=f"sqlite:///{tmp_path}/nas.db", artifacts=str(tmp_path / "files"))
    with Store.open(settings.store) as store:
        job = Running(store, tmp_path)
        with served(settings) as url:
            yield url, job


def open_requests(url: str) -> int:
    """How many requests the server is answering beside the one that asks."""
    text = httpx2.get(f"{url}/metrics", timeout=30).text
    found = re.search(r"^nas_http_requests_open ([\d.]+)", text, re.M)
    assert found is not None
    return int(float(found[1])) - 1


def watched(page: Any) -> list[str]:
    """Kinds of what the page asks for from now on, its looks at itself and its streams."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.resource_type))
    return asked


def test_a_job_moves_on_its_page_without_another_look_and_ends(
    page: Any, running: tuple[str, Running]
) -> None:
    url, job = running
    asked = watched(page)
    page.goto(f"{url}/jobs/{job.job.id}")
    page.evaluate("window.same = true")
    done = page.locator("#status span.num")
    done.get_by_text("0 of 3").wait_for()
    wait_for(lambda: open_requests(url) == 1)
    assert asked.count("eventsource") == 1
    for number, accuracy in enumerate(("50.0 %", "60.0 %", "70.0 %")):
        job.finish(number)
        done.get_by_text(f"{number + 1} of 3").wait_for()
        page.locator("#status dd").get_by_text(accuracy).wait_for()
    # the last of them dominates the others
    assert page.locator("#front tbody tr").count() == 1
    assert "1 of 3 models" in str(page.locator("#front").text_content())
    job.store.set_job_state(job.job.id, "completed")
    page.locator("#status .state.completed").wait_for()
    assert page.locator("#announced").text_content() == "goes-on is completed."
    assert page.evaluate("window.same")
    assert asked.count("eventsource") == 1
    wait_for(lambda: open_requests(url) == 0)
    looks = asked.count("fetch")
    page.wait_for_timeout(2_500)
    assert asked.count("fetch") == looks, "a page whose job has ended still looks"


def test_a_page_that_is_hidden_or_left_closes_its_stream(
    page: Any, running: tuple[str, Running]
) -> None:
    url, job = running
    page.goto(f"{url}/jobs/{job.job.id}")
    wait_for(lambda: open_requests(url) == 1)
    hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s});"
    seen = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true" + seen)
    wait_for(lambda: open_requests(url) == 0)
    job.finish(0)
    page.evaluate(hide % "false" + seen)
    page.locator("#status span.num").get_by_text("1 of 3").wait_for()
    wait_for(lambda: open_requests(url) == 1)
    page.goto(f"{url}/families")
    wait_for(lambda: open_requests(url) == 0)


def test_without_a_stream_the_page_looks_now_and_then(
    page: Any, running: tuple[str, Running]
) -> None:
    url, job = running
    page.route("**/events?*", lambda route: route.abort())
    asked = watched(page)
    page.goto(f"{url}/jobs/{job.job.id}")
    for number in range(2):
        job.finish(number)
        page.locator("#status span.num").get_by_text(f"{number + 1} of 3").wait_for()
    assert asked.count("eventsource") == 1, "what is refused is asked for again at once"


def test_a_log_grows_as_it_is_printed_and_no_line_twice(
    page: Any, running: tuple[str, Running]
) -> None:
    url, job = running
    job.print("first line, with <b> and ü\n")
    page.goto(f"{url}/jobs/{job.job.id}/log")
    log = page.locator("#log")
    wait_for(lambda: open_requests(url) == 1)
    job.print("second line\n")
    log.get_by_text("second line").wait_for()
    job.finish(0)  # the page is looked at again, and the log goes on where it was
    job.print("third line\n")
    log.get_by_text("third line").wait_for()
    job.print("the end\n")
    job.store.set_job_state(job.job.id, "completed")
    page.locator("#state .state.completed").wait_for()
    expected = "first line, with <b> and ü\nsecond line\nthird line\nthe end\n"
    assert log.text_content() == expected
    wait_for(lambda: open_requests(url) == 0)
