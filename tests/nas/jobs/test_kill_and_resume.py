"""A driver that is killed loses nothing that reached it, and goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.store import Store

JOB = """
name: killed
evaluator: tests.nas.jobs.toy:witnessed
resolution: 16
search: {{trials: 40, sampler: {{name: {sampler}{options}}}, seed: 3}}
scaling: {{coefficients: search, grid: {{candidates: 3}}, phi: [0, 1]}}
execution: {{executor: inline}}
"""
ROOT = Path(__file__).parents[3]


class Run:
    """`nas` in a process of its own, in an empty folder."""

    def __init__(self, folder: Path, sampler: str) -> None:
        folder.mkdir()
        options = ", options: {population_size: 8}" if sampler == "nsga2" else ""
        (folder / "job.yaml").write_text(JOB.format(sampler=sampler, options=options))
        self.folder, self.log = folder, folder / "witness.log"
        self.log.touch()

    def start(self, *arguments: str, seconds: float = 0.01) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TOY_LOG": str(self.log), "PYTHONPATH": str(ROOT)}
        environment["TOY_SECONDS"] = str(seconds)
        environment.pop("NAS_STORE", None)
        return subprocess.Popen(
            [sys.executable, "-m", "nas", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def finish(self, *arguments: str) -> None:
        process = self.start(*arguments)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()

    def kill_after(self, evaluations: int) -> None:
        process = self.start("run", "job.yaml")
        deadline = time.monotonic() + 60
        while len(self.computed()) < evaluations and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def computed(self) -> list[str]:
        return self.log.read_text().split()

    def store(self) -> Store:
        return Store.open(f"sqlite:///{self.folder}/nas.db")

    def trials(self) -> list[tuple[object, ...]]:
        with self.store() as store:
            job = store.find_job(None)
            assert job.state == "completed"
            return [
                (t.number, t.origin, t.state, dict(t.choices), t.values)
                for t in store.trials(job.id)
            ]


@pytest.mark.parametrize("sampler", ["known_cost", "nsga2", "random"])
def test_killed_and_resumed_run_equals_one_in_a_single_piece(tmp_path: Path, sampler: str) -> None:
    whole = Run(tmp_path / "whole", sampler)
    whole.finish("run", "job.yaml")

    broken = Run(tmp_path / "broken", sampler)
    for evaluations in (3, 19, 38):
        broken.kill_after(evaluations)
        computed = set(broken.computed())
        with broken.store() as store:
            stored = store.evaluations(computed)
        assert len(stored) >= len(computed) - 1  # all but the one that was on its way
    broken.finish("resume")

    assert broken.trials() == whole.trials()
    again = [key for key in broken.computed() if broken.computed().count(key) > 1]
    # only what had not reached the driver when it was killed, at most one a kill
    assert len(again) <= 2 * 3


def test_stored_evaluations_are_not_computed_again_after_a_kill(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "nsga2")
    run.kill_after(12)
    with run.store() as store:
        stored = set(store.evaluations(run.computed()))
    before = len(run.computed())
    run.finish("resume")
    assert not stored & set(run.computed()[before:])


def test_a_polite_kill_says_how_to_go_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "random")
    process = run.start("run", "job.yaml")
    deadline = time.monotonic() + 60
    while len(run.computed()) < 5 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    with run.store() as store:
        job = store.find_job(None)
    assert process.returncode == 130
    assert f"nas resume {job.id}" in errors.decode()
    assert job.state == "stopped"
    run.finish("resume", job.id)
    assert len(run.trials()) > 40


def test_a_second_driver_of_the_same_job_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "random")
    process = run.start("run", "job.yaml", seconds=5.0)
    deadline = time.monotonic() + 60
    while not run.computed() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    second = run.start("resume")
    _, errors = second.communicate(timeout=60)
    process.kill()
    process.communicate()
    assert second.returncode == 2
    assert "another driver" in errors.decode()


def test_running_a_finished_job_again_computes_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "nsga2")
    run.finish("run", "job.yaml")
    computed = run.computed()
    run.finish("run", "job.yaml")
    run.finish("run", "job.yaml", "--fresh")  # a new job, answered from the store
    assert run.computed() == computed
