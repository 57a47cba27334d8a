"""What the HTTP API answers with, as frozen data: the server writes it, `nas.client` reads it.

Models, evaluations and families come as the store's own rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nas.jobs.accounts import Accounts
from nas.store.questions import ModelRow
from nas.store.rows import ArtifactRow, EvaluationRow, FamilyRow, MeasurementRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What was wrong with a request (RFC 9457).

    Args:
        detail: One sentence: the rule, what arrived, the way out.
        field: Where in the request; `line` is that of a posted text.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who asks, and the largest scope that they have."""

    name: str
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as listings show it.

    Args:
        state: 'waiting', 'running', 'completed', 'stopped', 'failed', 'lost', 'interrupted',
            'pending' or 'unreachable'.
        trials: How many trials are in each state.
        objectives: Such as 'accuracy: maximize'; empty until its driver has begun.
    """

    id: str
    name: str
    owner: str
    kind: str
    state: str
    message: str
    trials: Mapping[str, int]
    objectives: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some jobs, the latest first; ask with `after` for those that follow."""

    rows: tuple[Job, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A job as it stands.

    Args:
        spec: The job file as it is stored, without what is at its default.
        front: Non-dominated models of the search by the job's objectives, cheapest first.
        chosen: The family member with the best validation accuracy; of equals the cheapest.
        trained: Evaluations that this job computed; `reused` came from the store.
    """

    job: Job
    spec: Mapping[str, Any]
    front: tuple[ModelRow, ...]
    best_accuracy: float | None
    hypervolume: float | None
    family: FamilyRow | None
    chosen: ModelRow | None
    trained: int
    reused: int
    seconds: float
    usage: Accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is.

    Args:
        done, total: Completed trials of the search, and how many were asked for.
        ended: Whether nothing more will come.
    """

    job: str
    state: str
    message: str
    trials: Mapping[str, int]
    done: int
    total: int
    best_accuracy: float | None
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a job has printed from a byte on; `next` is the byte to go on from."""

    text: str
    next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a posted job would be; nothing was started.

    Args:
        data: Its data or table in a few words; None where it was not read, being large.
        networks: How many the space holds; None over a table.
        notes: What is worth knowing before it is started.
    """

    data: str | None
    networks: float | None
    objectives: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial; `values` are in the order of the job's objectives."""

    number: int
    origin: str
    state: str
    choices: Mapping[str, Any]
    architecture: str | None
    values: tuple[float, ...] | None
    errors: tuple[float, ...] | None
    reason: str
    evaluation: str | None
    reused: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPage:
    """Some trials by their number; ask with `after` for those that follow."""

    rows: tuple[Trial, ...]
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPage:
    """Some models of a list; ask with `after` for those that follow."""

    rows: tuple[ModelRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Exact costs; MACs are multiply-accumulates, memory the peak of inference at batch 1."""

    macs: int
    parameters: int
    activations: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """A network's costs, and those of its stem, stages and head."""

    fingerprint: str
    resolution: int
    total: Costs
    stages: Mapping[str, Costs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as data: `document` is what `nas` commands and `costs` take."""

    fingerprint: str
    body_fingerprint: str
    document: Mapping[str, Any]
    costs: CostReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known of a network: evaluations under every recipe, measurements, files."""

    fingerprint: str
    evaluations: tuple[EvaluationRow, ...]
    measurements: tuple[MeasurementRow, ...]
    artifacts: tuple[ArtifactRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPage:
    """Some families, the latest first; ask with `after` for those that follow."""

    rows: tuple[FamilyRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A search space that a job may name."""

    name: str
    networks: float
    decisions: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedNetwork:
    """A network of a paper; costs are counted, `printed_...` is what the source prints."""

    name: str
    resolution: int
    macs: int
    parameters: int
    printed_macs: str | None
    printed_parameters: str | None
    top1_percent: float | None
    source: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a posted job may name on this server."""

    data: tuple[str, ...]
    spaces: tuple[str, ...]
    evaluators: tuple[str, ...]
    samplers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file that was asked for.

    Args:
        state: 'waiting', 'running', 'completed' or 'failed'; with its `message`.
        sha256, bytes, filename: Of the file, once it is there.
    """

    id: str
    job: str
    architecture: str
    format: str
    train: bool
    state: str
    message: str
    sha256: str | None
    bytes: int | None
    filename: str | None
    created_at: datetime
    ended_at: datetime | None
