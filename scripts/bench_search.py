"""How many evaluations a search needs: our sampler beside its peers, on tables and MBConv spaces.

    scripts/bench search [--seeds 20] [--trials 400] [--problems NAME ...] [--samplers NAME ...]
                         [--our-trials N] [--data FOLDER] [--out FOLDER]

Shares are of the true hypervolume; on the synthetic spaces, of what NSGA-II finds in 20,000
evaluations without noise. Every table is printed as soon as it is there, and all of them are
kept in `search.json` and `search.png`. Runs that `search.json` already holds are not run again.
Peers that are not installed are named and left out: `pip install -e .[bench]` brings them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from search_bench.peers import PEERS
from search_bench.problems import Bench, problems
from search_bench.report import MARKS, Runs, lead, print_table, write_json, write_plot

OURS = "known_cost"
TABLES = ("nas-bench-macro", "nas-bench-201")


def measure(bench: Bench, sampler: str, seed: int, trials: int) -> tuple[list[float], float]:
    """Shares of the true hypervolume at the marks, noise left out; and the sampler's seconds."""
    rng = np.random.default_rng([seed, 1])
    points: list[tuple[float, float]] = []
    started = time.perf_counter()
    search = PEERS[sampler].start(bench, seed)
    row = next(search)
    seconds = time.perf_counter() - started
    while True:
        codes = np.array([row], dtype=np.int16)
        cost, accuracy = float(bench.cost(codes)[0]), float(bench.accuracy(codes)[0])
        points.append((accuracy, cost))
        if len(points) == trials:
            break
        seen = accuracy + bench.noise * float(rng.normal())
        started = time.perf_counter()
        row = search.send((seen, cost))
        seconds += time.perf_counter() - started
    search.close()
    return [bench.share(points[:mark]) for mark in MARKS if mark <= trials], seconds


def find_data(given: str | None) -> Path | None:
    """The folder with the tables: as given, or `shared/data` beside the repository or above it."""
    if given:
        return Path(given)
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / "data").is_dir():
            return folder / "shared" / "data"
    return None


def earlier(path: Path) -> dict[tuple[str, str], Runs]:
    """The runs that an earlier bench left there."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))["runs"]
    found = [
        Runs(r["problem"], r["sampler"], tuple(map(tuple, r["shares"])), tuple(r["seconds"]))
        for r in rows
    ]
    return {(r.problem, r.sampler): r for r in found}


def extend(bench: Bench, sampler: str, before: Runs | None, seeds: int, most: int) -> Runs:
    """Runs with the seeds that there are not yet."""
    marks = sum(mark <= most for mark in MARKS)
    kept = before if before and all(len(s) >= marks for s in before.shares) else None
    shares = [s[:marks] for s in kept.shares] if kept else []
    seconds = list(kept.seconds) if kept else []
    for seed in range(len(shares), seeds):
        found, spent = measure(bench, sampler, seed, most)
        shares.append(tuple(found))
        seconds.append(spent)
    return Runs(bench.name, sampler, tuple(shares), tuple(seconds))


def read_options() -> argparse.Namespace:
    known = [*TABLES, *problems(None)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--our-trials", type=int, help=f"of {OURS}, where fewer are enough")
    parser.add_argument("--problems", nargs="+", choices=known, default=known, metavar="NAME")
    parser.add_argument("--samplers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--data", default=os.environ.get("NAS_BENCH_DATA"), help="of the tables")
    parser.add_argument("--out", default="build/bench", help="folder of the JSON and the plot")
    options = parser.parse_args()
    if options.seeds < 1 or options.trials < MARKS[0]:
        parser.error(f"At least one seed and {MARKS[0]} trials are needed.")
    return options


def choose_problems(names: Sequence[str], data: str | None) -> tuple[list[str], dict[str, str]]:
    """The problems that can be run, and why the others can't."""
    folder = find_data(data)
    missing = "its table is not there; name the folder with --data or NAS_BENCH_DATA"
    absent = {n: missing for n in names if n in TABLES and n not in problems(folder)}
    if folder is not None and not folder.is_dir():
        absent = {n: f"there is no folder {folder}" for n in names if n in TABLES}
    return [name for name in names if name not in absent], absent


def main() -> None:
    options = read_options()
    marks = [mark for mark in MARKS if mark <= options.trials]
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    names, left_out = choose_problems(options.problems, options.data)
    reasons = {sampler: PEERS[sampler].why_not() for sampler in options.samplers}
    left_out |= {sampler: reason for sampler, reason in reasons.items() if reason}
    for name, reason in left_out.items():
        print(f"Left out: {name}, {reason}.", flush=True)
    kept = earlier(folder / "search.json")
    make = problems(find_data(options.data))
    for name in names:
        bench = make[name]()
        runs = []
        for sampler in (s for s in options.samplers if s not in left_out):
            before = kept.get((bench.name, sampler))
            ours = options.our_trials if sampler == OURS else None
            most = min(options.trials, PEERS[sampler].most or ours or options.trials)
            try:
                runs.append(extend(bench, sampler, before, options.seeds, most))
            except Exception as error:  # a peer's own; the others go on
                left_out[f"{sampler} on {name}"] = f"it failed: {type(error).__name__}: {error}"
                print(f"{sampler} failed: {error!r:.300}", flush=True)
                continue
            kept[bench.name, sampler] = runs[-1]
            write_json(folder / "search.json", list(kept.values()), marks, left_out)
        print_table(bench.name, runs, marks)
        for line in lead(runs, OURS, marks):
            print(line, flush=True)
    if kept:
        write_plot(folder / "search.png", list(kept.values()), marks)
        print(f"Written: {folder / 'search.json'} and {folder / 'search.png'}.")


if __name__ == "__main__":
    main()
