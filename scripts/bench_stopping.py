"""What early stopping saves, on real training: hypervolume and epochs, with it and without.

    scripts/bench stopping [--data FILE.npz] [--seeds 5] [--trials 24] [--epochs 9]
                           [--resolution 16] [--most-macs 3000000] [--live]

Every trial of a random search is trained in full, once a seed, and kept in `--store`, so that an
interrupted bench goes on. Random search suggests the same whatever it is told, so what stopping
would have done is then read off the learning curves, for several settings. `--live` runs the
stopped search for real as well (`--sampler`, `--eta`), with nothing reused.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.jobs.reporter import SilentReporter
from nas.jobs.run import SEARCH, run_job
from nas.jobs.spec import JobSpec, job_from_dict
from nas.jobs.start import find_same, start_job, take_up_job
from nas.pareto import hypervolume
from nas.search.samplers.contract import ObjectiveSpec
from nas.search.stopping import HalvingSettings, SuccessiveHalving
from nas.store import EvaluationRow, JobRow, Store

OBJECTIVES = (ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False, known=True))


def find_data() -> str:
    """The 8,000/2,000 images beside the repository or above it, else scikit-learn's digits."""
    for folder in Path(__file__).resolve().parents:
        found = folder / "shared/data/fashion_mnist/fashion_mnist_mini_8k2k.npz"
        if found.exists():
            return str(found)
    return "digits"


def job(options: argparse.Namespace, seed: int, stopping: dict[str, Any] | None) -> JobSpec:
    return job_from_dict(
        {
            "name": f"stopping-{seed}",
            "data": options.data,
            "space": "small_images",
            "resolution": options.resolution,
            "search": {
                "sampler": options.sampler if stopping else "random",
                "trials": options.trials,
                "constraints": [f"macs <= {options.most_macs}"],
                "reference": {"accuracy": 0.5, "macs": options.most_macs},
                "seed": seed,
                **({"early_stopping": stopping} if stopping else {}),
            },
            "recipe": {
                "epochs": options.epochs,
                "batch_size": 64,
                "learning_rate": 0.1,
                "label_smoothing": 0.1,
                "average_decay": 0.95,
            },
            "execution": {"executor": "inline"},
            "scaling": None,
        }
    )


def run(store: Store, spec: JobSpec, artifacts: str) -> JobRow:
    same = find_same(store, spec)
    started = take_up_job(store, same) if same else start_job(store, spec, artifacts, "search")
    return run_job(store, started.job, started.plan, SilentReporter(), (SEARCH,))


def trained(store: Store, job_row: JobRow) -> list[EvaluationRow]:
    """Evaluations of the job's trials, in the order of trials; equal ones once."""
    keys = [t.evaluation for t in store.trials(job_row.id) if t.evaluation]
    rows = store.evaluations(keys)
    return [rows[key] for key in dict.fromkeys(keys)]


def volume(rows: Sequence[EvaluationRow], reference: tuple[float, ...]) -> float:
    points = [[r.val_accuracy, r.macs] for r in rows if r.status == "completed"]
    return hypervolume(np.array(points).reshape(-1, 2), reference, (True, False))


def replay(
    rows: Sequence[EvaluationRow], settings: HalvingSettings
) -> tuple[list[EvaluationRow], float]:
    """What would have been trained to its end, and the epochs spent on all."""
    halving, whole, epochs = SuccessiveHalving(settings, OBJECTIVES), [], 0.0
    for trial, row in enumerate(rows):
        for point in row.curve:
            epochs += 1
            values = (float(point["val_accuracy"]), float(row.macs or 0))
            if not halving.goes_on(trial, float(point["epoch"]), values):
                break
        else:
            whole.append(row)
    return whole, epochs


def show(name: str, volumes: Sequence[float], epochs: Sequence[float], full: float) -> None:
    error = np.std(volumes, ddof=1) / len(volumes) ** 0.5 if len(volumes) > 1 else float("nan")
    print(
        f"{name:<34} hypervolume {np.mean(volumes):.5g} ± {error:.2g}   "
        f"epochs {np.mean(epochs):6.1f}, {100 * np.mean(epochs) / full:4.0f} %",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default=find_data())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--most-macs", type=int, default=3_000_000, help="bound and reference")
    parser.add_argument("--eta", type=float, default=3.0, help="of --live")
    parser.add_argument("--sampler", default="random", help="of --live")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--store", type=Path, help="folder to keep what was trained")
    options = parser.parse_args()
    print(f"{options.data}, {options.trials} trials of {options.epochs} epochs, means over seeds")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.store or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        full: list[list[EvaluationRow]] = []
        stopped: list[list[EvaluationRow]] = []
        reference: tuple[float, ...] = (0.5, options.most_macs)
        for seed in range(options.seeds):
            with Store.open(f"sqlite:///{folder}/whole.db") as store:
                done = run(store, job(options, seed, None), str(folder / "artifacts"))
                full.append(trained(store, done))
            print(f"seed {seed}: {len(full[-1])} networks trained", flush=True)
            if options.live:
                with Store.open(f"sqlite:///{folder}/stopped-{options.sampler}.db") as store:
                    halved = job(options, seed, {"eta": options.eta})
                    stopped.append(
                        trained(store, run(store, halved, str(folder / "artifacts-stopped")))
                    )
        whole_epochs = [float(sum(len(row.curve) for row in rows)) for rows in full]
        total = float(np.mean(whole_epochs))
        show("without stopping", [volume(rows, reference) for rows in full], whole_epochs, total)
        for eta, first, least in ((2, 1, 4), (2, 2, 4), (2, 3, 4), (3, 1, 4), (3, 2, 4), (4, 1, 4)):
            if first >= options.epochs:
                continue
            settings = HalvingSettings(full=options.epochs, eta=eta, first=first, least=least)
            replayed = [replay(rows, settings) for rows in full]
            show(
                f"eta {eta}, rungs {', '.join(f'{r:g}' for r in settings.rungs)}",
                [volume(whole, reference) for whole, _ in replayed],
                [epochs for _, epochs in replayed],
                total,
            )
        if stopped:
            show(
                f"live, {options.sampler}, eta {options.eta:g}",
                [volume(rows, reference) for rows in stopped],
                [sum(row.fidelity for row in rows) for rows in stopped],
                total,
            )


if __name__ == "__main__":
    main()
