"""A server that hands posted jobs to a Ray cluster."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.client import Client
from nas.store import Store
from tests.nas.jobs.test_submit import TOKEN, head  # noqa: F401
from tests.nas.server.conftest import TABLE_JOB, table_text, wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def client(head: tuple[str, Path], tmp_path: Path) -> Iterator[Client]:  # noqa: F811
    """Of a server that runs its jobs on the head."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bench.csv").write_text(table_text())
    store = f"sqlite:///{tmp_path}/nas.db"
    command = [sys.executable, "-m", "nas", "serve", "--port", "0", "--store", store]
    command += ["--data-root", str(tmp_path / "data"), "--evaluator", "table"]
    command += ["--address", head[0]]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "NAS_ARTIFACTS": str(tmp_path / "files"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }
    said = tmp_path / "said.txt"
    with said.open("w") as errors:
        server = subprocess.Popen(command, env=environment, stderr=errors)
    url = wait_for(lambda: re.search(r"http://[\d.:]+", said.read_text()))[0]
    with Client(url) as opened:
        yield opened
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0


@pytest.mark.ray
def test_posted_jobs_run_stop_and_go_on_on_the_cluster(client: Client, tmp_path: Path) -> None:
    long = {**TABLE_JOB, "space": "table", "name": "long"}
    long["search"] = {**TABLE_JOB["search"], "trials": 100_000}
    job = client.submit(TABLE_JOB, request_key="mine")
    assert client.submit(TABLE_JOB, request_key="mine").id == job.id
    other = client.submit(long)
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        assert store.find_job(job.id).ray_id is not None
        assert "process" not in store.find_job(job.id).attributes
    seen = list(client.progress(job.id))
    assert (seen[-1].state, seen[-1].done) == ("completed", 6)
    assert "search 6/6" in "".join(client.logs(job.id))
    wait_for(lambda: client.status(other.id).job.trials.get("completed", 0) > 20, 150)
    client.stop(other.id)
    wait_for(lambda: client.status(other.id).job.state == "stopped", 90)
    had = client.status(other.id).job.trials["completed"]
    client.resume(other.id)
    wait_for(lambda: client.status(other.id).job.trials["completed"] > had, 150)
    client.stop(other.id)
    wait_for(lambda: client.status(other.id).job.state == "stopped", 90)
    assert len(list(client.jobs())) == 2
