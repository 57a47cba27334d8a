"""The executor on a real Ray, and what becomes of its processes when things die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.desk import Desk
from cluster.errors import ClusterError
from cluster.executor import Executor, OnReport, Report, Verdict
from cluster.ray_runtime import count_slots
from cluster.ray_tune import RayTuneExecutor
from tests.contracts import ExecutorContract, collect_all, play

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).parents[2]


def play_with_death(payload: tuple[Any, ...]) -> Generator[Report, None, Any]:
    """`play`, and payloads that kill their worker, by `kill -9`."""
    action, *arguments = payload
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "die once":
        was_here = Path(arguments[0])
        yield Report(1, {})
        if not was_here.exists():
            was_here.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "lived"
    if action == "describe yourself":
        import torch

        return os.getpid(), torch.get_num_threads(), os.getcwd()
    return (yield from play(payload))


@pytest.mark.usefixtures("ray_here")
class TestRayTuneExecutor(ExecutorContract):
    @staticmethod
    def make(on_report: OnReport) -> RayTuneExecutor:
        return RayTuneExecutor(play_with_death, on_report, slots=2)

    def test_a_killed_worker_is_replaced_and_the_attempts_counted(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        executor.submit("cat", ("die once", str(tmp_path / "was here")))
        result = collect_all(executor, 1)["cat"]
        assert result.error is None
        assert result.value == "lived"
        assert result.attempts == 2

    def test_a_killed_worker_is_replaced_though_trials_are_shorter_than_its_start(
        self, executor: Executor
    ) -> None:
        """And though nothing waits at the moment a trial ends, as with a slow sampler."""
        for number in range(2):
            executor.submit(f"{number}", ("describe yourself",))
        first = {result.value[0] for result in collect_all(executor, 2).values()}
        os.kill(first.pop(), signal.SIGKILL)
        deadline, number = time.monotonic() + 90, 2
        others: set[int] = set()
        while len(others - first) == 0 or len(others) < 2:
            assert time.monotonic() < deadline, f"only {others} computed"
            for _ in range(2):
                executor.submit(f"{number}", ("describe yourself",))
                number += 1
            others |= {result.value[0] for result in collect_all(executor, 2).values()}
            time.sleep(0.1)

    def test_a_payload_that_always_kills_its_worker_fails_and_others_go_on(
        self, executor: Executor
    ) -> None:
        executor.submit("deadly", ("die",))
        for number in range(3):
            executor.submit(f"{number}", ("double", number))
        results = collect_all(executor, 4)
        assert [results[f"{number}"].value for number in range(3)] == [0, 2, 4]
        assert results["deadly"].attempts >= 3
        assert "worker died 3 times with no new checkpoint in between" in (
            results["deadly"].error or ""
        )

    def test_a_worker_killed_while_it_idles_harms_nothing(self, executor: Executor) -> None:
        executor.submit("before", ("describe yourself",))
        pid, _, _ = collect_all(executor, 1)["before"].value
        os.kill(pid, signal.SIGKILL)
        for number in range(4):
            executor.submit(f"{number}", ("double", number))
        assert {result.error for result in collect_all(executor, 4).values()} == {None}

    def test_a_worker_has_one_thread_and_the_folder_of_its_driver(self, executor: Executor) -> None:
        executor.submit("it", ("describe yourself",))
        _, threads, folder = collect_all(executor, 1)["it"].value
        assert threads == 1
        assert folder == os.getcwd()

    def test_when_tunes_loop_breaks_its_tasks_start_again(
        self, executor: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reports = Desk.report
        broken: list[str] = []

        def break_once(desk: Desk, attempt: str, report: bytes, worker: str) -> Verdict:
            if not broken:
                broken.append(attempt)
                raise OSError("the loop breaks here")
            return reports(desk, attempt, report, worker)

        monkeypatch.setattr(Desk, "report", break_once)
        for number in range(3):
            executor.submit(f"{number}", ("report", 2))
        results = collect_all(executor, 3)
        assert {result.error for result in results.values()} == {None}
        assert max(result.attempts for result in results.values()) == 2

    def test_a_driver_that_ray_takes_for_dead_says_so(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("cluster.ray_tune.LOOK_S", 1.0)
        executor = RayTuneExecutor(play_with_death, slots=1)
        try:
            executor.submit("long", ("report for ever", str(tmp_path / "end")))
            monkeypatch.setattr("cluster.ray_tune.is_own_node_alive", lambda: False)
            with pytest.raises(ClusterError, match="nas resume"):
                executor.collect(60)
        finally:
            executor.close()

    def test_closed_executor_takes_no_more(self) -> None:
        executor = self.make(play)  # never hears a report
        executor.close()
        with pytest.raises(ClusterError, match="closed"):
            executor.submit("late", ("double", 1))

    def test_what_ray_lacks_is_named(self) -> None:
        with pytest.raises(ClusterError, match="needs 1 CPU, 99 GPU, but all of Ray has"):
            count_slots({"CPU": 1, "GPU": 99})


DRIVER = """
import time
from cluster.executor import Report, Verdict
from cluster.ray_tune import RayTuneExecutor

def work(payload):
    for epoch in range(10**6):
        yield Report(epoch, {})
        time.sleep(0.1)

def on_report(key, report):
    print("running", flush=True)
    return Verdict.CONTINUE

executor = RayTuneExecutor(work, on_report, slots=1)
executor.submit("a", None)
try:
    executor.collect()
except KeyboardInterrupt:
    print("interrupted", flush=True)
executor.close()
print("closed", flush=True)
"""


@pytest.fixture
def folder_of_ray() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def driver(tmp_path: Path, folder_of_ray: Path) -> Iterator[subprocess.Popen[str]]:
    """A process whose only worker is in the midst of its work, with a home of its own."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "RAY_TMPDIR": str(folder_of_ray),
    }
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=tmp_path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # a test run in the background of a shell hands on that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "running\n"
    yield driver
    driver.kill()
    driver.communicate()


def list_descendants(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *list_descendants(child)]
    return found


def is_agent(pid: int) -> bool:
    """Ray's two agents outlive a killed node by a minute, in which they try to tell of it."""
    return "Agent" in Path(f"/proc/{pid}/cmdline").read_text()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_death(pids: list[int]) -> list[int]:
    deadline = time.monotonic() + 30
    while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return alive


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
class TestProcesses:
    def test_ctrl_c_reaches_the_driver_which_closes_and_leaves_nothing(
        self, driver: subprocess.Popen[str], tmp_path: Path, folder_of_ray: Path
    ) -> None:
        started = list_descendants(driver.pid)
        assert len(started) > 3
        os.killpg(driver.pid, signal.SIGINT)
        output, errors = driver.communicate(timeout=60)
        assert output.splitlines()[-2:] == ["interrupted", "closed"]
        assert set(output.splitlines()[:-2]) <= {"running"}
        assert errors == ""
        assert wait_for_death(started) == []
        assert [path.name for path in tmp_path.iterdir()] in ([], [".ray"])  # Ray's own token
        assert list(folder_of_ray.iterdir()) == []

    def test_a_driver_killed_outright_takes_its_ray_along(
        self, driver: subprocess.Popen[str]
    ) -> None:
        started = [pid for pid in list_descendants(driver.pid) if not is_agent(pid)]
        assert len(started) > 3
        driver.kill()
        assert wait_for_death(started) == []
