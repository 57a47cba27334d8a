"""Evaluation: architectures to metrics, and the work that executors do with it."""

from __future__ import annotations

import importlib
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from cluster.executor import Report
from nas.errors import InvalidRequestError, WrongDataError
from nas.evaluation.contract import Evaluator, Outcome, Request, Status

EVALUATORS = {
    "python": "nas.evaluation.python:PythonEvaluator",
    "table": "nas.evaluation.table:TableEvaluator",
    "training": "nas.evaluation.training:TrainingEvaluator",
}
"""Name -> where its class is; imported when asked for, since training brings torch."""

ENDS_JOB = "ends_job"
"""Detail of an outcome which no other worker could better."""

_prepared: set[Evaluator] = set()


def get_evaluator(name: str) -> Any:
    """The class of an evaluator, a frozen dataclass, by name.

    >>> get_evaluator("python")(path="mine:evaluate").identity
    'python:mine:evaluate'
    """
    if name not in EVALUATORS:
        raise InvalidRequestError(
            f"Unknown evaluator {name!r}. Available: {', '.join(sorted(EVALUATORS))}."
        )
    module, _, class_name = EVALUATORS[name].partition(":")
    return getattr(importlib.import_module(module), class_name)


def work(
    payload: tuple[Evaluator, Sequence[Request]],
) -> Generator[Report, None, list[Outcome]]:
    """What an executor does with a payload, in whatever process: prepare once, then evaluate."""
    evaluator, requests = payload
    if evaluator not in _prepared:
        try:
            evaluator.prepare()
        except WrongDataError as error:
            failed = Outcome(
                key="", status=Status.FAILED, reason=str(error), details={ENDS_JOB: True}
            )
            return [replace(failed, key=request.key) for request in requests]
        _prepared.add(evaluator)
    return (yield from evaluator.evaluate(requests))
