"""What can be asked about models, and how the answers look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """Evaluations that may stand on one front: same data, recipe, evaluator and fidelity."""

    id: str
    dataset: str
    split: str
    recipe: str
    evaluator: str
    train_on: str
    fidelity: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which completed evaluations a question is about; what is left out doesn't narrow it.

    Args:
        job: Id of the job whose trials used them.
        origins: With `job`: of which of its trials; None means all.
        comparable: `Comparable.id`.
        at_most, at_least: Bounds by metric.
        mixed: Compare what differs in data set, recipe or fidelity all the same.
    """

    job: str | None = None
    origins: tuple[str, ...] | None = ("search", "known")
    comparable: str | None = None
    dataset: str | None = None
    recipe: str | None = None
    evaluator: str | None = None
    train_on: str | None = None
    architecture: str | None = None
    at_most: Mapping[str, float] = field(default_factory=dict)
    at_least: Mapping[str, float] = field(default_factory=dict)
    mixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """An evaluated model, as listings and fronts show it.

    Args:
        job, trial: Where it is named JOB/12; None where no trial used it.
        tied: Dominated, but not by more than the errors of the two accuracies.
    """

    evaluation: str
    architecture: str | None
    subject: str
    job: str | None
    trial: int | None
    dataset: str
    recipe: str
    seed: int
    fidelity: float
    val_accuracy: float | None
    val_accuracy_se: float | None
    test_accuracy: float | None
    test_accuracy_se: float | None
    macs: int | None
    parameters: int | None
    activations: int | None
    memory_bytes: int | None
    seconds: float
    device: str
    metrics: Mapping[str, float]
    created_at: datetime
    tied: bool = False
