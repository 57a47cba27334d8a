"""The baseline chosen by its family: the best single network is not always the best ancestor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.cost import count
from nas.errors import NasError
from nas.pareto import hypervolume
from nas.quantity import Bound
from nas.scaling import Member, Rule, solve
from nas.search.candidates import Finished
from nas.search.objectives import Reward
from nas.studies.baseline import FrontMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A candidate for the baseline with its family of two: at the common cost, and at twice it."""

    ancestor: FrontMember
    members: tuple[Member, Member]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedLineage:
    """A lineage and what it reached; the error is one standard error of the hypervolume."""

    lineage: Lineage
    accuracies: tuple[float, float]
    hypervolume: float
    error: float


def make_lineages(
    front: Sequence[FrontMember], rule: Rule, reward: Reward, candidates: int = 3
) -> list[Lineage]:
    """The front's few best by the reward, each scaled to the same two costs.

    The first is what the dearest of them costs, the second twice that: a family that is merely
    cheaper would otherwise win. A network that the rule cannot bring there takes no part.
    """
    order = sorted(front, key=lambda m: -reward.value(m.accuracy, m.costs[reward.metric]))
    chosen = order[:candidates]
    common = max(count(m.architecture).macs for m in chosen)
    lineages = []
    for ancestor in chosen:
        first, second = (
            solve(ancestor.architecture, rule, [Bound("macs", factor * common)])
            for factor in (1.0, 2.0)
        )
        lineages.append(Lineage(ancestor=ancestor, members=(first, second)))
    return lineages


def rank_lineages(
    lineages: Sequence[Lineage], ends: Sequence[tuple[Finished, Finished]], chance: float
) -> list[RankedLineage]:
    """The lineages that were trained, the one with the largest hypervolume first.

    The hypervolume is over log2 of MACs, so that each of the two steps counts alike, from
    twice the larger cost and the accuracy of chance.

    Raises:
        NasError: If none of the families could be trained.
    """
    ranked = [r for pair in zip(lineages, ends) if (r := _rank(*pair, chance)) is not None]
    if not ranked:
        raise NasError(f"No family of two could be trained: {ends[0][0].reason}")
    return sorted(ranked, key=lambda r: -r.hypervolume)


def _rank(lineage: Lineage, ends: tuple[Finished, Finished], chance: float) -> RankedLineage | None:
    accuracies, errors = [], []
    for end in ends:
        if end.evaluation is None or end.evaluation.val_accuracy is None:
            return None
        accuracies.append(end.evaluation.val_accuracy)
        errors.append(end.evaluation.val_accuracy_se or 0.0)
    points = np.array([[0.0, accuracies[0]], [1.0, accuracies[1]]])  # log2 of cost over common
    volume = hypervolume(points, np.array([2.0, chance]), np.array([False, True]))
    # the volume is the sum of the best accuracy at each step: one that is dominated adds nothing
    counted = errors if accuracies[1] > accuracies[0] else [2.0 * errors[0]]
    return RankedLineage(
        lineage=lineage,
        accuracies=(accuracies[0], accuracies[1]),
        hypervolume=volume,
        error=math.hypot(*counted),
    )
