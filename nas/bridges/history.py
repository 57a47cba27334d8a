"""A job's trials with all that came of them, read once for whichever bridge writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.cost import COST_METRICS as COSTS
from nas.errors import InvalidRequestError
from nas.jobs.front import SEARCHED, is_over_table
from nas.quantity import Bound, parse_bound
from nas.store import EvaluationRow, FamilyRow, JobRow, Store, TrialRow
from search_spaces.space import Option, SearchSpace

ACCURACIES = ("val_accuracy", "val_accuracy_se", "test_accuracy", "test_accuracy_se")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialHistory:
    """A trial with its evaluation and its exact costs, as far as there are any."""

    row: TrialRow
    evaluation: EvaluationRow | None
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """Every finite number that is known of it, by name."""
        found: dict[str, float] = dict(self.costs)
        if self.evaluation is not None:
            numbers = {name: getattr(self.evaluation, name) for name in (*ACCURACIES, "seconds")}
            found |= {name: float(v) for name, v in numbers.items() if v is not None}
            found |= self.evaluation.metrics
        return {name: value for name, value in found.items() if math.isfinite(value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A job as the other tools see one.

    Args:
        options: Every decision of the space with its options, in the space's order.
        trials: Those of the search; members of families stand under `families`.
        members: Trials of the families' members, by the key of their evaluation.
    """

    job: JobRow
    options: Mapping[str, tuple[Option, ...]]
    bounds: tuple[Bound, ...]
    trials: tuple[TrialHistory, ...]
    families: tuple[FamilyRow, ...]
    members: Mapping[str, EvaluationRow]

    def violations(self, trial: TrialHistory) -> list[float]:
        """How far a trial is beyond each bound, relative to it: at most 0 where it holds."""
        return [_signed(bound, trial.metrics, trial.row.violation) for bound in self.bounds]


def curve_of(evaluation: EvaluationRow | None) -> list[tuple[int, dict[str, float]]]:
    """A learning curve: each epoch's number and its finite numbers."""
    rows = evaluation.curve if evaluation is not None else ()
    return [
        (
            int(row.get("epoch", place)),
            {k: float(v) for k, v in row.items() if k != "epoch" and math.isfinite(v)},
        )
        for place, row in enumerate(rows, start=1)
    ]


def read_history(store: Store, job: JobRow) -> History:
    """Read a job from the store."""
    rows = store.trials(job.id, SEARCHED)
    families = tuple(store.families(job.id))
    keys = [row.evaluation for row in rows if row.evaluation is not None]
    of_members = [m.evaluation for f in families for m in f.members if m.evaluation is not None]
    found = store.evaluations([*keys, *of_members])
    return History(
        job=job,
        options=_options(job, rows),
        bounds=_bounds(job),
        trials=tuple(_trial(store, row, found.get(row.evaluation or "")) for row in rows),
        families=families,
        members={key: found[key] for key in of_members if key in found},
    )


def _trial(store: Store, row: TrialRow, evaluation: EvaluationRow | None) -> TrialHistory:
    source: Any = evaluation
    if evaluation is None and row.architecture is not None:
        source = store.find_architecture(row.architecture)
    costs = {name: getattr(source, name, None) for name in COSTS}
    known = {name: float(value) for name, value in costs.items() if value is not None}
    return TrialHistory(row=row, evaluation=evaluation, costs=known)


def _options(job: JobRow, rows: Sequence[TrialRow]) -> dict[str, tuple[Option, ...]]:
    """The space's options, and what trials chose beyond them (an older form of the space)."""
    if is_over_table(job):
        declared = {name: list(options) for name, options in job.space["decisions"].items()}
    elif job.space:
        space = SearchSpace.from_dict(job.space)
        declared = {decision.name: list(decision.options) for decision in space.decisions}
    else:  # submitted, and not taken up yet
        declared = {}
    for row in rows:
        for name, choice in row.choices.items():
            options = declared.setdefault(name, [])
            if choice not in options:
                options.append(choice)
    return {name: tuple(options) for name, options in declared.items()}


def _bounds(job: JobRow) -> tuple[Bound, ...]:
    found = []
    for text in job.spec.get("search", {}).get("constraints", ()):
        try:
            metric = str(text).replace(">", "<").partition("<")[0].strip()
            found.append(parse_bound(str(text), [metric]))
        except InvalidRequestError:  # written by another version; the totals say the rest
            continue
    return tuple(found)


def _signed(bound: Bound, metrics: Mapping[str, float], total: float) -> float:
    if bound.metric not in metrics:
        return total
    excess = metrics[bound.metric] - bound.limit
    return (excess if bound.at_most else -excess) / (abs(bound.limit) or 1.0)
