"""Operations: probes, figures, a log without secrets, a polite end, several servers."""

from __future__ import annotations

import http.client
import io
import json
import logging
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from starlette.testclient import TestClient

from nas.server.app import create_app
from nas.server.auth import digest_of, make_token
from nas.server.guard import HEADERS
from nas.server.logs import JsonLines, TextLines
from nas.server.settings import Settings
from nas.store import JobState, Store
from tests.nas.server.conftest import wait_for
from tests.nas.store.conftest import (  # noqa: F401
    empty_postgres,
    postgres_server,
)

LOCAL = {"host": "localhost"}


@pytest.fixture
def app(settings: Settings) -> Any:
    return create_app(settings)


@pytest.fixture
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the server's log has, as documents."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("nas.server")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


def figures(text_: str) -> dict[tuple[str, ...], float]:
    """Prometheus's text as values by name and labels."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text_)
        for sample in family.samples
    }


def test_probes_need_neither_token_nor_name_and_figures_need_a_token(settings: Settings) -> None:
    locked = create_app(replace(settings, host="0.0.0.0", authentication=True))
    token = make_token()
    locked.state.store.create_token(digest_of(token), name="prometheus", scopes=("read",))
    with TestClient(locked, base_url="http://10.1.2.3:8000") as client:
        assert client.get("/healthz").text == client.get("/readyz").text == "ok\n"
        assert client.get("/metrics").status_code == 421  # by a name that it is not known by
        assert client.get("/metrics", headers=LOCAL).status_code == 401
        allowed = {**LOCAL, "authorization": f"Bearer {token}"}
        assert "nas_jobs" in client.get("/metrics", headers=allowed).text


def test_a_server_whose_store_was_brought_to_another_version_is_not_ready(
    app: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.server.operations.ASK_AGAIN_S", 0.0)
    assert client.get("/readyz").status_code == 200
    with app.state.store._write() as connection:
        connection.execute(text("UPDATE nas_store_version SET version_num = '9999'"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "not of this package's version" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200


def test_a_server_whose_database_is_gone_lives_and_is_not_ready(
    settings: Settings,
    empty_postgres: str,  # noqa: F811
    postgres_server: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psycopg

    monkeypatch.setattr("nas.server.operations.ASK_AGAIN_S", 0.0)
    app = create_app(replace(settings, store=empty_postgres))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/readyz").status_code == 200
        name = empty_postgres.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        answer = client.get("/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert name not in answer.text
        assert client.get("/healthz").status_code == 200
        assert figures(client.get("/metrics").text)["nas_store_up",] == 0.0


def test_requests_are_counted_by_route_and_strangers_fill_no_memory(
    app: Any, client: TestClient
) -> None:
    job = app.state.store.create_job("toy", {}, {})
    app.state.store.set_job_state(job.id, JobState.FAILED)
    for number in range(20):
        client.get(f"/nothing/{number}")
        client.request(f"METHOD{number}", "/v1/published")
    assert client.get("/v1/published").status_code == 200
    found = figures(client.get("/metrics").text)
    assert found["nas_http_requests_total", "GET", "none", "404"] == 20
    assert found["nas_http_requests_total", "GET", "/v1/published", "200"] == 1
    assert found["nas_http_request_seconds_count", "GET", "/v1/published"] == 1
    assert found["nas_http_requests_open",] == 1  # this very one
    assert (found["nas_jobs", "failed"], found["nas_jobs", "running"]) == (1, 0)
    assert found["nas_store_up",] == 1
    assert sum(name[0] == "nas_http_requests_total" for name in found) < 6


def test_every_answer_has_an_id_that_the_log_has_too(
    app: Any, client: TestClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("postgresql://me:hunter2@db/nas did not answer")

    answers = [
        client.get("/v1/published"),
        client.get("/v1/published", headers={"x-request-id": "from-a-proxy.1"}),
        client.get("/v1/published", headers={"x-request-id": "two\twords"}),
        client.get("/none"),
        client.get("/v1/published", headers={"host": "evil.example"}),
        client.post("/v1/published", headers={"origin": "http://evil.example"}),
        client.get("/broken"),
    ]
    assert [a.status_code for a in answers] == [200, 200, 200, 404, 421, 403, 500]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert ids[1] == "from-a-proxy.1"
    assert len(set(ids)) == len(ids)
    for answer in answers:
        assert HEADERS.keys() <= answer.headers.keys()
    noted = [line for line in lines() if line["logger"] == "nas.server.requests"]
    assert [line["request_id"] for line in noted if "status" in line] == ids
    assert [line["status"] for line in noted if "status" in line] == [
        answer.status_code for answer in answers
    ]
    failure = next(line for line in noted if "exception" in line)
    assert (failure["level"], failure["request_id"]) == ("error", ids[-1])
    assert "RuntimeError" in failure["exception"]
    assert "hunter2" not in json.dumps(lines())
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert "RuntimeError" not in answers[-1].text


def test_no_secret_reaches_the_log(
    settings: Settings, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    locked = create_app(replace(settings, authentication=True))
    good, wrong = make_token(), make_token()
    locked.state.store.create_token(digest_of(good), name="ada", scopes=("read",))
    with TestClient(locked, base_url="http://localhost") as client:
        for token in (good, wrong):
            client.get("/v1/published", headers={"authorization": f"Bearer {token}"})
            client.get(f"/v1/published?token={token}")
            client.get(f"/v1/{token}")
            client.get("/v1/published", headers={"cookie": f"nas_token={token}"})
    written = json.dumps(lines())
    assert len(lines()) == 8
    assert next(line["user"] for line in lines()) == "ada"
    for secret in (good, wrong, digest_of(good)):
        assert secret not in written
        assert secret.removeprefix("nas_") not in written


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()], ids=["json", "text"])
def test_what_a_stranger_sends_writes_no_lines_of_its_own(formatter: logging.Formatter) -> None:
    message = 'GET /a\n{"level": "error"}\x1b[2J'
    record = logging.LogRecord("nas", logging.INFO, "", 0, message, None, None)
    record.fields = {"path": "/b\r\nfake"}
    line = formatter.format(record)
    assert line.isprintable()
    assert "fake" in line


class Server:
    """`nas serve` in a process of its own."""

    def __init__(self, store: str, *options: str) -> None:
        command = [sys.executable, "-m", "nas", "serve", "--port", "0", "--store", store, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))  # nothing but documents may stand there

    @property
    def url(self) -> str:
        found = wait_for(lambda: [line["url"] for line in list(self.lines) if "url" in line])
        return str(found[0])

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._reader.join(10)
        return status


def test_two_servers_share_a_postgresql_and_end_when_they_have_answered(
    empty_postgres: str,  # noqa: F811
) -> None:
    import psycopg

    servers = [Server(empty_postgres) for _ in range(2)]
    try:
        with Store.open(empty_postgres) as store:
            store.create_job("toy", {}, {})
        for server in servers:
            assert figures(server.get("/metrics"))["nas_jobs", "waiting"] == 1
        first, second = servers
        with (
            ThreadPoolExecutor() as threads,
            psycopg.connect(empty_postgres) as connection,
        ):
            connection.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            answers = [threads.submit(server.get, "/metrics") for server in servers]
            wait_for(lambda: _waiting(connection) == 2)
            first.process.send_signal(signal.SIGTERM)
            wait_for(lambda: any("Waiting for" in line["message"] for line in first.lines))
            assert first.process.poll() is None
            connection.rollback()
            for answer in answers:
                assert figures(answer.result(60))["nas_jobs", "waiting"] == 1
        assert first.process.wait(60) == 0
        assert figures(second.get("/metrics"))["nas_store_up",] == 1
        assert second.end() == 0
    finally:
        for server in servers:
            server.process.kill()
            server.process.wait(20)


def test_a_server_that_ends_ends_its_streams(settings: Settings) -> None:
    with Store.open(settings.store) as store:
        store.create_job("waits", {}, {})
    server = Server(settings.store)
    try:
        with urllib.request.urlopen(f"{server.url}/v1/jobs/waits/events", timeout=60) as stream:
            assert stream.readline() == b"event: progress\r\n"
            began = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - began < 15, "it waited for who watches"
            with suppress(http.client.IncompleteRead):
                assert b"event: end" not in stream.read()  # the job goes on
    finally:
        server.process.kill()
        server.process.wait(20)


def _waiting(connection: Any) -> int:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass"
    return int(connection.execute(query).fetchone()[0])
