"""A search as one call in Python: any options, any function that evaluates them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np

from cluster.executor import Executor, InlineExecutor, OnReport, Report, Work
from cluster.threads import ThreadExecutor
from nas.errors import InvalidRequestError
from nas.evaluation.contract import EvaluationKey, Outcome
from nas.evaluation.python import FunctionEvaluator
from nas.pareto import non_dominated
from nas.quantity import Bound, parse_bound
from nas.search.candidates import Candidate, Finished
from nas.search.choices import (
    CostFunction,
    ManyCosts,
    choices_digest,
    known_costs,
    read_decisions,
    violation_of,
)
from nas.search.driver import Proposal, SearchSettings, drive
from nas.search.evaluations import Evaluations
from nas.search.memory import MemoryStore
from nas.search.records import metrics_of
from nas.search.samplers import make_sampler
from nas.search.samplers.contract import ObjectiveSpec, Problem, TrialRecord, TrialState
from nas.search.stopping import HalvingSettings
from search_spaces.space import Choices, Option, SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One suggestion, followed to its end.

    Args:
        values: Every metric by name, known costs included; empty unless it was completed.
        costs: The known costs, however it ended.
        fidelity: How far its evaluation went, in reports; 0 where there was none.
        reason: Why it was not completed.
    """

    number: int
    choice: Mapping[str, Option]
    state: TrialState
    values: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    fidelity: float = 0.0
    reason: str = ""


def run_search(
    *,
    space: Mapping[str, Iterable[Any]] | SearchSpace,
    evaluate: Callable[[dict[str, Option]], Any],
    objectives: Mapping[str, str],
    budget: int,
    known_costs: Mapping[str, CostFunction] | None = None,
    constraints: Sequence[str] = (),
    reference: Mapping[str, float] | None = None,
    sampler: str = "known_cost",
    sampler_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int = 1,
    early_stopping: Mapping[str, float] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Search, and return every trial in order. Nothing is stored.

    Args:
        space: Names and their options; or a search space, whose exact costs are then known.
        evaluate: Called with a choice, a dict of name to option; returns metrics by name. None,
            or an objective that is not finite, makes an infeasible trial, what it raises a
            failed one. A generator may yield metrics on the way. Equal choices are evaluated once.
        objectives: Metrics, each 'maximize' or 'minimize'.
        budget: Trials to evaluate; those that break a constraint don't count.
        known_costs: Metrics that are exact before any evaluation: functions of a list of choices
            to an array of as many numbers; NaN means that a choice can't be had.
        constraints: Bounds on known costs, such as 'macs <= 400M'.
        reference: The worst objectives of interest; else they are taken from the first trials.
        workers: Calls of `evaluate` side by side, in threads.
        early_stopping: Where `evaluate` is a generator that yields metrics: stop trials on their
            way, by `HalvingSettings`; `full` is how many yields make a whole one.
        on_trial: Hears each trial as it ends.

    Raises:
        InvalidRequestError: If any of these is wrong.
        NasError: If no choice meets the constraints, or nothing can be evaluated.

    >>> trials = run_search(
    ...     space={"width": [8, 16, 32], "kernel": [3, 5]},
    ...     evaluate=lambda choice: {"accuracy": choice["width"] * choice["kernel"]},
    ...     known_costs={"macs": lambda choices: [c["width"] * c["kernel"] ** 2 for c in choices]},
    ...     objectives={"accuracy": "maximize", "macs": "minimize"},
    ...     budget=6,
    ... )
    >>> best = pareto_front(trials, {"accuracy": "maximize", "macs": "minimize"})
    >>> sorted(trial.choice["width"] for trial in best if trial.choice["kernel"] == 3)
    [8, 16, 32]
    """
    for name, value in (("budget", budget), ("workers", workers)):
        if not isinstance(value, int) or value < 1:
            raise InvalidRequestError(f"`{name}` must be a whole number of 1 or more.")
    costs = _costs_of(space, known_costs)
    decisions = space.decisions if isinstance(space, SearchSpace) else read_decisions(space)
    first = {d.name: d.options[0] for d in decisions}
    cost_names = tuple(costs([first])) if costs is not None else ()
    specs = _objectives(objectives, cost_names)
    bounds = tuple(_constraint(text, cost_names) for text in constraints)
    point = _reference(reference, specs)
    problem = Problem(
        decisions=decisions,
        objectives=specs,
        seed=seed,
        known_costs=costs,
        constraint_violation=violation_of(bounds, costs) if bounds and costs else None,
        reference=point,
    )
    evaluator = FunctionEvaluator(
        function=evaluate,
        needs=tuple(o.metric for o in specs if not o.known),
        name=getattr(evaluate, "__name__", "evaluate"),
    )
    settings = SearchSettings(
        objectives=specs,
        propose=partial(_propose, evaluator, costs, seed),
        trials=budget,
        reference=point,
        constraints=bounds,
        stopping=None if early_stopping is None else _stopping(early_stopping),
    )
    log = _Collect(specs, on_trial)
    engine = make_sampler(sampler, problem, **(sampler_options or {}))
    with contextlib.closing(
        Evaluations(MemoryStore(), partial(_make_executor, workers), owner="run_search")
    ) as evaluations:
        drive(settings, engine, evaluations, log)
    return [log.trials[number] for number in sorted(log.trials)]


def pareto_front(trials: Sequence[Trial], objectives: Mapping[str, str]) -> list[Trial]:
    """The completed trials that no other beats in every objective, in their order."""
    specs = _objectives(objectives, ())
    done = [t for t in trials if t.state is TrialState.COMPLETED]
    points = [[trial.values[o.metric] for o in specs] for trial in done]
    if not done:
        return []
    kept = non_dominated(np.array(points), [o.maximize for o in specs])
    return [trial for trial, keep in zip(done, kept) if keep]


class _Collect:
    """The loop's log: trials as the caller gets them."""

    def __init__(
        self, objectives: Sequence[ObjectiveSpec], on_trial: Callable[[Trial], None] | None
    ) -> None:
        self._names = [objective.metric for objective in objectives]
        self._tell = on_trial or (lambda trial: None)
        self.trials: dict[int, Trial] = {}

    def started(self, records: Sequence[TrialRecord], proposals: Sequence[Proposal]) -> None:
        pass

    def ended(self, record: TrialRecord, proposal: Proposal, finished: Finished | None) -> None:
        values: dict[str, float] = {}
        if record.values is not None and finished is not None and finished.evaluation is not None:
            values = {**metrics_of(finished.evaluation), **proposal.costs}
            values.update(zip(self._names, record.values))
        trial = Trial(
            number=record.number,
            choice=dict(record.choices),
            state=record.state,
            values=values,
            costs=proposal.costs,
            fidelity=finished.evaluation.fidelity if finished and finished.evaluation else 0.0,
            reason=proposal.reason,
        )
        self.trials[record.number] = trial
        self._tell(trial)


def _costs_of(space: Any, functions: Mapping[str, CostFunction] | None) -> ManyCosts | None:
    if functions:
        for name, function in functions.items():
            if not callable(function):
                raise InvalidRequestError(
                    f"`known_costs[{name!r}]` must be a function of a list of choices, "
                    f"but got {function!r:.80}."
                )
        return known_costs(functions)
    if isinstance(space, SearchSpace):
        from nas.cost.spaces import known_costs as exact_costs

        return partial(exact_costs, space)
    return None


def _objectives(
    objectives: Mapping[str, str], cost_names: Sequence[str]
) -> tuple[ObjectiveSpec, ...]:
    if not isinstance(objectives, Mapping) or not objectives:
        raise InvalidRequestError(
            f"`objectives` must map one or more metrics to 'maximize' or 'minimize', "
            f"but got {objectives!r:.80}."
        )
    for name, direction in objectives.items():
        if direction not in ("maximize", "minimize"):
            raise InvalidRequestError(
                f"Objective {name!r} must be 'maximize' or 'minimize', but got {direction!r:.80}."
            )
    return tuple(
        ObjectiveSpec(name, direction == "maximize", known=name in cost_names)
        for name, direction in objectives.items()
    )


def _constraint(text: str, cost_names: Sequence[str]) -> Bound:
    if not cost_names:
        raise InvalidRequestError(
            f"A constraint must be on a known cost, and `known_costs` has none; got {text!r:.80}."
        )
    return parse_bound(text, cost_names)


def _reference(
    reference: Mapping[str, float] | None, objectives: Sequence[ObjectiveSpec]
) -> tuple[float, ...] | None:
    if reference is None:
        return None
    names = [objective.metric for objective in objectives]
    if sorted(reference) != sorted(names):
        raise InvalidRequestError(
            f"`reference` must name the objectives {', '.join(names)}, "
            f"but got {', '.join(map(str, reference)) or 'none'}."
        )
    return tuple(float(reference[name]) for name in names)


def _stopping(given: Mapping[str, float]) -> HalvingSettings:
    known = [f.name for f in fields(HalvingSettings)]
    odd = [name for name in given if name not in known]
    if odd or "full" not in given:
        raise InvalidRequestError(
            f"`early_stopping` must hold 'full', and may hold {', '.join(known)}, "
            f"but got {', '.join(map(str, given)) or 'nothing'}."
        )
    return HalvingSettings(**given)  # type: ignore[arg-type]


def _propose(
    evaluator: FunctionEvaluator, costs: ManyCosts | None, seed: int, choices: Choices
) -> Proposal:
    found = {} if costs is None else {n: float(a[0]) for n, a in costs([choices]).items()}
    odd = [name for name, value in found.items() if not math.isfinite(value)]
    if odd:
        return Proposal(reason=f"its known cost {odd[0]} is {found[odd[0]]}")
    key = EvaluationKey(
        subject=choices_digest(choices),
        dataset="",
        split="",
        recipe="",
        evaluator=evaluator.identity,
        seed=seed,
    )
    candidate = Candidate(key=key, evaluator=evaluator, choices=choices, costs=found)
    return Proposal(costs=found, candidate=candidate)


def _make_executor(workers: int, _: Work, on_report: OnReport) -> Executor:
    if workers == 1:
        return InlineExecutor(_evaluate, on_report)
    return ThreadExecutor(_evaluate, on_report, workers)


def _evaluate(
    payload: tuple[FunctionEvaluator, Sequence[Any]],
) -> Generator[Report, None, list[Outcome]]:
    """As `nas.evaluation.work`, but the caller's function is not kept when all is done."""
    evaluator, requests = payload
    return (yield from evaluator.evaluate(requests))
