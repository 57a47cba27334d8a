"""Breaks a real cluster at random moments under real jobs, and counts what that cost.

    python scripts/bench_faults.py [--workers 20 --nodes 10 --drivers 10 --databases 5 --heads 3]

A Ray cluster of `ray start` processes on loopback (a head, two nodes of one CPU, token
authentication, the jobs API), a real PostgreSQL, and jobs submitted by `nas submit`: in turn trials
that last one to three seconds with checkpoints, and real trainings on digits. Ends with status 1
where a fault was not survived, a finished trial was lost or a key was computed twice.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults_bench.cluster import wait_for
from faults_bench.faults import KINDS, Fault, break_once
from faults_bench.site import Site, describe
from faults_bench.witness import Line, computed_twice, work_done_again

WORKS = ("steps", "digits")
SPARE_TRIALS = 12
"""A job with fewer left is not broken any more, but let end."""
SHORTEST_PAUSE_S = 0.5


class Run:
    """Faults on one site, and the job that is under way there."""

    def __init__(
        self,
        site: Site,
        trials: int,
        works: Sequence[str],
        rng: random.Random,
        longest_pause_s: float,
    ) -> None:
        self._longest_pause_s = longest_pause_s
        self._site, self._trials, self._works, self._rng = site, trials, works, rng
        self._job: str | None = None
        self.faults: list[Fault] = []

    def go(self, kinds: Sequence[str]) -> None:
        for number, kind in enumerate(kinds, 1):
            job = self._busy_job()
            time.sleep(self._rng.uniform(SHORTEST_PAUSE_S, self._longest_pause_s))
            fault = break_once(self._site, job, kind, self._rng)
            self.faults.append(fault)
            print(
                f"{number:3}/{len(kinds)} {kind:8} whole again after {fault.whole_s:5.1f} s, "
                f"{fault.idle_s:5.1f} s idle {fault.story}",
                flush=True,
            )
            if not fault.survived:
                self._rescue(job)
        self._finish()

    def _busy_job(self) -> str:
        """A job with enough trials left, and every slot at work."""
        site = self._site
        spare = min(SPARE_TRIALS, self._trials // 3)
        if self._job is not None and site.left(self._job, self._trials) < spare:
            self._finish()
        if self._job is None:
            self._job = site.submit(self._works[len(site.jobs) % len(self._works)], self._trials)
            since = time.time()
            self._wait_until_busy(self._job, since)
        return self._job

    def _rescue(self, job: str) -> None:
        """Go on after a fault that was not survived."""
        self._site.tend()
        since = time.time()
        self._site.nas("stop", job)
        self._site.resume(job)
        self._wait_until_busy(job, since)

    def _wait_until_busy(self, job: str, since: float) -> None:
        try:
            wait_for(lambda: self._site.busy(since), 300, f"job {job} is under way")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {describe(self._site, job)}") from None

    def _finish(self) -> None:
        site, job = self._site, self._job
        if job is None:
            return
        wait_for(lambda: site.ended(job), 60 + 6 * self._trials, f"job {job} ends", pause_s=1)
        print(f"job {len(site.jobs)}: {describe(site, job)}", flush=True)
        self._job = None


def summarize(site: Site, faults: Sequence[Fault], trials: int) -> dict[str, Any]:
    """What each kind cost, and what is true of the whole."""
    lines = site.witness.lines()
    begins = [fault.at for fault in faults]
    after: list[list[Line]] = [[] for _ in range(len(faults) + 1)]
    twice = [0] * (len(faults) + 1)
    redone = [0.0] * (len(faults) + 1)
    for line in lines:
        after[bisect_right(begins, line.at)].append(line)
    so_far: list[Line] = []
    for place, part in enumerate(after):
        twice[place] = len(computed_twice([*so_far, *part])) - len(computed_twice(so_far))
        redone[place] = work_done_again([*so_far, *part]) - work_done_again(so_far)
        so_far += part
    kinds = {}
    for kind in KINDS:
        places = [place for place, fault in enumerate(faults, 1) if fault.kind == kind]
        mine = [faults[place - 1] for place in places]
        if mine:
            kinds[kind] = {
                "faults": len(mine),
                "survived": sum(fault.survived for fault in mine),
                "trials_lost": sum(fault.lost for fault in mine),
                "keys_twice": sum(twice[place] for place in places),
                "whole_median_s": statistics.median(fault.whole_s for fault in mine),
                "whole_most_s": max(fault.whole_s for fault in mine),
                "idle_mean_s": statistics.mean(fault.idle_s for fault in mine),
                "redone_mean_s": sum(redone[place] for place in places) / len(mine),
            }
    ended = {line.key for line in lines if line.what == "end"}
    stored = site.store.evaluations(ended)
    counts = [site.store.count_trials(job) for job in site.jobs]
    return {
        "kinds": kinds,
        "jobs": len(site.jobs),
        "jobs_completed": sum(site.row(job).state == "completed" for job in site.jobs),
        "trials_wanted": trials * len(site.jobs),
        "trials_completed": sum(count.get("completed", 0) for count in counts),
        "keys_computed": len(ended),
        "keys_not_stored": len(ended) - len(stored),
        "keys_twice": sum(twice),
        "faults": [asdict(fault) for fault in faults],
    }


def is_good(report: dict[str, Any]) -> bool:
    return (
        all(k["survived"] == k["faults"] for k in report["kinds"].values())
        and not any(k["trials_lost"] for k in report["kinds"].values())
        and report["keys_twice"] == report["keys_not_stored"] == 0
        and report["jobs_completed"] == report["jobs"]
    )


def print_report(report: dict[str, Any]) -> None:
    head = ("fault", "faults", "survived", "trials lost", "keys twice")
    times = ("whole again, median", "longest", "idle a worker", "computed again")
    print("| " + " | ".join((*head, *times)) + " |")
    print("| --- " * (len(head) + len(times)) + "|")
    for kind, k in report["kinds"].items():
        cells = [kind, k["faults"], k["survived"], k["trials_lost"], k["keys_twice"]]
        names = ("whole_median_s", "whole_most_s", "idle_mean_s", "redone_mean_s")
        cells += [f"{k[name]:.1f} s" for name in names]
        print("| " + " | ".join(str(cell) for cell in cells) + " |")
    print(
        f"{report['jobs']} jobs ({report['jobs_completed']} completed) with "
        f"{report['trials_completed']} of {report['trials_wanted']} trials completed; "
        f"{report['keys_computed']} keys computed, {report['keys_twice']} of them twice, "
        f"{report['keys_not_stored']} not in the store."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, count in (
        *(("workers", 20), ("nodes", 10), ("drivers", 10), ("databases", 5), ("heads", 3)),
    ):
        parser.add_argument(f"--{option}", type=int, default=count)
    parser.add_argument("--trials", type=int, default=150, help="of each job")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--pause", type=float, default=4.0, help="longest, between faults")
    parser.add_argument("--outage", type=float, default=15.0, help="longest, of the database")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-head", action="store_true", help="the head's state dies with it")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--keep", action="store_true", help="leave logs behind")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    kinds = [kind for kind in KINDS for _ in range(getattr(arguments, f"{kind}s"))]
    rng.shuffle(kinds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    folder = Path(tempfile.mkdtemp(prefix="nasf-", dir="/tmp"))
    print(f"seed {arguments.seed}, everything under {folder}", flush=True)
    started = time.monotonic()
    site = Site(folder, not arguments.memory_head, arguments.outage)
    run = Run(site, arguments.trials, arguments.works, rng, arguments.pause)
    try:
        try:
            run.go(kinds)
        finally:
            report = summarize(site, run.faults, arguments.trials)
            report["seconds"] = time.monotonic() - started
            print_report(report)
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(report, indent=1))
    finally:
        site.close()
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_good(report) else 1


if __name__ == "__main__":
    sys.exit(main())
