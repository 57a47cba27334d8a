"""What an operator limits: by which words, and that each limit holds."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from nas.cli.main import run
from nas.server.app import create_app
from nas.server.settings import Limits, Settings, limits_from
from nas.store import Store
from nas.store.schema import evaluations
from tests.nas.server.conftest import wait_for
from tests.nas.server.filled import fill
from tests.nas.server.pages.conftest import served
from tests.nas.store.conftest import (  # noqa: F401
    any_url,
    postgres_server,
    postgres_url,
    shared_postgres,
    sqlite_template,
    sqlite_url,
)

ROOT = Path(__file__).parents[3]


def test_each_limit_has_a_flag_and_docs_say_what_it_usually_is() -> None:
    section = (ROOT / "docs/service.md").read_text().partition("## Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|", section, re.M)
    usual = {
        name: value.strip().replace(" KiB", "Ki").replace(" MiB", "Mi") for name, value in rows
    }
    usual["failed-window"] = re.search(r"`failed-window` \((.*?)\)", section)[1]  # type: ignore[index]
    assert len(usual) == len(fields(Limits))
    assert limits_from(f"{name}={value}" for name, value in usual.items()) == Limits()


def test_limits_are_read_with_their_units() -> None:
    found = limits_from(["body=2Mi", "query=1m", "exports=0", "failed-tries=3"])
    expected = Limits(body_bytes=2**21, query_s=60.0, exports=0, failed_tries=3)
    assert found == expected
    assert isinstance(found.body_bytes, int)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("query", "must be NAME=VALUE"),
        ("speed=3", "one of body, document"),
        ("query=soon", "like 45s"),
        ("query=0", "a time from 0.1"),
        ("rows=0", "a whole number from 1"),
        ("exports=1.5", "a whole number from 0"),
        ("exports=-1", "from 0"),
        ("body=1e300", "a whole number from 1"),
    ],
)
def test_a_limit_that_can_t_be_is_refused_in_a_sentence(
    given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--limit", given]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def many(url: str, rows: int = 6_000) -> None:
    """Fill a store with copies of one evaluation whose metrics differ."""
    with Store.open(url) as store:
        fill(store)
        names = [c.name for c in evaluations.columns if c.name not in ("key", "metrics", "job")]
        with store._write() as connection:
            columns = ", ".join(names)
            number = "CAST(i AS TEXT)"
            connection.execute(
                text(
                    f"INSERT INTO evaluations (key, metrics, {columns}) "
                    f"WITH RECURSIVE n(i) AS "
                    f"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
                    f"SELECT 'many-' || {number}, {METRICS[connection.dialect.name]}, {columns} "
                    f"FROM evaluations, n WHERE key = 'demo-0'"
                )
            )


METRICS = {
    "sqlite": "json_object('odd', i, 'even', -i)",
    "postgresql": "json_build_object('odd', i, 'even', -i)",
}


def test_a_question_that_takes_too_long_is_broken_off(
    settings: Settings,
    any_url: str,  # noqa: F811
) -> None:
    many(any_url)
    question = {"x": "odd: minimize", "y": "even: minimize", "kind": ""}
    for query_s, status in ((0.001, 503), (60.0, 200)):
        limits = replace(settings.limits, query_s=query_s)
        app = create_app(replace(settings, store=any_url, limits=limits))
        with TestClient(app, base_url="http://localhost") as client:
            kinds = client.get("/v1/kinds")
            question["kind"] = app.state.store.groups()[0].id
            answer = client.get("/v1/front", params=question)
            assert answer.status_code == status, (kinds.text, answer.text)
            if status == 503:
                assert answer.headers["content-type"] == "application/problem+json"
                assert "longer than the 0.001 s that are allowed; narrow it" in answer.text
                # the connection is as good as before
                assert client.get("/v1/jobs").status_code == 200
            else:
                assert len(answer.json()) == 6_000
        app.state.store.close()


def test_more_streams_than_may_be_are_refused_until_one_ends(settings: Settings) -> None:
    few = replace(settings, limits=replace(settings.limits, streams=2))
    with Store.open(few.store) as store:
        store.create_job("waits", {}, {})
    with (
        served(few) as url,
        httpx2.Client(base_url=url, timeout=30) as client,
        ExitStack() as open_,
    ):
        path = "/v1/jobs/waits/events"
        streams = [open_.enter_context(client.stream("GET", path)) for _ in range(2)]
        texts = [stream.iter_text() for stream in streams]
        assert all("progress" in next(text_) for text_ in texts)
        refused = client.get(path)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert "2 connections are watching jobs, as many as may" in refused.json()["detail"]
        assert client.get("/v1/jobs/waits/progress").status_code == 200
        streams[0].close()

        def opens() -> bool:
            with client.stream("GET", path) as answer:
                return answer.status_code == 200

        wait_for(opens)
