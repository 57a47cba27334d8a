"""A store with a little of everything that the API shows."""

from __future__ import annotations

from typing import Any

from nas.search.records import architecture_row
from nas.store import (
    ArchitectureRow,
    AttemptRow,
    EvaluationRow,
    MeasurementRow,
    MemberRow,
    NewTrial,
    Store,
    TrialEnd,
)
from search_spaces.published import get_published

NETWORKS = ("efficientnet_b0", "mobilenet_v1", "mobilenet_v2")
OBJECTIVES = (
    {"metric": "accuracy", "maximize": True, "known": False},
    {"metric": "macs", "maximize": False, "known": True},
)


def evaluation_of(row: ArchitectureRow, key: str, **also: Any) -> EvaluationRow:
    """A training of a network, with what else is said of it."""
    return EvaluationRow(
        key=key,
        subject=row.fingerprint,
        architecture=row.fingerprint,
        dataset="d" * 32,
        split="",
        recipe="r",
        evaluator="training",
        seed=0,
        macs=row.macs,
        **also,
    )


def fill(store: Store, name: str = "demo", accuracy: float = 0.5) -> str:
    """Put down a job of three trials and a family; returns its id."""
    spec = {"name": name, "search": {"trials": 3}}
    job = store.create_job(
        name,
        spec,
        {"name": "small_images"},
        objectives=OBJECTIVES,
        reference=(0.1, 1e9),
        owner="ann",
        attributes={"artifacts": "/nowhere", "data_hash": "d" * 32, "spec_digest": "x"},
    )
    networks = [architecture_row(get_published(known)) for known in NETWORKS]
    trials = [
        NewTrial(number=n, choices={"depth": n}, architecture=row) for n, row in enumerate(networks)
    ]
    store.add_trials(job.id, trials)
    for n, row in enumerate(networks):
        end = TrialEnd(
            number=n,
            state="completed",
            values=(accuracy + n / 100, float(row.macs)),
            evaluation=evaluation_of(
                row,
                f"{name}-{n}",
                job=job.id,
                val_accuracy=accuracy + n / 100,
                val_accuracy_se=0.01,
                parameters=row.parameters,
                activations=row.activations,
                memory_bytes=row.memory_bytes,
                fidelity=5.0,
                metrics={"loss": 0.5, "odd": float("nan")},
                curve=({"epoch": 1.0, "val_accuracy": float("nan")},),
            ),
            attempts=(AttemptRow(trial=n, number=0, state="completed"),),
        )
        store.finish_trial(job.id, end)
    store.add_measurements(
        [MeasurementRow(metric="latency_ms", value=None, architecture=networks[0].fingerprint)]
    )
    store.save_family(
        job.id,
        "family",
        baseline=networks[0].fingerprint,
        rule="compound",
        coefficients={"alpha": 1.2},
        rows=[MemberRow(number=0, architecture=networks[0].fingerprint, evaluation=f"{name}-0")],
    )
    store.set_job_state(job.id, "completed")
    return job.id
