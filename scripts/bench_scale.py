"""How many workers one driver keeps busy: a search over a table on a simulated clock.

    scripts/bench scale [--workers 10 100 1000 5000] [--samplers random known_cost]
                        [--seconds 60] [--rounds 4] [--data ../shared/data] [--store URL]
                        [--no-ray]

The driver, the sampler, the evaluations and the store are the real ones; only the workers are
not. The driver's own processor time passes on the simulated clock, while workers wait if they
have nothing to do; what it waits for a disk does not. Trials take `--seconds` on average, longer
for larger networks, with a spread of 15 %. Then, on this machine's real Ray: what a trial costs
there, against Ray Tune's defaults in the same run. Prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from bench_executor import SLOTS, measure_defaults, measure_executor
from search_bench.problems import Bench, nas_bench_201

from cluster.executor import OnReport, Result, Work
from cluster.simulated import SimulatedExecutor
from nas.jobs.reporter import SilentReporter
from nas.jobs.run import run_trials
from nas.jobs.spec import job_from_dict
from nas.jobs.start import start_job
from nas.search.evaluations import Evaluations
from nas.store import Store
from search_spaces.space import Decision

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One search with so many workers; the first and the last round of trials are left out.

    Args:
        utilisation: Share of the workers' time that they worked, from 0 to 1.
        driver_ms: Processor time of the driver a trial.
    """

    trials: int
    utilisation: float
    driver_ms: float
    memory_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1_000, 5_000])
    parser.add_argument("--samplers", nargs="+", default=["random", "known_cost"])
    parser.add_argument("--seconds", type=float, default=60.0, help="of a trial, on average")
    parser.add_argument("--rounds", type=int, default=4, help="trials that a worker gets, about")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with nasbench201")
    parser.add_argument("--store", help="URL of a store for the bench alone; default: SQLite")
    parser.add_argument("--no-ray", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        most = options.rounds * max(options.workers)
        table = Path(folder) / "table.csv"
        print(f"table: {write_table(options.data, table, most)}; trials of {options.seconds:g} s")
        print(f"{'sampler':<12}{'workers':>8}{'trials':>8}{'utilisation':>13}", end="")
        print(f"{'driver, ms a trial':>20}{'saturates at':>14}{'memory, MiB':>13}")
        for sampler, workers in itertools.product(options.samplers, options.workers):
            store = options.store or f"sqlite:///{folder}/{sampler}-{workers}.db"
            trials = max(options.rounds * workers, 200)
            found = measure(table, sampler, workers, trials, options.seconds, store)
            feeds = options.seconds * 1e3 / found.driver_ms
            print(
                f"{sampler:<12}{workers:>8,}{found.trials:>8,}{found.utilisation:>12.1%} "
                f"{found.driver_ms:>19.2f} {feeds:>13,.0f}{found.memory_mib:>13,.0f}",
                flush=True,
            )
    if not options.no_ray:
        measure_ray(options.seconds)


def measure(
    table: Path, sampler: str, workers: int, trials: int, seconds: float, store_url: str
) -> Measured:
    """One search to its end."""
    spec = job_from_dict(
        {
            "name": f"scale-{sampler}-{workers}",
            "evaluator": {"name": "table", "file": str(table)},
            "space": "finite",
            "search": {
                "sampler": sampler,
                "trials": trials,
                "objectives": ["accuracy: maximize", "macs"],
            },
        }
    )
    duration = partial(trial_seconds, seconds, mean_macs(table))
    made: list[SimulatedExecutor] = []

    def make(work: Work, on_report: OnReport) -> SimulatedExecutor:
        made.append(SimulatedExecutor(work, on_report, slots=workers, seconds=duration))
        return made[0]

    with Store.open(store_url, create=True) as store:
        started = start_job(store, spec, "unused")
        job = started.job
        with contextlib.closing(Evaluations(store, make, owner=job.id, job=job.id)) as evaluations:
            run_trials(store, job, started.plan, evaluations, SilentReporter())
    (executor,) = made
    return Measured(
        trials=trials,
        utilisation=utilisation(executor.runs, workers, seconds),
        driver_ms=1e3 * executor.caller_s / trials,
        memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def trial_seconds(mean: float, mean_macs: float, result: Result) -> float:
    """Larger networks take longer; the same network always takes as long."""
    size = result.value[0].metrics["macs"] / mean_macs
    spread = np.random.default_rng(int(result.key, 16)).lognormal(-(0.15**2) / 2, 0.15)
    return float(mean * (0.5 + 0.5 * size) * spread)


def utilisation(runs: Sequence[tuple[float, float]], workers: int, seconds: float) -> float:
    """Share of time worked, from when all have had time to start until the last is handed out."""
    begin, end = np.array(runs).T
    first, last = 1.5 * seconds, begin.max()
    worked = np.clip(end, first, last) - np.clip(begin, first, last)
    return float(worked.sum() / (workers * (last - first)))


def write_table(data: Path, place: Path, trials: int) -> str:
    """NAS-Bench-201 where it is here and large enough, else one made up; returns which.

    In a table of few more rows than trials, chance meets the same row often.
    """
    if trials > 5_000:
        bench, name = made_up(7), "made up"
    elif (data / "nasbench201" / "nb201_merged.csv").exists():
        bench, name = nas_bench_201(data), "NAS-Bench-201"
    else:
        bench, name = made_up(6), "made up, as NAS-Bench-201 was not found"
    options = [range(len(d.options)) for d in bench.decisions]
    codes = np.array(list(itertools.product(*options)), dtype=np.int16)
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(d.name for d in bench.decisions), "accuracy", "macs"])
        for row, accuracy, cost in zip(codes, bench.accuracy(codes), bench.cost(codes)):
            chosen = [d.options[i] for d, i in zip(bench.decisions, row)]
            writer.writerow([*chosen, accuracy / 100, round(cost * 1e6)])
    return f"{name}, {len(codes):,} rows"


def made_up(size: int) -> Bench:
    """Decisions of five options: accuracy grows with cost, and effects of its own."""
    decisions = tuple(Decision(f"x{i}", ("a", "b", "c", "d", "e")) for i in range(size))
    rng = np.random.default_rng(0)
    costs, gains = rng.uniform(1, 30, (size, 5)), rng.uniform(0, 2, (size, 5))
    places = np.arange(size)
    return Bench(
        "made up",
        decisions,
        lambda codes: costs[places, codes].sum(1),
        lambda codes: 40 + 10 * np.log10(costs[places, codes].sum(1)) + gains[places, codes].sum(1),
        (0.0, 200.0),
        1.0,
    )


def mean_macs(table: Path) -> float:
    with table.open(newline="") as file:
        return float(np.mean([float(row["macs"]) for row in csv.DictReader(file)]))


def measure_ray(seconds: float) -> None:
    """What a trial costs on the real path, and how many workers that could feed."""
    import ray

    from cluster.ray_runtime import enter_ray

    with tempfile.TemporaryDirectory(prefix="nas-", dir="/tmp") as folder:
        enter_ray(None, folder, cpus=SLOTS)
        before = time.process_time()
        cost_ms = measure_executor(200, 2 * SLOTS)
        driver_ms = (time.process_time() - before) * 1e3 / 200
        default_ms = measure_defaults(6)
        ray.shutdown()
    print(f"\nRay on this machine, trials that do nothing, {SLOTS} workers:")
    print(f"  our executor        {cost_ms:8.1f} ms a trial, {driver_ms:.1f} of it the driver's")
    print(f"  Ray Tune's defaults {default_ms:8.1f} ms a trial")
    print(
        f"  trials of {seconds:g} s: one driver could feed {seconds * 1e3 / cost_ms:,.0f} workers, "
        f"by Ray Tune's defaults {seconds * 1e3 / default_ms:,.0f}"
    )


if __name__ == "__main__":
    main()
