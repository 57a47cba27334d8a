"""Plan of a job over a table: trials have choices and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas.cost import COST_METRICS
from nas.errors import InvalidRequestError
from nas.evaluation.contract import EvaluationKey
from nas.evaluation.table import TableEvaluator
from nas.evaluation.table_file import Cells, Table, make_table, read_cells
from nas.jobs.spec import JobSpec
from nas.quantity import Bound, format_quantity
from nas.search.candidates import Candidate
from nas.search.choices import choices_digest, read_decisions, violation_of
from nas.search.driver import Proposal
from nas.search.objectives import parse_constraints, parse_objectives
from nas.search.samplers.contract import ObjectiveSpec, Problem
from search_spaces.space import Choices, Decision, SearchSpace
from search_spaces.spaces import get_space


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """A job over a table with everything it needs, short of a store.

    Args:
        known: Columns that are exact before any evaluation.
        finite: Whether only choices that are in the table are offered.
        reference: Reference point of the hypervolume, in the objectives' order.
    """

    spec: JobSpec
    table: Table
    known: tuple[str, ...]
    finite: bool
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[Bound, ...]
    reference: tuple[float, ...]

    @property
    def data_hash(self) -> str:
        """What must be the same for the job to go on."""
        return self.table.digest

    @property
    def evaluator(self) -> TableEvaluator:
        """What looks choices up in this job."""
        needs = tuple(o.metric for o in self.objectives)
        identity = f"table:{self.table.digest[:16]}:{','.join(needs)}"
        return TableEvaluator(identity=identity, needs=needs, table=self.table)

    def space_document(self) -> dict[str, Any]:
        """The space as the store keeps it."""
        decisions = {d.name: list(d.options) for d in self.table.decisions}
        return {"decisions": decisions, "finite": self.finite}

    def describe(self) -> str:
        """The table in a few words."""
        rows, decisions = len(self.table.rows), len(self.table.decisions)
        offered = ", and no other choices" if self.finite else ""
        return f"table {self.table.name}: {rows:,} rows of {decisions} decisions{offered}"

    @property
    def notes(self) -> list[str]:
        """What was odd about the table: nothing, or it would have been refused."""
        return []

    @property
    def stopping(self) -> None:
        """A look into a table has no way to stop on."""
        return None

    def problem(self) -> Problem:
        """What the job's sampler is told."""
        costs = partial(self.table.look_up, self.known) if self.known else None
        return Problem(
            decisions=self.table.decisions,
            objectives=self.objectives,
            seed=self.spec.search.seed,
            known_costs=costs,
            constraint_violation=(
                violation_of(self.constraints, costs) if self.constraints and costs else None
            ),
            rows=self.table.rows if self.finite else None,
            reference=self.reference,
        )

    def propose(self, choices: Choices) -> Proposal:
        """A row with its known costs, or that there is none."""
        row = self.table.find(choices)
        if row is None:
            return Proposal(reason=f"{self.table.name} has no such row")
        costs = {name: float(self.table.numbers[name][row]) for name in self.known}
        evaluator = self.evaluator
        key = EvaluationKey(
            subject=choices_digest(choices),
            dataset="",
            split="",
            recipe="",
            evaluator=evaluator.identity,
            seed=0,  # a table says the same to all
        )
        whole = {name: costs[name] for name in costs if costs[name].is_integer()}
        candidate = Candidate(key=key, evaluator=evaluator, choices=choices, costs=whole)
        return Proposal(costs=costs, candidate=candidate)


def make_table_plan(spec: JobSpec) -> TablePlan:
    """Work a job over a table out; everything that can be wrong with it is said here.

    Raises:
        InvalidRequestError, SearchSpaceError: In one sentence.
    """
    _check_spec(spec)
    file = spec.evaluator.file
    if file is None:
        raise InvalidRequestError(
            "`evaluator` must name the table's file, as 'table:FILE.csv' or "
            "{name: table, file: FILE.csv}."
        )
    cells = read_cells(Path(file))
    for name in spec.evaluator.known_costs:
        cells.column(name, "Known cost")
    objectives = _objectives(spec, cells)
    exact = [name for name in COST_METRICS if name in cells.columns]
    known = tuple(dict.fromkeys((*spec.evaluator.known_costs, *exact)))
    constraints = _constraints(spec, known)
    decisions, finite = _space(spec)
    table = make_table(
        cells,
        decisions or spec.evaluator.decisions,
        measured=[
            *(o.metric for o in objectives if o.metric not in known),
            *(name for name in spec.evaluator.metrics if name not in known),
        ],
        known=known,
    )
    _check_constraints(constraints, table)
    return TablePlan(
        spec=spec,
        table=table,
        known=known,
        finite=finite,
        objectives=objectives,
        constraints=constraints,
        reference=_reference(spec, objectives, constraints, table),
    )


def _check_spec(spec: JobSpec) -> None:
    parts = {
        "scaling": spec.scaling is not None,
        "export": bool(spec.export),
        "search.start_with": bool(spec.search.start_with),
        "search.early_stopping": spec.search.early_stopping is not None,
        "resolution": spec.resolution is not None,
    }
    for name, given in parts.items():
        if given:
            raise InvalidRequestError(
                f"A job over a table has choices and no networks, so `{name}` must be left out."
            )


def _objectives(spec: JobSpec, cells: Cells) -> tuple[ObjectiveSpec, ...]:
    """The job's objectives, each a column; 'accuracy' may be `val_accuracy`."""
    texts = []
    for text in spec.search.objectives:
        name, colon, direction = text.partition(":")
        name = name.strip()
        if name == "accuracy" and name not in cells.columns and "val_accuracy" in cells.columns:
            name, colon, direction = "val_accuracy", ":", direction or "maximize"
        cells.column(name, "Objective")
        texts.append(f"{name}{colon}{direction}")
    return parse_objectives(texts, spec.evaluator.metrics, spec.evaluator.known_costs)


def _constraints(spec: JobSpec, known: Sequence[str]) -> tuple[Bound, ...]:
    if spec.search.constraints and not known:
        raise InvalidRequestError(
            f"A constraint must be on a known cost, but got {spec.search.constraints[0]!r}; "
            f"name its column in `evaluator.known_costs`."
        )
    return parse_constraints(spec.search.constraints, known)


def _check_constraints(constraints: Sequence[Bound], table: Table) -> None:
    met = [True] * len(table.rows)
    for bound in constraints:
        column = table.numbers[bound.metric].tolist()
        meets = [bound.violation(value) == 0 for value in column]
        if not any(meets):
            nearest = min(column) if bound.at_most else max(column)
            raise InvalidRequestError(
                f"No row of {table.name} meets {bound}; the nearest has {format_quantity(nearest)}."
            )
        met = [both and meet for both, meet in zip(met, meets)]
    if not any(met):
        raise InvalidRequestError(
            f"No row of {table.name} meets all of {', '.join(map(str, constraints))}."
        )


def _space(spec: JobSpec) -> tuple[tuple[Decision, ...], bool]:
    """The decisions that the job names, if it does, and whether only rows are offered."""
    space = spec.space
    if isinstance(space, str):
        if space in ("table", "finite"):
            return (), space == "finite"
        return get_space(space).decisions, False
    if "stages" in space:
        return SearchSpace.from_dict(space).decisions, False
    unknown = set(space) - {"finite", "decisions"}
    finite, decisions = space.get("finite", False), space.get("decisions")
    if unknown or not isinstance(finite, bool):
        raise InvalidRequestError(
            f"The `space` of a job over a table must be 'table', 'finite', a search space, or "
            f"{{finite: true, decisions: {{NAME: [OPTION, ...]}}}}, but got {dict(space)!r:.80}."
        )
    return (read_decisions(decisions) if decisions is not None else ()), finite


def _reference(
    spec: JobSpec,
    objectives: Sequence[ObjectiveSpec],
    constraints: Sequence[Bound],
    table: Table,
) -> tuple[float, ...]:
    """The user's reference point; else a bound on a cost, else the worst of the table."""
    given = dict(spec.search.reference)
    limits = {b.metric: b.limit for b in constraints if b.at_most}
    point = []
    for objective in objectives:
        name, column = objective.metric, table.numbers[objective.metric]
        known = column[column == column]
        if not len(known):
            raise InvalidRequestError(f"Column {name!r} of {table.name} has no numbers.")
        worst = float(known.min() if objective.maximize else known.max())
        alias = "accuracy" if name == "val_accuracy" else name
        point.append(float(given.pop(name, given.pop(alias, limits.get(name, worst)))))
    if given:
        raise InvalidRequestError(
            f"`search.reference` must name objectives, but got {', '.join(sorted(given))}."
        )
    return tuple(point)
