"""What a job found: the front, the baseline, the family, the model to take home."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas.jobs.accounts import Accounts, accounts_of
from nas.jobs.compare import Compared, read_comparison
from nas.jobs.front import SEARCHED, job_front
from nas.search.progress import RunningFront
from nas.search.samplers.contract import ObjectiveSpec
from nas.store import FamilyRow, Filter, JobRow, ModelRow, Store, TrialRow
from nas.store.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A job as it stands.

    Args:
        front: Non-dominated models of the search by the job's objectives, cheapest first.
        states: Search trials by state.
        chosen: The family member with the best validation accuracy; of equals the cheapest.
        trained: Evaluations that this job computed; `reused` came from the store.
    """

    job: JobRow
    states: Mapping[str, int]
    front: tuple[ModelRow, ...]
    best_accuracy: float
    hypervolume: float
    family: FamilyRow | None
    chosen: ModelRow | None
    members: tuple[ModelRow | None, ...]
    comparison: tuple[Compared, ...]
    trained: int
    reused: int
    seconds: float
    usage: Accounts

    def to_dict(self) -> dict[str, Any]:
        """Plain values for --json."""
        job = self.job
        return {
            "job": {"id": job.id, "name": job.name, "state": job.state, "message": job.message},
            "states": dict(self.states),
            "front": [asdict(row) for row in self.front],
            "best_accuracy": self.best_accuracy,
            "hypervolume": self.hypervolume,
            "family": None if self.family is None else asdict(self.family),
            "chosen": None if self.chosen is None else asdict(self.chosen),
            "comparison": [asdict(compared) for compared in self.comparison],
            "trained": self.trained,
            "reused": self.reused,
            "seconds": self.seconds,
            "usage": asdict(self.usage),
        }


def summarise(store: Store, job: JobRow) -> Summary:
    """Read what a job found from the store."""
    trials = store.trials(job.id)
    searched = [t for t in trials if t.origin in SEARCHED]
    models = {row.evaluation: row for row in store.models(Filter(job=job.id, origins=None))}
    families = [f for f in store.families(job.id) if not f.details.get("comparison")]
    family = families[-1] if families else None
    members = tuple(models.get(m.evaluation or "") for m in family.members) if family else ()
    states: dict[str, int] = {}
    for trial in searched:
        states[trial.state] = states.get(trial.state, 0) + 1
    ended = [t for t in trials if t.ended_at is not None]
    return Summary(
        job=job,
        states=states,
        front=tuple(job_front(store, job)),
        best_accuracy=_best(searched, models),
        hypervolume=_hypervolume(job, searched),
        family=family,
        chosen=choose_member(members),
        members=members,
        comparison=tuple(read_comparison(store, job)),
        trained=len({t.evaluation for t in trials if t.evaluation and not t.reused}),
        reused=sum(t.reused for t in trials),
        seconds=(
            (max(t.ended_at for t in ended if t.ended_at) - job.created_at).total_seconds()
            if ended
            else 0.0
        ),
        usage=accounts_of(job, store.usage(job.id).get(job.id, Usage())),
    )


def choose_member(members: Sequence[ModelRow | None]) -> ModelRow | None:
    """The member with the best validation accuracy; of equals the one with the fewest MACs.

    The test accuracy is never looked at: it is there to report.
    """
    trained = [m for m in members if m is not None and m.val_accuracy is not None]
    if not trained:
        return None
    return max(trained, key=lambda m: (m.val_accuracy or 0.0, -(m.macs or 0)))


def _best(trials: Sequence[TrialRow], models: Mapping[str, ModelRow]) -> float:
    found = [models.get(t.evaluation or "") for t in trials]
    accuracies = [model.val_accuracy for model in found if model is not None]
    return max((a for a in accuracies if a is not None), default=math.nan)


def _hypervolume(job: JobRow, trials: Sequence[TrialRow]) -> float:
    if job.reference is None:
        return math.nan
    front = RunningFront([ObjectiveSpec(**objective) for objective in job.objectives])
    for trial in trials:
        if trial.values is not None:
            front.add(trial.values)
    return front.hypervolume(job.reference)
