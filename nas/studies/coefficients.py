"""The grid search for alpha, beta and gamma at phi = 1, by training the candidates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.cost import count
from nas.errors import NasError
from nas.evaluation.contract import Status
from nas.scaling import PAPER, Coefficients, coefficient_grid, scale
from nas.search.evaluations import Candidate, Evaluations, Finished, evaluate_all
from search_spaces.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledNetwork:
    """A baseline under some coefficients."""

    coefficients: Coefficients
    architecture: Architecture
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientResult:
    """What one candidate of the grid reached; accuracy is NaN where its training failed."""

    network: ScaledNetwork
    accuracy: float
    accuracy_se: float
    finished: Finished


def grid_candidates(
    baseline: Architecture, *, candidates: int, step: float, tolerance: float
) -> list[ScaledNetwork]:
    """Coefficients with alpha * beta^2 * gamma^2 near 2, one for each network that they make.

    On a small network many coefficients round to the same integers; of those that do, one is
    trained. The paper's own (1.2, 1.1, 1.15) are among them.
    """
    grid = [PAPER, *coefficient_grid(2.0, tolerance=tolerance, step=step, at_most=4 * candidates)]
    networks: dict[str, ScaledNetwork] = {}
    for coefficients in grid:
        architecture = scale(baseline, coefficients)
        network = ScaledNetwork(
            coefficients=coefficients, architecture=architecture, macs=count(architecture).macs
        )
        networks.setdefault(architecture.fingerprint, network)
    return list(networks.values())[:candidates]


def search_coefficients(
    networks: Sequence[ScaledNetwork],
    make_candidate: Callable[[Architecture], Candidate],
    evaluations: Evaluations,
    on_end: Callable[[int, Finished], None] | None = None,
) -> tuple[Coefficients, list[CoefficientResult]]:
    """Train every candidate and choose: the most accurate, per doubling of cost.

    Costs on the grid differ (integers round), so a candidate is judged by its accuracy less what
    its extra cost would buy by the paper's reward, accuracy * (MACs / twice the base)^-0.07.

    Raises:
        NasError: If none could be trained; it gives the first reason.
    """
    finished = evaluate_all(evaluations, [make_candidate(n.architecture) for n in networks], on_end)
    results = [_result(network, end) for network, end in zip(networks, finished)]
    usable = [r for r in results if math.isfinite(r.accuracy)]
    if not usable:
        raise NasError(
            f"No candidate for the scaling coefficients could be trained: {finished[0].reason}"
        )
    target = float(min(r.network.macs for r in usable))
    best = max(usable, key=lambda r: r.accuracy * (r.network.macs / target) ** -0.07)
    return best.network.coefficients, results


def _result(network: ScaledNetwork, finished: Finished) -> CoefficientResult:
    evaluation = finished.evaluation
    accuracy, error = math.nan, math.nan
    if finished.status is Status.COMPLETED and evaluation is not None:
        accuracy = math.nan if evaluation.val_accuracy is None else evaluation.val_accuracy
        error = evaluation.val_accuracy_se or 0.0
    return CoefficientResult(
        network=network, accuracy=accuracy, accuracy_se=error, finished=finished
    )
