"""Jobs on a real Ray cluster with token authentication: submitted, watched, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ClusterError
from cluster.ray_jobs import RayJobs
from nas.cli.main import run
from nas.store import Store

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-of-more-than-thirty-two-letters"
JOB = """
name: toy
evaluator: tests.nas.jobs.toy:witnessed
resolution: 16
search: {trials: TRIALS, sampler: random}
scaling: null
execution: {executor: inline}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[str, Path]]:
    """A head as `ray start` makes it; its nodes know the package, the log's file and the token."""
    with tempfile.TemporaryDirectory(prefix="nas-", dir="/tmp") as folder:
        log = Path(folder) / "witness.log"
        log.touch()
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
            "TOY_LOG": str(log),
            "TOY_SECONDS": "0.05",
        }
        port, dashboard = free_port(), free_port()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *("--num-cpus", "2", "--port", str(port), "--temp-dir", f"{folder}/ray"),
                *("--dashboard-port", str(dashboard)),
                *("--dashboard-agent-listen-port", str(free_port())),
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(dashboard), 90)
            wait_for(lambda: takes_jobs(f"http://127.0.0.1:{dashboard}", environment), 90)
            yield f"http://127.0.0.1:{dashboard}", log
        finally:
            process.terminate()
            process.wait(30)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def asked(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own: Ray reads a token once in each."""
    command = [sys.executable, "-c", f"from cluster.ray_jobs import RayJobs; {code}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def takes_jobs(address: str, environment: dict[str, str]) -> bool:
    """Whether a job can be submitted; the dashboard is there some seconds before its agents."""
    submitted = f"RayJobs({address!r}).submit('true', id='ready-{time.monotonic_ns()}')"
    return asked(submitted, environment).returncode == 0


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return found


@pytest.fixture
def address(head: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORE", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    Path("job.yaml").write_text(JOB.replace("TRIALS", "6"))
    Path("long.yaml").write_text(JOB.replace("TRIALS", "300"))
    return head[0]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    status = run([*arguments, "--json"])
    out, errors = capsys.readouterr()
    assert status == 0, errors
    return json.loads(out)


def state(capsys: pytest.CaptureFixture[str], job: str) -> str:
    return str(answer(capsys, "status", job)["job"]["state"])


@pytest.mark.ray
def test_a_job_runs_on_the_cluster_and_a_request_sent_twice_makes_one(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("submit", "job.yaml", "--address", address, "--request-key", "mine")
    first = answer(capsys, *flags)
    assert answer(capsys, *flags)["id"] == first["id"]
    wait_for(lambda: state(capsys, first["id"]) == "completed", 90)
    assert answer(capsys, "status", first["id"])["states"] == {"completed": 6}
    assert len(answer(capsys, "jobs")) == 1
    assert run(["logs", first["id"]]) == 0
    assert "search 6/6" in capsys.readouterr().out


@pytest.mark.ray
def test_a_killed_driver_is_lost_and_resumed_without_computing_twice(
    address: str, head: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    log = head[1]
    before = len(log.read_text().split())
    job = answer(capsys, "submit", "long.yaml", "--address", address)["id"]
    wait_for(lambda: len(log.read_text().split()) > before + 20, 90)
    with Store.open("sqlite:///nas.db") as store:
        pid = store.find_job(job).driver_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state(capsys, job) == "lost", 30)
    assert run(["resume", job, "--address", address]) == 0
    wait_for(lambda: state(capsys, job) == "running", 60)
    assert run(["stop", job]) == 0
    wait_for(lambda: state(capsys, job) == "stopped", 30)
    keys = log.read_text().split()[before:]
    # the one under way at the kill may be asked for again; what had ended is not
    assert len(keys) - len(set(keys)) <= 1


@pytest.mark.ray
def test_a_driver_that_finds_something_wrong_says_it_in_the_job_s_message(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("job.yaml").write_text(JOB.replace("TRIALS", "3").replace("toy:w", "toy:no_"))
    job = answer(capsys, "submit", "job.yaml", "--address", address)["id"]
    wait_for(lambda: state(capsys, job) == "failed", 60)
    assert "toy" in answer(capsys, "status", job)["job"]["message"]


@pytest.mark.ray
@pytest.mark.parametrize("token", ["", "another-token-of-more-than-32-letters"])
def test_a_missing_or_wrong_token_is_named_within_seconds(address: str, token: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_TOKEN": token}
    environment |= {} if token else {"RAY_AUTH_MODE": "disabled"}
    start = time.monotonic()
    refused = asked(f"RayJobs({address!r})", environment)
    assert "RAY_AUTH_TOKEN" in refused.stderr.splitlines()[-1]
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "ftp://head", "", "http://head/x"])
def test_a_wrong_address_is_named_within_seconds(address: str) -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match="http://HEAD:8265"):
        RayJobs(address)
    assert time.monotonic() - start < 10


def test_a_password_never_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas.jobs.submit import _store_argument

    with pytest.raises(Exception, match="--store-on-nodes") as refused:
        _store_argument("postgresql://me:secret@db/nas", None)
    assert "secret" not in str(refused.value)
    assert _store_argument("postgresql://me:secret@db/nas", "NAS_STORE") == 'NAS_STORE="$NAS_STORE"'
    assert "cat /etc/nas" in _store_argument("postgresql://me@db/nas", "file:/etc/nas")
    for text in ("$(rm)", "file:/x;rm", "file:relative", "A B"):
        with pytest.raises(Exception, match="variable's name or file:/path"):
            _store_argument("postgresql://me@db/nas", text)
