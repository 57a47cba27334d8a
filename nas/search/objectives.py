"""Objectives and constraints: metrics with a direction, and bounds on metrics."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nas.cost import COST_METRICS
from nas.errors import InvalidRequestError
from nas.quantity import Bound, parse_bound
from nas.search.samplers.contract import ObjectiveSpec

MEASURED_METRICS = ("accuracy", "reward")
"""Metrics that need an evaluation; an evaluator's own metrics join them by name."""


@dataclass(frozen=True, slots=True)
class Reward:
    """MnasNet's scalar objective, accuracy * (cost / target) ^ exponent.

    EfficientNet's baseline search used it with MACs, a target of 400 M and an exponent of -0.07
    (arXiv 1905.11946, section 4; arXiv 1807.11626, section 3.1).

    >>> Reward(metric="macs", target=400e6).value(0.77, 400e6)
    0.77
    """

    metric: str = "macs"
    target: float = 400e6
    exponent: float = -0.07

    def value(self, accuracy: float, cost: float) -> float:
        if cost <= 0:
            return accuracy
        return float(accuracy * (cost / self.target) ** self.exponent)


def parse_objective(
    text: str, own_metrics: Mapping[str, str] | None = None, known: Collection[str] = ()
) -> ObjectiveSpec:
    """Read an objective: a metric's name, with a direction where it is not a known one.

    Args:
        own_metrics: Metrics of the evaluator's own, with 'maximize' or 'minimize'.
        known: Costs of a table's own, beside those of networks; minimized if nothing is said.

    >>> parse_objective("macs")
    ObjectiveSpec(metric='macs', maximize=False, known=True)
    """
    name, _, direction = text.partition(":")
    name, direction = name.strip(), direction.strip()
    if direction not in ("", "maximize", "minimize"):
        raise InvalidRequestError(
            f"The direction in objective {text!r} must be 'maximize' or 'minimize'."
        )
    if name in COST_METRICS:
        if direction == "maximize":
            raise InvalidRequestError(f"The cost {name!r} can only be minimized.")
        return ObjectiveSpec(name, maximize=False, known=True)
    if name in MEASURED_METRICS:
        if direction == "minimize":
            raise InvalidRequestError(f"The metric {name!r} can only be maximized.")
        return ObjectiveSpec(name, maximize=True)
    if direction or name in known:
        return ObjectiveSpec(name, maximize=direction == "maximize", known=name in known)
    if own_metrics and name in own_metrics:
        return ObjectiveSpec(name, maximize=own_metrics[name] == "maximize")
    known = ", ".join((*MEASURED_METRICS, *COST_METRICS))
    raise InvalidRequestError(
        f"An objective must be one of {known}, or an evaluator's own metric with its direction "
        f"('latency_ms: minimize'), but got {text!r}."
    )


def objective_text(metric: str, maximize: bool) -> str:
    """An objective in the words that `parse_objective` reads.

    >>> objective_text("latency_ms", maximize=False)
    'latency_ms: minimize'
    """
    return f"{metric}: {'maximize' if maximize else 'minimize'}"


def parse_objectives(
    texts: Sequence[str],
    own_metrics: Mapping[str, str] | None = None,
    known: Collection[str] = (),
) -> tuple[ObjectiveSpec, ...]:
    """Read a job's objectives: at least one, none twice."""
    objectives = tuple(parse_objective(text, own_metrics, known) for text in texts)
    names = [o.metric for o in objectives]
    if not names or len(set(names)) < len(names):
        raise InvalidRequestError(f"`objectives` must be one or more, none twice, but got {names}.")
    return objectives


def parse_constraints(
    texts: Sequence[str], costs: Collection[str] = COST_METRICS
) -> tuple[Bound, ...]:
    """Read hard constraints; they are on costs, which are known before anything is trained."""
    return tuple(parse_bound(text, costs) for text in texts)


def objective_values(
    objectives: Sequence[ObjectiveSpec],
    metrics: Mapping[str, float],
    reward: Reward | None = None,
) -> tuple[float, ...] | None:
    """A trial's values in the objectives' order; None where one is missing or not a number.

    Args:
        metrics: Costs by name and what the evaluator measured; `accuracy` is its `val_accuracy`.
        reward: What the objective `reward` means; None where it is a metric like others.
    """
    values = []
    accuracy = metrics.get("val_accuracy", metrics.get("accuracy", math.nan))
    for objective in objectives:
        if objective.metric == "accuracy":
            value = accuracy
        elif objective.metric == "reward" and reward is not None:
            value = reward.value(accuracy, metrics.get(reward.metric, math.nan))
        else:
            value = metrics.get(objective.metric, math.nan)
        if not math.isfinite(value):
            return None
        values.append(float(value))
    return tuple(values)
