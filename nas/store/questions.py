"""What can be asked about models, and how the answers look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from nas.errors import InvalidRequestError
from nas.quantity import Bound


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


GROUP_PARTS = ("dataset", "split", "recipe", "evaluator", "train_on", "fidelity")
"""What decides whether two evaluations may be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which completed evaluations a question is about; what is left out doesn't narrow it.

    Args:
        job: Id of the job whose trials used them; several mean any of them.
        origins: With `job` or `space`: of which of their trials; None means all.
        comparable: `Comparable.id`.
        dataset: Content hash, its beginning, or the data set's name.
        recipe: Digest or its beginning.
        space: Name of the search space that the jobs searched.
        family: Id of a family, or its name with `job`: its members' evaluations.
        since, until: When they were written: from, and before.
        device, runtime, precision, batch_size, threads: Where and how the metrics were measured
            that are not an evaluation's own, such as latency_ms; `latency_ms@DEVICE` names the
            device of one metric. A device is an id or a name.
        at_most, at_least: Bounds by metric.
        mixed: Compare what differs in data set, recipe or fidelity all the same: True, or names
            of `GROUP_PARTS` that may differ.
    """

    job: str | tuple[str, ...] | None = None
    origins: tuple[str, ...] | None = ("search", "known")
    comparable: str | None = None
    dataset: str | None = None
    split: str | None = None
    recipe: str | None = None
    evaluator: str | None = None
    train_on: str | None = None
    fidelity: float | None = None
    architecture: str | None = None
    space: str | None = None
    family: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    device: str | None = None
    runtime: str | None = None
    precision: str | None = None
    batch_size: int | None = None
    threads: int | None = None
    at_most: Mapping[str, float] = field(default_factory=dict)
    at_least: Mapping[str, float] = field(default_factory=dict)
    mixed: bool | tuple[str, ...] = False

    def within(self, bounds: Iterable[Bound]) -> Filter:
        """The same with these bounds, in place of any it has.

        >>> Filter(job="a").within([Bound("macs", 3e6)]).at_most
        {'macs': 3000000.0}
        """
        bounds = list(bounds)
        return replace(
            self,
            at_most={b.metric: b.limit for b in bounds if b.at_most},
            at_least={b.metric: b.limit for b in bounds if not b.at_most},
        )

    def __post_init__(self) -> None:
        if isinstance(self.mixed, tuple) and not set(self.mixed) <= set(GROUP_PARTS):
            raise InvalidRequestError(
                f"`mixed` must name some of {', '.join(GROUP_PARTS)}, but got "
                f"{', '.join(map(repr, self.mixed))}."
            )
        for name in ("since", "until"):
            time = getattr(self, name)
            if time is not None and time.tzinfo is None:
                raise InvalidRequestError(f"`{name}` must have a time zone, but got {time}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric that was measured on a device: `name` is what a question calls it."""

    metric: str
    device: str
    device_name: str

    @property
    def name(self) -> str:
        return f"{self.metric}@{self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a metric was measured on a device."""

    runtime: str
    precision: str
    batch_size: int | None
    threads: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """An evaluated model, as listings and fronts show it.

    Args:
        job, trial: Where it is named JOB/12; None where no trial used it.
        metrics: The evaluator's own, and what the question was about of measurements: by
            `latency_ms@DEVICE`, if it was asked so.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some models of a long list.

    Args:
        after: Ask with this for the page that follows; None where this is the last.
    """

    rows: tuple[ModelRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What a job added to another's front.

    Args:
        rows: Models of the second job on the front of both that the first job doesn't have.
        displaced: Models of the first job's front that are not on the front of both.
    """

    rows: tuple[ModelRow, ...]
    displaced: tuple[ModelRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePoint:
    """The hypervolume of a job's front after the trial that last changed it."""

    at: datetime
    trial: int
    evaluation: str
    hypervolume: float
