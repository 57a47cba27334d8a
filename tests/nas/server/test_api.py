"""The routes by themselves: pages, unchanged answers, wrong requests, and who may do what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nas.cost import count
from nas.server.app import create_app
from nas.server.auth import digest_of, make_token
from nas.server.errors import PROBLEM
from nas.server.settings import Settings
from nas.store import ArtifactRow, ExportRow, Store
from search_spaces.published import get_published
from tests.nas.server.conftest import TABLE_JOB
from tests.nas.server.filled import fill


@pytest.fixture
def asked(settings: Settings, store: Store) -> Iterator[TestClient]:
    app = create_app(replace(settings, hosts=("testserver",)))
    yield TestClient(app)
    app.state.store.close()


@pytest.fixture
def guarded(settings: Settings, store: Store) -> Iterator[TestClient]:
    app = create_app(replace(settings, hosts=("testserver",), authentication=True))
    yield TestClient(app)
    app.state.store.close()


def bearer(store: Store, scope: str, **more: Any) -> dict[str, str]:
    token = make_token()
    store.create_token(digest_of(token), name=scope, scopes=(scope,), **more)
    return {"authorization": f"Bearer {token}"}


def test_pages_of_jobs_trials_and_families_hold_each_row_once(
    asked: TestClient, store: Store
) -> None:
    ids = [fill(store, f"job{n}") for n in range(5)]
    for path, wanted in (
        ("/v1/jobs", ids[::-1]),
        (f"/v1/jobs/{ids[0]}/trials", [0, 1, 2]),
        ("/v1/families", [row.id for row in store.families()][::-1]),
    ):
        found: list[Any] = []
        after = None
        for _ in range(len(wanted) + 1):
            page = asked.get(
                path, params={"limit": 2} | ({"after": after} if after is not None else {})
            )
            found += [row.get("id", row.get("number")) for row in page.json()["rows"]]
            after = page.json()["after"]
            if after is None:
                break
        assert found == wanted
    latest = asked.get("/v1/jobs", params={"limit": 1}).json()["after"]
    fill(store, "new")  # a page stays where it is while others are written
    rest = asked.get("/v1/jobs", params={"after": latest}).json()["rows"]
    assert [row["id"] for row in rest] == ids[-2::-1]


def test_what_does_not_change_is_sent_once(asked: TestClient) -> None:
    for path in ("/v1/published", "/v1/spaces/fbnet", "/v1/architectures/mobilenet_v2"):
        first = asked.get(path)
        again = asked.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        other = asked.get(path, headers={"if-none-match": '"other"'})
        assert other.status_code == 200


def test_costs_of_a_posted_network_are_exact(asked: TestClient) -> None:
    network = get_published("mobilenet_v2")
    answer = asked.post("/v1/costs", json=network.to_dict()).json()
    assert answer["total"]["macs"] == 300_774_272
    assert sum(part["macs"] for part in answer["stages"].values()) == 300_774_272
    smaller = asked.post("/v1/costs", params={"resolution": 160}, json=network.to_dict()).json()
    assert smaller["total"]["macs"] == count(replace(network, resolution=160)).macs


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b'{"search": {"trials": 0}}', "application/json", 422, "search.trials"),
        (b"name: x\nspace: nope\n", "application/yaml", 422, "space"),
        (b"{", "application/json", 422, "line 1"),
        (b'{"a": NaN}', "application/json", 422, "no such value"),
        (b'{"name": "\\ud800"}', "application/json", 422, "no such value"),
        (b'{"name": "\\u0000"}', "application/json", 422, "NUL"),
        (b'space: "\\0"\n', "application/yaml", 422, "NUL"),
        (b"[" * 60_000, "application/json", 422, "nested"),
        (b"\xff", "application/json", 422, "UTF-8"),
        (b"[]", "application/json", 422, "object"),
        (b"x" * 70_000, "application/yaml", 413, "65,536"),
        (b"x" * 1_100_000, "application/yaml", 413, "1,048,576"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "yaml"),
    ],
)
def test_a_wrong_body_is_a_problem_that_says_where(
    asked: TestClient, body: bytes, kind: str, status: int, said: str
) -> None:
    answer = asked.post("/v1/jobs/validate", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert said in answer.text
    assert answer.json()["status"] == status


def test_a_problem_names_field_and_line(asked: TestClient) -> None:
    text = "name: a\nsearch:\n  trials: many\n"
    answer = asked.post(
        "/v1/jobs", content=text, headers={"content-type": "application/yaml"}
    ).json()
    assert (answer["field"], answer["line"]) == ("search.trials", 3)
    assert asked.get("/v1/jobs", params={"limit": 0}).json()["field"] == "limit"


def test_nothing_tells_where_the_store_or_the_data_lies(
    asked: TestClient, store: Store, tmp_path: Path
) -> None:
    fill(store)
    answers = [
        asked.get("/v1/jobs/none"),
        asked.get("/v1/architectures/0123456789"),
        asked.get("/v1/allowed"),
        asked.post("/v1/jobs", json={"data": "/etc/passwd"}),
        asked.post("/v1/jobs", json={**TABLE_JOB, "evaluator": "table:none.csv"}),
        asked.get("/v1/architectures/none.json"),
        asked.get("/v1/jobs/demo"),
    ]
    for answer in answers:
        assert str(tmp_path) not in answer.text, answer.text


def test_each_route_needs_its_scope(guarded: TestClient, store: Store) -> None:
    fill(store)
    read, submit = bearer(store, "read"), bearer(store, "submit")
    paths = json.loads(guarded.get("/v1/openapi.json", headers=read).content)["paths"]
    for path, item in paths.items():
        for method in item:
            url = path.replace("{job}", "demo").replace("{name}", "x").replace("{family}", "x")
            url = url.replace("{export}", "x").replace("{evaluation}", "x")
            changes = method == "post" and path not in ("/v1/costs",)
            assert guarded.request(method, url).status_code == 401, path
            status = guarded.request(method, url, headers=read, params={"logs": "no"}).status_code
            assert (status == 403) == changes, (path, status)
            if changes:
                assert guarded.request(method, url, headers=submit).status_code != 403


def test_tokens_expire_are_revoked_and_guessing_is_slowed_down(
    guarded: TestClient, store: Store
) -> None:
    good = bearer(store, "read")
    assert guarded.get("/v1/me", headers=good).json() == {"name": "read", "scope": "read"}
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert guarded.get("/v1/me", headers=bearer(store, "read", expires_at=past)).status_code == 401
    revoked = bearer(store, "read")
    store.revoke_token(store.list_tokens()[0].id)
    assert guarded.get("/v1/me", headers=revoked).status_code == 401
    tries = [guarded.get("/v1/me", headers={"authorization": f"Bearer nas_{n}"}) for n in range(12)]
    assert [answer.status_code for answer in tries] == [401] * 10 + [429] * 2
    assert int(tries[-1].headers["retry-after"]) > 0
    assert digest_of(good["authorization"][7:]) not in "".join(answer.text for answer in tries)


def test_headers_forbid_what_a_page_elsewhere_could_do(asked: TestClient) -> None:
    answer = asked.get("/v1/me")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    foreign = {"origin": "https://evil.example", "content-type": "application/json"}
    assert asked.post("/v1/jobs", content=b"{}", headers=foreign).status_code == 403
    assert asked.get("/v1/me", headers={"host": "evil.example"}).status_code == 421
    assert asked.get("/v1/jobs/a%00b").status_code == 400
    assert asked.options("/v1/jobs").status_code == 405


def test_a_file_is_served_with_its_checksum_and_only_from_the_artifacts(
    asked: TestClient, store: Store, settings: Settings
) -> None:
    network = get_published("mobilenet_v1")
    place = Path(settings.artifacts)
    (place / "exports").mkdir(parents=True)
    (place / "exports" / "a.onnx").write_bytes(b"model")
    job = fill(store)
    store.update_job(job, attributes={"artifacts": str(place)})
    for number, name in enumerate(("exports/a.onnx", "../secret.csv", "exports/gone.onnx")):
        sha256 = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
        row = ArtifactRow(sha256=sha256, kind="onnx", name=name, bytes=5)
        export = ExportRow(
            id=f"e{number}",
            job=job,
            architecture=network.fingerprint,
            format="onnx",
            trains=False,
            owner="",
        )
        store.ask_export(export)
        if number == 0:
            assert asked.get("/v1/exports/e0/file").status_code == 409
        store.end_export(f"e{number}", artifact=store.add_artifact(row).id)
    answer = asked.get("/v1/exports/e0/file")
    assert answer.content == b"model"
    assert answer.headers["repr-digest"].startswith("sha-256=:k3LEcO6t1ezZw8dMKzy2M/ji8vrXmSUKD3")
    tag = {"if-none-match": answer.headers["etag"]}
    assert asked.get("/v1/exports/e0/file", headers=tag).status_code == 304
    part = asked.get("/v1/exports/e0/file", headers={"range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"od")
    assert asked.get("/v1/exports/e1/file").status_code == 404
    assert asked.get("/v1/exports/e2/file").status_code == 404
    assert asked.get("/v1/exports/e0").json()["bytes"] == 5
    listed = asked.get("/v1/exports").json()
    assert [(e["id"], e["bytes"]) for e in listed] == [("e0", 5), ("e1", 5), ("e2", 5)]


def test_exports_that_wait_are_limited_and_the_same_is_asked_for_once(
    settings: Settings, store: Store
) -> None:
    limits = replace(settings.limits, waiting_exports=1)
    app = create_app(replace(settings, hosts=("testserver",), limits=limits))
    client = TestClient(app)
    fill(store)
    first = client.post("/v1/exports", json={"model": "demo/0"})
    assert first.status_code == 202
    assert client.post("/v1/exports", json={"model": "demo/0"}).json() == first.json()
    assert client.post("/v1/exports", json={"model": "demo/1"}).status_code == 429
    assert client.post("/v1/exports", json={"model": "nope"}).json()["field"] == "model"
    assert client.post("/v1/exports", json={"model": "/etc/x.json"}).status_code == 404
    app.state.store.close()


def test_a_lease_of_an_export_ends_with_its_worker(store: Store) -> None:
    job = fill(store)
    network = get_published("mobilenet_v1").fingerprint
    row = ExportRow(id="e", job=job, architecture=network, format="onnx", trains=False, owner="")
    store.ask_export(row)
    assert store.take_export("e", "one", 60)
    assert not store.take_export("e", "two", 60)
    assert store.renew_export("e", "one", 60)
    assert not store.renew_export("e", "two", 60)
    store.release_export("e", "two")
    assert not store.take_export("e", "two", 60)
    store.release_export("e", "one")
    assert store.take_export("e", "two", -1)
    assert store.take_export("e", "three", 60)  # the lease of two has run out
