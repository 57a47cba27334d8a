"""The grid search for alpha, beta and gamma at phi = 1, by training the candidates.

The paper (arXiv 1905.11946, section 3.3) trains every candidate alike. Here all are trained
briefly, and only those that may still be the best are trained by the full recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.cost import COST_METRICS, count
from nas.errors import InvalidRequestError, NasError
from nas.evaluation.contract import Status
from nas.evaluation.table_file import make_table, read_cells
from nas.scaling import (
    PAPER,
    Coefficients,
    LatencyModel,
    Member,
    coefficient_grid,
    grid_under_cost,
    scale,
)
from nas.search.candidates import Finished
from search_spaces.architecture import Architecture

NOMINAL = "nominal"
LATENCY = "latency_ms"
GRID_COSTS = (NOMINAL, *COST_METRICS, LATENCY)
EXPONENT = -0.07
"""What a doubling of cost must buy: the paper's reward, accuracy * (cost / target)^-0.07."""

CostFunction = Callable[[Architecture], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one candidate of the grid reached; accuracy is NaN where its training failed."""

    member: Member
    cost: float
    accuracy: float
    accuracy_se: float


def cost_function(name: str, latency_model: LatencyModel | None = None) -> CostFunction:
    """What a grid is to double: MACs where it is nominal.

    Raises:
        InvalidRequestError: If there is no such cost, or latency without a model of it.
    """
    if name == LATENCY:
        if latency_model is None:
            raise InvalidRequestError(
                "A grid under latency_ms needs a latency model; give a table of block latencies."
            )
        return latency_model
    if name not in GRID_COSTS:
        raise InvalidRequestError(
            f"The cost of a grid must be one of {', '.join(GRID_COSTS)}, but got {name!r:.60}."
        )
    metric = "macs" if name == NOMINAL else name
    return lambda architecture: float(getattr(count(architecture), metric))


def grid_members(
    baseline: Architecture,
    *,
    candidates: int,
    step: float,
    tolerance: float,
    factor: float = 2.0,
    cost: str = NOMINAL,
    cost_of: CostFunction | None = None,
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
) -> list[Member]:
    """Coefficients that multiply a cost by `factor`, one for each network that they make.

    On a small network many coefficients round to the same integers; of those that do, one is
    trained. The nominal grid reckons as the paper does, alpha * beta^2 * gamma^2, and has the
    paper's own (1.2, 1.1, 1.15) among its candidates for a doubling.
    """
    if cost == NOMINAL:
        own = [PAPER] if factor == 2.0 and not (alphas or betas or gammas) else []
        grid = own + coefficient_grid(
            factor,
            tolerance=tolerance,
            step=step,
            alphas=alphas,
            betas=betas,
            gammas=gammas,
            at_most=4 * candidates,
        )
    else:
        grid = grid_under_cost(
            baseline,
            cost_of or cost_function(cost),
            factor,
            tolerance=tolerance,
            step=step,
            alphas=alphas,
            betas=betas,
            gammas=gammas,
            at_most=candidates,
        )
    members: dict[str, Member] = {}
    for coefficients in grid:
        architecture = scale(baseline, coefficients)
        member = Member(
            architecture=architecture,
            rule="compound",
            phi=1.0,
            coefficients=coefficients,
            costs=count(architecture),
        )
        members.setdefault(architecture.fingerprint, member)
    return list(members.values())[:candidates]


def judge(
    members: Sequence[Member], ends: Sequence[Finished], cost_of: CostFunction
) -> list[Judged]:
    """What each member reached in one round.

    Raises:
        NasError: If none could be trained; it gives the first reason.
    """
    judged = [_judged(member, end, cost_of) for member, end in zip(members, ends)]
    if not any(math.isfinite(j.accuracy) for j in judged):
        raise NasError(
            f"No candidate for the scaling coefficients could be trained: {ends[0].reason}"
        )
    return judged


def judge_by_table(
    baseline: Architecture, file: Path, factor: float, tolerance: float, cost_of: CostFunction
) -> list[Judged]:
    """Candidates and their accuracies as a table has them, in place of training.

    Args:
        file: CSV or JSON with columns alpha, beta, gamma and accuracy (0 to 1); `accuracy_se`
            is read where it is there. Rows that multiply the cost by something else take no part.

    Raises:
        InvalidRequestError: If a column or a number is missing, or no row is near `factor`.
    """
    cells = read_cells(file)
    table = make_table(cells, ("alpha", "beta", "gamma"), measured=("accuracy",))
    errors = table.numbers.get("accuracy_se")
    before, judged = cost_of(baseline), []
    for place, row in enumerate(table.rows):
        alpha, beta, gamma = (float(row[name]) for name in ("alpha", "beta", "gamma"))
        coefficients = Coefficients(depth=alpha, width=beta, resolution=gamma)
        network = scale(baseline, coefficients)
        member = Member(
            architecture=network,
            rule="compound",
            phi=1.0,
            coefficients=coefficients,
            costs=count(network),
        )
        cost = cost_of(network)
        near = min(abs(cost / before / factor - 1.0), abs(coefficients.product / factor - 1.0))
        accuracy = float(table.numbers["accuracy"][place])
        if near <= tolerance and math.isfinite(accuracy):
            error = 0.0 if errors is None else float(errors[place])
            judged.append(Judged(member=member, cost=cost, accuracy=accuracy, accuracy_se=error))
    if not judged:
        raise InvalidRequestError(
            f"No row of {file.name} has an accuracy and multiplies the cost by {factor:g} within "
            f"`tolerance` {tolerance:g}; raise it, or add rows."
        )
    return judged


def best(judged: Sequence[Judged]) -> Judged:
    """The most accurate, less what its extra cost would buy: costs differ, since integers round."""
    return max(judged, key=_score(judged))


def finalists(judged: Sequence[Judged]) -> list[Judged]:
    """Those worth more epochs: the best third, and who is within the errors of its last one.

    Never more than half (the standard errors of a small validation part would keep all), but one
    at least.
    """
    score = _score(judged)
    order = sorted(judged, key=score, reverse=True)
    third = order[: math.ceil(len(order) / 3)]
    last = third[-1]
    tied = [
        j
        for j in order[len(third) :]
        if score(last) - score(j) <= math.hypot(last.accuracy_se, j.accuracy_se)
    ]
    kept = [j for j in (*third, *tied) if math.isfinite(j.accuracy)]
    return kept[: math.ceil(len(order) / 2)]


def _score(judged: Sequence[Judged]) -> Callable[[Judged], float]:
    least = min(j.cost for j in judged)

    def score(j: Judged) -> float:
        if not math.isfinite(j.accuracy):
            return -math.inf
        return float(j.accuracy * (j.cost / least) ** EXPONENT)

    return score


def _judged(member: Member, end: Finished, cost_of: CostFunction) -> Judged:
    evaluation = end.evaluation
    accuracy, error = math.nan, math.nan
    if end.status is Status.COMPLETED and evaluation is not None:
        accuracy = math.nan if evaluation.val_accuracy is None else evaluation.val_accuracy
        error = evaluation.val_accuracy_se or 0.0
    return Judged(
        member=member,
        cost=cost_of(member.architecture),
        accuracy=accuracy,
        accuracy_se=error,
    )
