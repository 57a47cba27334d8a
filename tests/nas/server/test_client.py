"""The client against a real server, in a process as `nas serve` runs it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nas.client import Client, RefusedError, ServerError
from nas.cost import count
from nas.data.artifacts import put_bytes
from nas.documents import Export
from nas.server.auth import digest_of, make_token
from nas.store import ArtifactRow, Store
from search_spaces.published import get_published
from tests.nas.server.conftest import TABLE_JOB, table_text, wait_for
from tests.nas.server.filled import fill

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that asks for tokens; its URL and its folder."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "data").mkdir()
    (folder / "data" / "bench.csv").write_text(table_text())
    store = f"sqlite:///{folder}/nas.db"
    with Store.open(store) as opened:
        fill(opened)
        fill(opened, "other", accuracy=0.6)
    command = [sys.executable, "-m", "nas", "serve", "--port", "0", "--auth", "--store", store]
    command += ["--data-root", str(folder / "data"), "--evaluator", "table"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NAS_ARTIFACTS": str(folder / "files")}
    said = folder / "said.txt"
    with said.open("w") as errors:
        server = subprocess.Popen(command, env=environment, stderr=errors)
    yield wait_for(lambda: re.search(r"http://[\d.:]+", said.read_text()))[0], folder
    server.send_signal(signal.SIGTERM)
    server.wait(30)


@pytest.fixture
def client(served: tuple[str, Path]) -> Iterator[Client]:
    with Client(served[0], token_for(served[1], "submit")) as found:
        yield found


def token_for(folder: Path, scope: str) -> str:
    token = make_token()
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        store.create_token(digest_of(token), name="ann", scopes=(scope,))
    return token


def test_a_job_is_submitted_watched_and_asked_about(client: Client, tmp_path: Path) -> None:
    assert "bench.csv" in client.allowed().data
    assert "400 rows" in str(client.check(TABLE_JOB).data)
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps(TABLE_JOB))
    job = client.submit(file, request_key="mine")
    assert client.submit(TABLE_JOB, request_key="mine").id == job.id
    assert job.owner == "ann"
    seen = list(client.progress(job.id))
    assert (seen[-1].state, seen[-1].done, seen[-1].total) == ("completed", 6, 6)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert "".join(client.logs(job.id)) == "".join(client.logs(job.id, follow=True))
    assert "search 6/6" in "".join(client.logs(job.id))
    status = client.status(job.id)
    assert status.job.trials == {"completed": 6}
    assert [row.evaluation for row in client.pareto(job.id)] == [
        row.evaluation for row in status.front
    ]
    assert [trial.number for trial in client.trials(job.id)] == list(range(6))
    best = next(client.models(job.id, sort="mean_acc"))
    assert best.metrics["mean_acc"] == max(r.metrics["mean_acc"] for r in client.models(job.id))
    with pytest.raises(RefusedError) as refused:
        client.resume(job.id)
    assert refused.value.status == 409
    assert next(client.jobs(owner="ann")).id == job.id


def test_models_are_asked_for_as_on_the_command_line(client: Client) -> None:
    front = client.pareto("demo")
    assert [row.macs for row in front] == sorted(count(get_published(n)).macs for n in FRONT)
    assert all(row.macs <= 350e6 for row in client.models(where=["macs <= 350M"]) if row.macs)
    best = client.best(where=["macs <= 350M"])
    assert best is not None
    assert best.val_accuracy == pytest.approx(0.62)
    assert [row.val_accuracy for row in client.models(dataset="dddd")] == sorted(
        [0.5, 0.51, 0.52, 0.6, 0.61, 0.62], reverse=True
    )
    worse = next(row for row in client.models("demo") if row.trial == 0)
    assert {row.job for row in client.dominating(worse.evaluation)} == {
        job.id for job in client.jobs() if job.name in ("demo", "other")
    }
    assert all(r.macs < worse.macs for r in client.nearest(worse.evaluation) if r.macs)
    assert client.model(worse.evaluation).curve == ({"epoch": 1.0},)
    added = client.compare("other", to="demo")
    assert len(added.rows) == len(added.displaced) == len(front)
    volumes = [point.hypervolume for point in client.hypervolume("demo")]
    assert volumes == sorted(volumes)
    kind = next(kind for kind in client.kinds() if kind.dataset == "d" * 32)
    assert kind.count == 6
    assert len(client.pareto(kind=kind.id)) == len(front)


FRONT = ("mobilenet_v2",)


def test_networks_families_spaces_and_costs(client: Client) -> None:
    network = get_published("mobilenet_v2")
    assert client.show("mobilenet_v2").fingerprint == network.fingerprint
    assert client.show("demo/2").document == network.to_dict()
    assert client.cost(network).total.macs == client.cost("mobilenet_v2").total.macs == 300_774_272
    assert client.cost(network, resolution=112).total.macs == 82_183_808
    assert len(client.card(network.fingerprint).evaluations) == 2
    families = list(client.families("demo"))
    assert client.family(families[0].id) == families[0]
    assert {space.name for space in client.spaces()} >= {"small_images"}
    assert client.space("small_images")["name"] == "small_images"
    assert any(n.printed_parameters == "5.3M" for n in client.published())


def test_what_is_refused_says_where_and_needs_the_right_token(
    client: Client, served: tuple[str, Path]
) -> None:
    with pytest.raises(RefusedError) as refused:
        client.submit({"evaluator": "os:system"})
    assert (refused.value.status, refused.value.field) == (422, "evaluator")
    with Client(served[0], token_for(served[1], "read")) as reader:
        assert reader.me().scope == "read"
        with pytest.raises(RefusedError, match="scope submit"):
            reader.submit(TABLE_JOB)
    with Client(served[0]) as nobody, pytest.raises(RefusedError, match="needs a token"):
        nobody.me()
    with Client("http://127.0.0.1:1") as away, pytest.raises(ServerError, match="not answer"):
        away.me()
    with pytest.raises(RefusedError, match="There is no job"):
        list(client.progress("nope"))


def test_an_export_that_fails_says_why_and_one_that_arrives_is_checked(
    client: Client, served: tuple[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ServerError, match="failed") as failed:
        client.export("demo/0", directory=tmp_path, job="demo")
    assert "Traceback" not in str(failed.value)
    files = served[1] / "files"
    stored = put_bytes(str(files), "exports", ".onnx", b"model")
    export = client.ask_export("demo/0", job="demo")
    with Store.open(f"sqlite:///{served[1]}/nas.db") as store:
        store.update_job(store.find_job("demo").id, attributes={"artifacts": str(files)})
        row = ArtifactRow(sha256=stored.sha256, kind="onnx", name=stored.name, bytes=5)
        store.end_export(export.id, artifact=store.add_artifact(row).id)
    path = client.export("demo/0", directory=tmp_path / "models", job="demo")
    assert path.read_bytes() == b"model"
    assert path.suffix == ".onnx"
    (files / stored.name).write_bytes(b"mod3l")
    with pytest.raises(ServerError, match="damaged"):
        client.export("demo/0", directory=tmp_path, job="demo")
    assert list(tmp_path.glob("*.onnx")) == []


def test_a_request_that_breaks_off_is_sent_again_only_where_that_does_no_harm() -> None:
    asked: list[httpx2.Request] = []

    def breaks(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        raise httpx2.ReadError("the connection broke")

    with Client("http://nas.example", transport=httpx2.MockTransport(breaks)) as client:
        for call, times in ((client.me, 3), (lambda: client.submit({}), 3), (stop(client), 1)):
            asked.clear()
            with pytest.raises(ServerError, match=r"nas\.example"):
                call()
            assert len(asked) == times
            assert len({request.headers.get("idempotency-key") for request in asked}) == 1


def stop(client: Client) -> Any:
    return lambda: client.stop("demo")


def test_a_name_from_the_server_leads_to_no_other_folder(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, content=b"x"))
    export = Export(
        **dict.fromkeys(("job", "architecture", "format", "message"), ""),
        id="e",
        train=False,
        state="completed",
        sha256=sha256,
        bytes=1,
        filename="../../evil",
        created_at=None,  # type: ignore[arg-type]
        ended_at=None,
    )
    with Client("http://nas.example", transport=answer) as client:
        assert client.download(export, tmp_path / "in") == tmp_path / "in" / "evil"
