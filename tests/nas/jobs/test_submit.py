"""Jobs on a real Ray cluster with token authentication: submitted, watched, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from cluster.errors import ClusterError
from cluster.ray_jobs import RayJobs
from nas.jobs.spec import JobSpec
from nas.jobs.submit import Place, _store_argument, submit_job
from nas.store import JobRow, JobState, Store

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


class Head(NamedTuple):
    """A head's dashboard, the file that its jobs write, and its GCS."""

    dashboard: str
    log: Path
    gcs: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
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
            "NO_STORE": "postgresql://me:unreachable-store@127.0.0.1:1/nas",
        }
        port, dashboard = free_port(), free_port()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *("--num-cpus", "2", "--port", str(port), "--temp-dir", f"{folder}/ray"),
                *("--dashboard-port", str(dashboard)),
                *("--dashboard-agent-listen-port", str(free_port())),
            ],
            cwd=folder,  # drivers leave their pictures where the head runs
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(dashboard), 90)
            wait_for(lambda: takes_jobs(f"http://127.0.0.1:{dashboard}", environment), 90)
            yield Head(f"http://127.0.0.1:{dashboard}", log, f"127.0.0.1:{port}")
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
def address(head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORE", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    Path("job.yaml").write_text(JOB.replace("TRIALS", "6"))
    Path("long.yaml").write_text(JOB.replace("TRIALS", "600"))
    return head.dashboard


def nas(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, as Ray reads a token once in each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "nas", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def answer(*arguments: str) -> Any:
    done = nas(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stored(job: str) -> str:
    """What the row says, which a living driver keeps true."""
    with Store.open("sqlite:///nas.db") as store:
        return str(store.find_job(job).state)


def state(job: str) -> str:
    """What `nas status` says, which asks the cluster, too."""
    return str(answer("status", job)["job"]["state"])


@pytest.mark.ray
def test_a_job_runs_on_the_cluster_and_a_request_sent_twice_makes_one(
    address: str,
) -> None:
    flags = ("submit", "job.yaml", "--address", address, "--request-key", "mine")
    first = answer(*flags)
    assert answer(*flags)["id"] == first["id"]
    wait_for(lambda: stored(first["id"]) == "completed", 150)
    assert answer("status", first["id"])["states"] == {"completed": 6}
    assert len(answer("jobs")) == 1
    again = answer("submit", "job.yaml", "--address", address)  # on purpose: another job
    assert again["id"] != first["id"]
    wait_for(lambda: stored(again["id"]) == "completed", 150)
    assert answer("status", again["id"])["states"] == {"completed": 6}
    assert "search 6/6" in nas("logs", first["id"]).stdout


@pytest.mark.ray
def test_a_killed_driver_is_lost_and_resumed_without_computing_twice(
    address: str, head: Head
) -> None:
    log = head.log
    before = len(log.read_text().split())
    job = answer("submit", "long.yaml", "--address", address)["id"]
    wait_for(lambda: len(log.read_text().split()) > before + 20, 90)
    with Store.open("sqlite:///nas.db") as store:
        pid = store.find_job(job).driver_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state(job) == "lost", 90)
    assert nas("resume", job, "--address", address).returncode == 0
    wait_for(lambda: stored(job) == "running", 150)
    assert nas("stop", job).returncode == 0
    wait_for(lambda: stored(job) == "stopped", 90)
    keys = log.read_text().split()[before:]
    # the one under way at the kill may be asked for again; what had ended is not
    assert len(keys) - len(set(keys)) <= 1


@pytest.mark.ray
def test_a_driver_that_finds_something_wrong_says_it_in_the_job_s_message(
    address: str,
) -> None:
    Path("job.yaml").write_text(JOB.replace("TRIALS", "3").replace("toy:w", "toy:no_"))
    job = answer("submit", "job.yaml", "--address", address)["id"]
    wait_for(lambda: state(job) == "failed", 150)
    assert "toy" in answer("status", job)["job"]["message"]


@pytest.mark.ray
def test_what_a_node_lacks_is_said_in_the_job_s_message(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package, a store out of reach, a GPU that is not there; all at once, to be quick."""
    Path("gpu.yaml").write_text(
        JOB.replace("TRIALS", "3").replace(
            "executor: inline", "executor: ray, gpus_per_trial: 2, wait_for_resources_s: 5"
        )
    )
    gpu = answer("submit", "gpu.yaml", "--address", address)["id"]
    away = answer("submit", "job.yaml", "--address", address, "--store-on-nodes", "NO_STORE")["id"]
    store = Store.open("sqlite:///nas.db")
    cluster = "from nas.jobs.submit import submit_job, Place; from nas.jobs.spec import load_job; "
    cluster += "from pathlib import Path; from nas.store import Store; import importlib.metadata; "
    cluster += "importlib.metadata.version = lambda n, v=importlib.metadata.version: "
    cluster += "'9.9' if n == 'nas-scale' else v(n); "
    cluster += "print(submit_job(Store.open('sqlite:///nas.db'), 'sqlite:///nas.db', "
    cluster += f"load_job(Path('job.yaml')), 'artifacts', Place(address={address!r})).id)"
    submitted = asked(cluster, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert submitted.returncode == 0, submitted.stderr
    newer = submitted.stdout.strip().splitlines()[-1]
    wait_for(lambda: "waits up to 5 s for a node" in store.find_job(gpu).message, 60)
    assert stored(gpu) == "running"
    wait_for(lambda: stored(gpu) == "failed", 60)
    assert "2 GPU" in store.find_job(gpu).message
    assert "Waited 5 s" in store.find_job(gpu).message
    wait_for(lambda: state(newer) == "failed", 60)
    message = store.find_job(newer).message
    assert "submitted with nas-scale 9.9" in message
    assert "--code wheel" in message
    wait_for(lambda: state(away) == "failed", 60)
    assert "can't be opened" in store.find_job(away).message
    assert "unreachable-store" not in store.find_job(away).message  # its password
    store.close()


@pytest.mark.ray
@pytest.mark.parametrize(
    ("mode", "token"), [("disabled", ""), ("token", ""), ("token", TOKEN[::-1])]
)
def test_a_missing_or_wrong_token_is_named_within_seconds(
    address: str, head: Head, tmp_path: Path, mode: str, token: str
) -> None:
    """By those who submit, and by those who run a driver of their own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    environment |= {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": token}
    for ask in (
        f"RayJobs({address!r})",
        f"from cluster.ray_runtime import enter_ray; enter_ray({head.gcs!r}, '/tmp', 1)",
    ):
        start = time.monotonic()
        refused = asked(ask, environment)
        last = refused.stderr.splitlines()[-1]
        assert last.startswith("cluster.errors.WrongClusterError: The cluster at ")
        assert "RAY_AUTH_TOKEN" in last
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "ftp://head", "", "http://head/x"])
def test_a_wrong_address_is_named_within_seconds(address: str) -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match="http://HEAD:8265"):
        RayJobs(address)
    assert time.monotonic() - start < 10


@pytest.fixture(params=["hangs", "is a web server"])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of something that listens, and is no dashboard."""
    if request.param == "hangs":
        with socket.create_server(("127.0.0.1", 0)) as silent:
            yield f"http://127.0.0.1:{silent.getsockname()[1]}"
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_stranger_at_the_address_is_named_within_seconds(stranger: str) -> None:
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"No Ray dashboard answers .* http://HEAD:8265"):
        RayJobs(stranger)
    assert time.monotonic() - start < 10


class Refusing:
    """A cluster that refuses the first job."""

    def __init__(self, address: str) -> None:
        self.address = address

    known: ClassVar[list[str]] = []
    refuses: ClassVar[bool] = True

    def find(self, id: str) -> str | None:
        return id if id in self.known else None

    def submit(self, entrypoint: str, *, id: str, **more: Any) -> str:
        if self.refuses:
            raise ClusterError("no agent is there yet")
        self.known.append(id)
        return id


def test_a_request_that_the_cluster_refused_may_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.jobs.submit.RayJobs", Refusing)
    spec = JobSpec.model_validate({"name": "mine"})
    place = Place(address="http://head:8265")
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:

        def send() -> JobRow:
            return submit_job(store, store.url, spec, str(tmp_path), place, "key")

        with pytest.raises(ClusterError, match="no agent"):
            send()
        monkeypatch.setattr(Refusing, "refuses", False)
        assert send().state == JobState.WAITING
        assert send().id == store.list_jobs()[0].id
        assert len(store.list_jobs()) == len(Refusing.known) == 1


def test_a_password_never_travels() -> None:
    with pytest.raises(Exception, match="--store-on-nodes") as refused:
        _store_argument("postgresql://me:secret@db/nas", None)
    assert "secret" not in str(refused.value)
    assert _store_argument("postgresql://me:secret@db/nas", "NAS_STORE") == 'NAS_STORE="$NAS_STORE"'
    assert "cat /etc/nas" in _store_argument("postgresql://me@db/nas", "file:/etc/nas")
    for text in ("$(rm)", "file:/x;rm", "file:relative", "A B"):
        with pytest.raises(Exception, match="variable's name or file:/path"):
            _store_argument("postgresql://me@db/nas", text)
