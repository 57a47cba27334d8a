"""What goes into the store and comes out of it: frozen rows, never database objects.

States, statuses and origins are plain strings here (a `StrEnum` member is one), because the
enums live in the rooms above. Times are aware and in UTC; the store fills in those left at None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job stands; the last four are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"


ENDED_JOB_STATES = (JobState.COMPLETED, JobState.STOPPED, JobState.FAILED, JobState.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job.

    Args:
        id: Eight hexadecimal digits.
        spec, space: The job file and the search space as plain values.
        objectives: One mapping an objective, in order: metric, maximize, known.
        reference: Reference point of the hypervolume, in the objectives' order.
        attributes: Whatever else a driver needs to go on; see `Store.update_job`.
        driver: Name of the driver that holds the job until `lease_expires_at`, if one does.
        message: Why it ended, where that is worth a word.
    """

    id: str
    name: str
    owner: str
    kind: str
    state: str
    message: str
    spec: Mapping[str, Any]
    space: Mapping[str, Any]
    objectives: tuple[Mapping[str, Any], ...]
    reference: tuple[float, ...] | None
    attributes: Mapping[str, Any]
    package_version: str
    driver: str | None
    driver_host: str | None
    driver_pid: int | None
    heartbeat_at: datetime | None
    lease_expires_at: datetime | None
    ray_id: str | None
    request_key: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureRow:
    """A network with its exact costs.

    Args:
        document: Its canonical JSON, as `Architecture.to_json` writes it.
        memory_bytes: Peak inference memory at batch 1.
    """

    fingerprint: str
    body_fingerprint: str
    document: str
    macs: int
    parameters: int
    activations: int
    memory_bytes: int
    resolution: int
    num_classes: int
    input_channels: int
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrial:
    """A trial to put down; one that breaks a bound on a cost comes in already ended.

    Args:
        number: From 0, within its job.
        architecture: None where the choices mean no network.
        attributes: The sampler's own.
        origin: What suggested it: 'search', 'known', 'coefficients', 'family'.
    """

    number: int
    choices: Mapping[str, Any]
    state: str = "waiting"
    origin: str = "search"
    architecture: ArchitectureRow | None = None
    values: Sequence[float] | None = None
    errors: Sequence[float] | None = None
    violation: float = 0.0
    reason: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One start of a trial, and how it went; several where workers died.

    Args:
        cpus, gpus: What it held; None in rows from before this was kept.
        energy_j: Of its GPU; None where that is not known, or there was none.
        energy_note: Why there is none, or of which part of the attempt it is.
    """

    trial: int
    number: int
    state: str
    worker: str = ""
    device: str = ""
    error: str = ""
    seconds: float = 0.0
    fidelity: float = 0.0
    cpus: float | None = None
    gpus: float | None = None
    energy_j: float | None = None
    energy_note: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """An accuracy under one evaluation key; what has the same key is computed once.

    Args:
        key: The key's digest; the fields up to `train_on` are the key's.
        architecture: Fingerprint; None where a trial has no network (a table benchmark).
        status: 'completed', or why there is no accuracy: 'infeasible', 'failed', 'pruned'.
        val_accuracy_se: Its sampling error, sqrt(p (1 - p) / n); `val_accuracy_spread` is the
            standard deviation between seeds, where several were trained.
        macs, parameters, activations, memory_bytes: The architecture's, or the table's own.
        metrics: Every other metric, by name; what is not a number is left out.
        weights: (name under the artifact location, SHA-256, bytes), if they were kept.
        job: The job that computed it.
    """

    key: str
    subject: str
    dataset: str
    split: str
    recipe: str
    evaluator: str
    seed: int
    train_on: str = "train"
    architecture: str | None = None
    job: str | None = None
    status: str = "completed"
    reason: str = ""
    val_accuracy: float | None = None
    val_accuracy_se: float | None = None
    val_accuracy_spread: float | None = None
    val_samples: int = 0
    test_accuracy: float | None = None
    test_accuracy_se: float | None = None
    test_samples: int = 0
    macs: int | None = None
    parameters: int | None = None
    activations: int | None = None
    memory_bytes: int | None = None
    fidelity: float = 0.0
    seconds: float = 0.0
    device: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Mapping[str, float], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, str, int] | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementRow:
    """A value of a metric with what it was measured on; of an architecture, an evaluation (these
    weights) or an artifact (this file). A value of None has its `reason`."""

    metric: str
    value: float | None
    error: float | None = None
    unit: str = ""
    architecture: str | None = None
    evaluation: str | None = None
    artifact: int | None = None
    device: str | None = None
    runtime: str = ""
    precision: str = ""
    batch_size: int | None = None
    threads: int | None = None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A trial as it stands.

    Args:
        values, errors: One an objective, in the objectives' order and own direction.
        evaluation: Key of the evaluation that it got its values from.
        reused: That evaluation was there before this trial wanted it.
    """

    job: str
    number: int
    origin: str
    state: str
    choices: Mapping[str, Any]
    architecture: str | None
    values: tuple[float, ...] | None
    errors: tuple[float, ...] | None
    violation: float
    reason: str
    attributes: Mapping[str, Any]
    evaluation: str | None
    reused: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """How a trial ended; all of it is written in one transaction.

    Args:
        attributes: None leaves those that are stored.
        evaluation: A new one to save, or the key of one that is stored.
    """

    number: int
    state: str
    values: Sequence[float] | None = None
    errors: Sequence[float] | None = None
    violation: float = 0.0
    reason: str = ""
    attributes: Mapping[str, Any] | None = None
    evaluation: EvaluationRow | str | None = None
    reused: bool = False
    measurements: tuple[MeasurementRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """A member of a family.

    Args:
        multipliers: What the rule gave: depth, width, resolution, before rounding.
        target: Cost aimed at, where there was one.
        evaluation: Key of its evaluation, once trained.
        macs, parameters, resolution, val_accuracy, test_accuracy: Filled in by the store, from
            the architecture and the evaluation.
    """

    number: int
    architecture: str
    name: str = ""
    phi: float | None = None
    target: float | None = None
    multipliers: Mapping[str, float] = field(default_factory=dict)
    evaluation: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    macs: int | None = None
    parameters: int | None = None
    resolution: int | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRow:
    """A baseline and what it grew into; a job has one family of a name."""

    id: str
    job: str
    name: str
    baseline: str
    rule: str
    coefficients: Mapping[str, float]
    details: Mapping[str, Any]
    members: tuple[MemberRow, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRow:
    """A file under the artifact location.

    Args:
        kind: 'weights', 'safetensors', 'onnx', 'torch_export' and the like.
        name: Path below the artifact location.
        parent: Id of the artifact that it was made from.
        details: The training or conversion that made it.
    """

    sha256: str
    kind: str
    name: str
    bytes: int
    architecture: str | None = None
    evaluation: str | None = None
    job: str | None = None
    parent: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """A data set by content hash.

    Args:
        sizes: Images by part: train, val, test.
        details: Shape, normalisation, how it was split, and the like.
    """

    hash: str
    name: str
    location: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRow:
    """A recipe by its digest."""

    digest: str
    document: Mapping[str, Any]
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A device that something was measured on."""

    id: str
    kind: str
    name: str
    memory_bytes: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token for a server, without the token itself.

    Args:
        digest: Its SHA-256.
        scopes: Of 'read', 'submit', 'admin'.
    """

    id: str
    digest: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRow:
    """A file that somebody asked for.

    Args:
        id: The same for whoever asks for the same.
        job: Whose data and recipe it goes by.
        trains: Whether it is trained first where there are no weights.
        state: 'waiting', 'running', 'completed', 'failed'; with its `message`.
        artifact: Id of the file, once it is there.
    """

    id: str
    job: str
    architecture: str
    format: str
    trains: bool
    owner: str
    state: str = "waiting"
    message: str = ""
    worker: str | None = None
    lease_expires_at: datetime | None = None
    artifact: int | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
