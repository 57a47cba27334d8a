"""What is broken: a cluster, a database, a witness, and the commands of a user beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from faults_bench.cluster import ROOT, Cluster, wait_for
from faults_bench.database import Database
from faults_bench.witness import Witness
from nas.jobs.truth import find_truth
from nas.store import JobRow, JobState, Store

SLOTS = 2
"""Trials side by side, one a node."""
STORE_VARIABLE = "FAULTS_STORE"
JOB = """
name: {name}
evaluator: faults_bench.work:{work}
space:
  version: 1
  name: faults
  resolution: 8
  stem_channels: 8
  head_channels: 32
  stages:
    - {{name: a, operator: mbconv, channels: [8, 12, 16], repeats: [1, 2], kernel_size: [3, 5]}}
    - {{name: b, operator: mbconv, stride: 2, channels: [16, 20, 24], repeats: [1, 2, 3],
        kernel_size: [3, 5], expansion: [1, 2, 3]}}
    - {{name: c, operator: mbconv, channels: [24, 28, 32], repeats: [1, 2, 3], kernel_size: [3, 5],
        expansion: [1, 2, 3]}}
search: {{trials: {trials}, sampler: random, seed: {seed}}}
scaling: null
execution: {{workers: {slots}, wait_for_resources_s: 300}}
"""


class Site:
    """A cluster with a store, and jobs of a user on it.

    Args:
        folder: Short path; holds everything.
        keeps_state: See `Cluster`.
        longest_outage_s: Of the database.
    """

    def __init__(
        self, folder: Path, keeps_state: bool = True, longest_outage_s: float = 15.0
    ) -> None:
        self.folder, self.longest_outage_s = folder, longest_outage_s
        shared = folder / "shared"
        shared.mkdir()
        self.witness = Witness(folder / "witness.jsonl")
        self.database = Database(folder / "pg")
        self.store = Store.open(self.database.url)
        self.cluster = Cluster(
            folder,
            {
                "FAULTS_WITNESS": str(self.witness.path),
                "FAULTS_SHARED": str(shared),
                STORE_VARIABLE: self.database.url,
            },
            keeps_state,
        )
        self.jobs: list[str] = []
        access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.cluster.token}
        os.environ.update(access)  # this process looks at jobs itself, to be quick
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NAS_STORE": self.database.url,
            "NAS_ARTIFACTS": str(shared / "artifacts"),
        }
        try:
            self.cluster.start_head()
            for _ in range(SLOTS):
                self.cluster.add_node()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.cluster.close()
        self.store.close()
        self.database.close()

    def nas(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the user's, in a process of its own."""
        command = [sys.executable, "-m", "nas", *arguments]
        return subprocess.run(
            command,
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def submit(self, work: str, trials: int) -> str:
        """Submit a job; returns its id."""
        number = len(self.jobs) + 1
        file = self.folder / f"job-{number}.yaml"
        file.write_text(
            JOB.format(name=f"faults-{number}", work=work, trials=trials, seed=number, slots=SLOTS)
        )
        done = self._asked_until_done("submit", str(file), "--json")
        self.jobs.append(str(json.loads(done.stdout)["id"]))
        return self.jobs[-1]

    def resume(self, job: str) -> None:
        """As a user does whose job was lost: look until that is known, then resume."""
        wait_for(
            lambda: self.state(job) not in ("running", "pending", "unreachable"),
            120,
            f"it is known that job {job} was lost",
            pause_s=1,
        )
        self._asked_until_done("resume", job)

    def _asked_until_done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A head that begins may take no jobs for some seconds; its user asks again."""
        place = ("--address", self.cluster.address, "--store-on-nodes", STORE_VARIABLE)
        deadline = time.monotonic() + 120
        while (done := self.nas(*arguments, *place)).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nas {arguments[0]}: {done.stderr.strip()[-400:]}")
            time.sleep(1)
        return done

    def state(self, job: str) -> str:
        """What `nas status` says, which asks the cluster, too."""
        return find_truth(self.store, self.row(job)).state

    def row(self, job: str) -> JobRow:
        return self.store.find_job(job)

    def completed(self, job: str) -> dict[int, str]:
        """The evaluation of each trial that has ended well, by the store."""
        trials = self.store.trials(job)
        return {t.number: str(t.evaluation) for t in trials if t.state == "completed"}

    def left(self, job: str, trials: int) -> int:
        counts = self.store.count_trials(job)
        return trials - sum(n for state, n in counts.items() if state != "running")

    def busy(self, since: float, gone: frozenset[int] = frozenset()) -> bool:
        """Whether every slot computes since then, by others than those that are gone."""
        found = {line.pid for line in self.witness.lines(since) if line.what == "epoch"}
        return len(found - gone) >= SLOTS

    def tend(self) -> None:
        """Put a new node where one has ended, as Kubernetes or an autoscaler does."""
        for node in list(self.cluster.nodes):
            if not node.lives:
                self.cluster.nodes.remove(node)
                node.kill()
                self.cluster.add_node()

    def worker_pids(self) -> frozenset[int]:
        return frozenset(w.pid for node in self.cluster.nodes for w in node.workers())

    def ended(self, job: str) -> bool:
        return self.row(job).state in (JobState.COMPLETED, JobState.FAILED, JobState.STOPPED)


def describe(site: Site, job: str) -> dict[str, Any]:
    """Where a job stands, for the message of a fault that was not survived."""
    row = site.row(job)
    return {"state": row.state, "message": row.message, "trials": site.store.count_trials(job)}
