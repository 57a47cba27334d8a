"""What evaluations and trials look like in the store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nas.cost import Costs, count
from nas.evaluation.contract import Outcome
from nas.search.samplers.contract import TrialRecord, TrialState
from nas.store import ArchitectureRow, EvaluationRow, TrialRow
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from nas.search.candidates import Candidate


def architecture_row(architecture: Architecture, costs: Costs | None = None) -> ArchitectureRow:
    """An architecture with its exact costs, counted here if not given, as the store keeps it."""
    costs = costs or count(architecture)
    return ArchitectureRow(
        fingerprint=architecture.fingerprint,
        body_fingerprint=architecture.body_fingerprint,
        document=architecture.to_json(),
        macs=costs.macs,
        parameters=costs.parameters,
        activations=costs.activations,
        memory_bytes=costs.memory_bytes,
        resolution=architecture.resolution,
        num_classes=architecture.num_classes,
        input_channels=architecture.input_channels,
    )


def evaluation_row(
    candidate: Candidate, outcome: Outcome, costs: Mapping[str, float], job: str | None
) -> EvaluationRow:
    """An outcome under its key; what is not a finite number is left out of the metrics."""
    key = candidate.key
    metrics = {name: v for name, v in outcome.metrics.items() if math.isfinite(v)}
    val_accuracy = metrics.pop("val_accuracy", metrics.pop("accuracy", None))
    test_accuracy = metrics.pop("test_accuracy", None)
    return EvaluationRow(
        key=key.digest,
        subject=key.subject,
        dataset=key.dataset,
        split=key.split,
        recipe=key.recipe,
        evaluator=key.evaluator,
        seed=key.seed,
        train_on=key.train_on,
        architecture=candidate.architecture.fingerprint if candidate.architecture else None,
        job=job,
        status=outcome.status.value,
        reason=outcome.reason,
        val_accuracy=val_accuracy,
        val_accuracy_se=sampling_error(val_accuracy, outcome.val_samples),
        val_samples=outcome.val_samples,
        test_accuracy=test_accuracy,
        test_accuracy_se=sampling_error(test_accuracy, outcome.test_samples),
        test_samples=outcome.test_samples,
        macs=_whole(costs.get("macs")),
        parameters=_whole(costs.get("parameters")),
        activations=_whole(costs.get("activations")),
        memory_bytes=_whole(costs.get("memory_bytes")),
        fidelity=outcome.fidelity,
        seconds=outcome.seconds,
        device=outcome.device,
        metrics=metrics,
        curve=outcome.curve,
        details=outcome.details,
        weights=outcome.weights,
    )


def metrics_of(row: EvaluationRow) -> dict[str, float]:
    """Everything an evaluation measured, by name."""
    accuracies = {"val_accuracy": row.val_accuracy, "test_accuracy": row.test_accuracy}
    return {**row.metrics, **{k: v for k, v in accuracies.items() if v is not None}}


def sampling_error(share: float | None, samples: int) -> float | None:
    """Standard error of a share counted over so many images, sqrt(p (1 - p) / n).

    >>> round(sampling_error(0.9, 100), 3)
    0.03
    """
    if share is None or samples <= 0 or not 0.0 <= share <= 1.0:
        return None
    return math.sqrt(share * (1.0 - share) / samples)


def trial_records(rows: Sequence[TrialRow]) -> list[TrialRecord]:
    """Stored trials as a sampler knows them; a trial that waited or ran is running."""
    return [
        TrialRecord(
            number=row.number,
            choices=row.choices,
            state=TrialState.RUNNING
            if row.state in ("waiting", "running")
            else TrialState(row.state),
            values=row.values,
            errors=row.errors,
            violation=row.violation,
            attributes=row.attributes,
        )
        for row in rows
    ]


def _whole(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else int(value)
