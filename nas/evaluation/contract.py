"""Evaluator: architectures to metrics. What every way of evaluating promises."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from cluster.executor import Report
from nas.training.recipe import TrainOn
from search_spaces.architecture import Architecture
from search_spaces.space import Option


class Status(StrEnum):
    """How an evaluation, and so its trial, ended."""

    COMPLETED = "completed"
    INFEASIBLE = "infeasible"  # out of memory, a NaN loss, a bound not met; with the reason
    FAILED = "failed"  # an error; with the error
    PRUNED = "pruned"  # stopped early, at a lower fidelity


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationKey:
    """What makes two evaluations the same; the same key is never computed twice.

    Args:
        subject: Fingerprint of the architecture, or a hash of the choices where a trial has none.
        dataset: Content hash of the data set ('' for an evaluator without data).
        split: The split and its seed, as the data set names it.
        recipe: Hash of the recipe (epochs, resolution, initial weights included).
        evaluator: The evaluator's name and what it was prepared with.
        train_on: 'train' in a search; 'train+val' for a final model.
    """

    subject: str
    dataset: str
    split: str
    recipe: str
    evaluator: str
    seed: int
    train_on: TrainOn = "train"

    @property
    def digest(self) -> str:
        """32 hexadecimal digits, the same in every run and process."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One thing to evaluate: an architecture, or bare choices where a trial has none."""

    key: str
    architecture: Architecture | None = None
    choices: Mapping[str, Option] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one evaluation ended.

    Args:
        metrics: `val_accuracy` guides a search; `test_accuracy` is measured and never selected
            by; other names are free. All are shares or plain numbers (accuracy 0 to 1).
        val_samples, test_samples: Images behind the accuracies; give their sampling error.
        curve: One mapping an epoch: epoch, train_loss, val_accuracy, seconds.
        fidelity: Epochs actually trained (or what the evaluator calls a full result).
        weights: Name of the weights' file under the artifact location, with its SHA-256 and size.
    """

    key: str
    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    val_samples: int = 0
    test_samples: int = 0
    curve: tuple[Mapping[str, float], ...] = ()
    fidelity: float = 0.0
    seconds: float = 0.0
    device: str = ""
    weights: tuple[str, str, int] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Evaluator(Protocol):
    """Turns requests into outcomes, wherever it is unpickled. A frozen dataclass.

    `prepare` is called once in each process before the first `evaluate`, and caches by
    `identity`. `evaluate` yields reports on the way and returns one outcome a request, in order;
    a network that cannot be trained is an outcome with its reason, never an exception.
    """

    @property
    def identity(self) -> str:
        """Its name and what it is prepared with; part of every evaluation key."""

    @property
    def cheap(self) -> bool:
        """True where an evaluation takes milliseconds: it then runs in the driver, in batches."""

    def prepare(self) -> None:
        """Load or make what `evaluate` needs."""

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        """Evaluate, reporting on the way."""
