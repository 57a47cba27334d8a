"""What a suggestion of known_cost takes, spread over a batch, with that many observations.

    scripts/bench suggestions [--observations 1000 10000] [--count 100] [--problems NAME ...]

Observations are random networks of the space; pricing candidates by the space's exact costs
counts. One thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from search_bench.peers import bench_problem
from search_bench.problems import Bench, problems

from nas.search.samplers import make_sampler
from nas.search.samplers.contract import TrialRecord, TrialState
from nas.search.samplers.rows import Codes, decode


def complete(bench: Bench, records: list[TrialRecord], codes: Codes) -> list[TrialRecord]:
    values = zip(bench.accuracy(codes).tolist(), bench.cost(codes).tolist())
    return [replace(r, state=TrialState.COMPLETED, values=v) for r, v in zip(records, values)]


def measure(bench: Bench, observations: int, count: int) -> tuple[float, float]:
    """Seconds a suggestion over `count` of them, one asked at a time; and the longest."""
    rng = np.random.default_rng(0)
    options = np.array([len(d.options) for d in bench.decisions])
    codes = (rng.random((observations, len(options))) * options).astype(np.int16)
    rows = decode(bench.decisions, codes)
    records = [
        TrialRecord(number=i, choices=row, state=TrialState.RUNNING) for i, row in enumerate(rows)
    ]
    sampler = make_sampler("known_cost", bench_problem(bench, seed=0))
    sampler.restore(complete(bench, records, codes))
    spent = []
    for _ in range(count):
        started = time.perf_counter()
        (record,) = sampler.ask(1)
        spent.append(time.perf_counter() - started)
        chosen = np.array([[d.options.index(record.choices[d.name]) for d in bench.decisions]])
        started = time.perf_counter()
        sampler.tell(complete(bench, [record], chosen)[0])
        spent[-1] += time.perf_counter() - started
    return sum(spent) / count, max(spent)


def main() -> None:
    known = problems(None)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--observations", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument(
        "--problems", nargs="+", choices=list(known), default=["mbconv-45", "once-for-all"]
    )
    options = parser.parse_args()
    for name in options.problems:
        bench = known[name]()
        for observations in options.observations:
            mean, longest = measure(bench, observations, options.count)
            print(
                f"{name} ({len(bench.decisions)} decisions), {observations:,} observations: "
                f"{mean * 1e3:.0f} ms a suggestion, {longest:.2f} s the longest"
            )


if __name__ == "__main__":
    main()
