"""A store with a little of everything that the pages show."""

from __future__ import annotations

from typing import Any

from nas.search.records import architecture_row
from nas.store import (
    ArtifactRow,
    DatasetRow,
    DeviceRow,
    EvaluationRow,
    MeasurementRow,
    MemberRow,
    NewTrial,
    Store,
    TrialEnd,
)
from search_spaces.published import get_published

# accuracy by network; the second and fourth are dominated
NETWORKS = {
    "mobilenet_v1_0.5": 0.63,
    "mobilenet_v1": 0.60,
    "mobilenet_v2": 0.72,
    "mnasnet_a1": 0.719,
    "efficientnet_b0": 0.77,
    "efficientnet_b1": 0.79,
}
# milliseconds in fp32
LATENCIES = {"mobilenet_v1": 9.0, "mobilenet_v2": 12.0, "mnasnet_a1": 15.0, "efficientnet_b0": 21.0}
PHONE = "phone-7"
IMAGENET = "1" * 32
OBJECTIVES = (
    {"metric": "accuracy", "maximize": True, "known": False},
    {"metric": "macs", "maximize": False, "known": True},
)
EVIL = '</script><img src=x onerror="alert(1)">'
"""A job may be called so; no page may take it for markup."""


def fill(store: Store) -> None:
    """A job on ImageNet with a family, one over a table, one that waits."""
    classes = tuple(f"n{number:08}" for number in range(1000))
    store.save_dataset(DatasetRow(hash=IMAGENET, name="imagenet", classes=classes))
    _imagenet(store)
    _table(store)
    store.create_job(EVIL, {"name": EVIL, "search": {"trials": 7}}, {"name": "small_images"})


def _imagenet(store: Store) -> None:
    job = store.create_job(
        "imagenet-look",
        {"name": "imagenet-look", "data": "imagenet", "search": {"trials": len(NETWORKS)}},
        {"name": "efficientnet"},
        objectives=OBJECTIVES,
        reference=(0.1, 2e9),
        owner="ann",
        attributes={"artifacts": "/nowhere", "data_hash": IMAGENET},
    )
    rows = {name: architecture_row(get_published(name)) for name in NETWORKS}
    trials = [
        NewTrial(number=n, choices={"depth": n}, architecture=row)
        for n, row in enumerate(rows.values())
    ]
    store.add_trials(job.id, trials)
    for number, (name, accuracy) in enumerate(NETWORKS.items()):
        evaluation = _evaluation(rows[name], job.id, number, accuracy)
        values = (accuracy, float(rows[name].macs))
        end = TrialEnd(number=number, state="completed", values=values, evaluation=evaluation)
        store.finish_trial(job.id, end)
    b0, b1 = rows["efficientnet_b0"].fingerprint, rows["efficientnet_b1"].fingerprint
    store.add_measurements(
        [
            MeasurementRow(metric="latency_ms", value=12.5, error=0.5, architecture=b0),
            MeasurementRow(metric="energy_mj", value=None, reason="no meter", architecture=b0),
        ]
    )
    store.save_device(DeviceRow(id=PHONE, kind="cpu", name="Pixel 8"))
    how = {"device": PHONE, "runtime": "onnxruntime", "batch_size": 1, "threads": 1}
    store.add_measurements(
        [
            MeasurementRow(
                metric="latency_ms",
                value=factor * LATENCIES[name],
                architecture=row.fingerprint,
                precision=precision,
                **how,
            )
            for name, row in rows.items()
            if name in LATENCIES
            for precision, factor in (("fp16", 0.5), ("fp32", 1.0))
        ]
    )
    store.add_measurements(
        [
            MeasurementRow(
                metric="energy_j",
                value=900.0 + 100 * number,
                evaluation=f"imagenet-{number}",
                device=PHONE,
            )
            for number in range(len(rows))
        ]
    )
    store.add_artifact(
        ArtifactRow(sha256="a" * 64, kind="onnx", name="x.onnx", bytes=20_000_000, architecture=b0)
    )
    members = [
        MemberRow(number=0, name="phi 0", phi=0.0, architecture=b0, evaluation="imagenet-4"),
        MemberRow(number=1, name="phi 1", phi=1.0, architecture=b1, evaluation="imagenet-5"),
    ]
    store.save_family(
        job.id, "family", baseline=b0, rule="compound", coefficients={"alpha": 1.2}, rows=members
    )
    store.set_job_state(job.id, "completed")


def _evaluation(row: Any, job: str, number: int, accuracy: float) -> EvaluationRow:
    costs = ("macs", "parameters", "activations", "memory_bytes")
    return EvaluationRow(
        key=f"imagenet-{number}",
        subject=row.fingerprint,
        architecture=row.fingerprint,
        dataset=IMAGENET,
        split="",
        recipe="0123456789",
        evaluator="training",
        seed=0,
        job=job,
        val_accuracy=accuracy,
        val_accuracy_se=0.002,
        val_accuracy_spread=0.001,
        test_accuracy=accuracy - 0.01,
        test_accuracy_se=0.002,
        fidelity=5.0,
        seconds=4_000.0,
        device="cpu",
        curve=tuple(
            {"epoch": float(e), "val_accuracy": accuracy * e / 5, "train_accuracy": accuracy}
            for e in range(1, 6)
        ),
        **{name: getattr(row, name) for name in costs},
    )


def _table(store: Store) -> None:
    objectives = (
        {"metric": "mean_acc", "maximize": True, "known": False},
        {"metric": "flops", "maximize": False, "known": True},
    )
    spec = {"name": "toy", "evaluator": {"name": "table"}, "search": {"trials": 4}}
    space = {"decisions": {"kernel": [1, 3, 5, 7]}}
    job = store.create_job("toy", spec, space, objectives=objectives, reference=(0.0, 100.0))
    trials = [NewTrial(number=n, choices={"kernel": 2 * n + 1}) for n in range(4)]
    store.add_trials(job.id, trials)
    for n in range(3):
        row = EvaluationRow(
            key=f"toy-{n}",
            subject=f"kernel {n}",
            dataset="t",
            split="",
            recipe="",
            evaluator="table:t",
            seed=0,
            job=job.id,
            metrics={"mean_acc": 60.0 + n, "flops": 10.0 * (n + 1)},
        )
        values = (60.0 + n, 10.0 * (n + 1))
        store.finish_trial(
            job.id, TrialEnd(number=n, state="completed", values=values, evaluation=row)
        )
    store.finish_trial(job.id, TrialEnd(number=3, state="infeasible", reason="no such row"))
    store.set_job_state(job.id, "failed", "the table went away")
