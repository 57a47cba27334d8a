"""What a trial costs on the executor's path and on Ray Tune's defaults, in one run.

    python scripts/bench_executor.py [--trials 200] [--default-trials 6]

Trials do nothing, so all of the time is overhead. Prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from cluster.executor import Report

SLOTS = 2


def do_nothing(payload: int) -> Generator[Report, None, int]:
    yield Report(1.0, {"accuracy": 0.5})
    return payload


def do_nothing_by_default(config: dict[str, Any]) -> dict[str, float]:
    return {"accuracy": 0.5}


def measure_executor(trials: int, in_flight: int) -> float:
    """Milliseconds a trial, with so many submitted ahead; the start of Ray and actors left out."""
    from cluster.ray_tune import RayTuneExecutor

    executor = RayTuneExecutor(do_nothing, slots=SLOTS)
    for number in range(SLOTS):
        executor.submit(f"warm {number}", number)
    collected = 0
    while collected < SLOTS:
        collected += len(executor.collect())
    started = time.perf_counter()
    submitted = collected = 0
    while collected < trials:
        while submitted < trials and submitted - collected < in_flight:
            executor.submit(f"{submitted}", submitted)
            submitted += 1
        collected += len(executor.collect())
    elapsed_ms = (time.perf_counter() - started) * 1000
    executor.close()
    return elapsed_ms / trials


def measure_defaults(trials: int) -> float:
    """Milliseconds a trial of `Tuner.fit` as it comes, but for its console output."""
    from ray import tune

    from cluster.ray_runtime import SETTINGS

    for name in SETTINGS:
        if name.startswith("TUNE_"):
            os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            do_nothing_by_default,
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=SLOTS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        started = time.perf_counter()
        tuner.fit()
        return (time.perf_counter() - started) * 1000 / trials


def measure_memory_mib() -> float:
    """Proportional memory of this process and all its descendants (Linux)."""

    def list_tree(pid: str) -> list[str]:
        children = [
            child
            for path in Path(f"/proc/{pid}/task").glob("*/children")
            for child in path.read_text().split()
        ]
        return [pid] + [found for child in children for found in list_tree(child)]

    kib = 0
    for pid in list_tree("self"):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--default-trials", type=int, default=6)
    arguments = parser.parse_args()

    import ray

    from cluster.ray_runtime import enter_ray

    with tempfile.TemporaryDirectory(prefix="nas-", dir="/tmp") as folder:
        started = time.perf_counter()
        enter_ray(None, folder, cpus=SLOTS)
        print(f"Ray is up after                  {time.perf_counter() - started:8.1f} s")
        for in_flight in (SLOTS, 2 * SLOTS):
            cost_ms = measure_executor(arguments.trials, in_flight)
            print(f"executor, {in_flight} in flight            {cost_ms:8.1f} ms a trial")
        if Path("/proc/self/smaps_rollup").exists():
            print(f"memory with Ray                  {measure_memory_mib():8.0f} MiB")
        cost_ms = measure_defaults(arguments.default_trials)
        print(f"Ray Tune's defaults              {cost_ms:8.1f} ms a trial")
        ray.shutdown()


if __name__ == "__main__":
    main()
