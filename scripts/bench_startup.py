"""How long commands keep a person waiting: `--help`, `cost`, and `pareto` on 10,000 trials.

scripts/bench startup [--trials 10000]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_loop import job

from nas.jobs.start import start_job
from nas.search.records import architecture_row
from nas.store import EvaluationRow, NewTrial, Store, TrialEnd
from search_spaces.space import SearchSpace

RUNS = 7


def fill(store: Store, trials: int, folder: Path) -> None:
    """A finished search of that many trials, with the costs of real networks."""
    started = start_job(store, job("random", trials), str(folder / "artifacts"))
    space: SearchSpace = started.plan.space
    rng, kept = np.random.default_rng(0), started.job.id
    for start in range(0, trials, 500):
        numbers = range(start, min(trials, start + 500))
        drawn = [space.sample_choices(rng) for _ in numbers]
        rows = [architecture_row(space.decode(choices)) for choices in drawn]
        new = zip(numbers, drawn, rows)
        store.add_trials(kept, [NewTrial(number=n, choices=c, architecture=a) for n, c, a in new])
        ends = []
        for number, row in zip(numbers, rows):
            accuracy = float(rng.normal(0.5, 0.05) + 0.02 * np.log(row.macs))
            evaluation = EvaluationRow(
                key=f"{number:032x}",
                subject=row.fingerprint,
                dataset="",
                split="",
                recipe="",
                evaluator="bench",
                seed=0,
                architecture=row.fingerprint,
                job=kept,
                val_accuracy=accuracy,
                macs=row.macs,
                parameters=row.parameters,
                activations=row.activations,
                memory_bytes=row.memory_bytes,
            )
            values = (accuracy, float(row.macs))
            ends.append(
                TrialEnd(number=number, state="completed", values=values, evaluation=evaluation)
            )
        store.finish_trials(kept, ends)


def seconds(arguments: list[str], folder: str) -> float:
    """Median wall time of a command in a process of its own."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        command = [sys.executable, "-m", "nas", *arguments]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(f"sqlite:///{folder}/nas.db", create=True) as store:
            fill(store, options.trials, Path(folder))
        for arguments in (["--help"], ["cost", "efficientnet_b0"], ["pareto"]):
            print(f"nas {' '.join(arguments):<24} {seconds(arguments, folder):.2f} s", flush=True)


if __name__ == "__main__":
    main()
