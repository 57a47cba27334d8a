"""What the search loop itself costs a trial: inline, an evaluator that answers at once, stored.

scripts/bench loop [--trials 10000] [--others 1000]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

from nas.evaluation.contract import Request
from nas.jobs.run import SEARCH, run_job
from nas.jobs.spec import JobSpec, job_from_dict
from nas.jobs.start import start_job
from nas.search.progress import Snapshot
from nas.search.samplers import SAMPLERS
from nas.store import Store

MARKS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


def at_once(request: Request) -> dict[str, float]:
    """An accuracy for nothing."""
    assert request.architecture is not None
    return {"val_accuracy": 0.5 + int(request.architecture.fingerprint[:6], 16) / 2**25}


class Clock:
    """Notes when the marks go by, by the wall's clock and by the processor's."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[float, float]] = {}

    def note(self, text: str) -> None:
        pass

    def progress(self, snapshot: Snapshot) -> None:
        if snapshot.done in MARKS or snapshot.done == 0:
            self.seen.setdefault(snapshot.done, (time.perf_counter(), time.process_time()))


def job(sampler: str, trials: int) -> JobSpec:
    return job_from_dict(
        {
            "name": f"bench-{sampler}",
            "space": "efficientnet",
            "resolution": 64,
            "evaluator": "bench_loop:at_once",
            "search": {"sampler": sampler, "trials": trials},
            "execution": {"executor": "inline"},
            "scaling": None,
        }
    )


def measure(sampler: str, trials: int, folder: Path) -> dict[int, tuple[float, float]]:
    """Milliseconds a trial between one mark and the next, and those of the processor."""
    clock = Clock()
    with Store.open(f"sqlite:///{folder}/{sampler}.db", create=True) as store:
        started = start_job(store, job(sampler, trials), str(folder / "artifacts"))
        run_job(store, started.job, started.plan, clock, (SEARCH,))
    marks = sorted(clock.seen)

    def pace(start: int, end: int, which: int) -> float:
        return 1e3 * (clock.seen[end][which] - clock.seen[start][which]) / (end - start)

    return {
        end: (pace(start, end, 0), pace(start, end, 1)) for start, end in itertools.pairwise(marks)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="of the random sampler")
    parser.add_argument("--others", type=int, default=300, help="of the other samplers")
    options = parser.parse_args()
    print("42 decisions, SQLite; milliseconds a trial up to the trial named, from the one before,")
    print("and in brackets the processor's, which other work on the machine does not stretch")
    with tempfile.TemporaryDirectory() as folder:
        for sampler in ["random", *sorted(set(SAMPLERS) - {"random"})]:
            trials = options.trials if sampler == "random" else options.others
            found = measure(sampler, trials, Path(folder))
            row = "  ".join(f"{end:>6,}: {a:.1f} ({b:.1f})" for end, (a, b) in found.items())
            print(f"{sampler:<12} {row}", flush=True)


if __name__ == "__main__":
    main()
