"""Scaling rules against each other at equal cost: Figure 8 and Table 7 of arXiv 1905.11946."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nas.cost import count
from nas.quantity import Bound
from nas.scaling import Coefficients, LatencyModel, Member, Rule, UnmetTargetError, solve
from nas.store import EvaluationRow
from search_spaces.architecture import Architecture

BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One network of a comparison; without a member where its rule cannot meet the targets."""

    rule: str
    targets: tuple[Bound, ...] = ()
    member: Member | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """An accuracy over seeds, with both kinds of error.

    Args:
        sampling_error: Of the part's finite size, sqrt(p (1 - p) / n). All seeds are measured on
            the same images, so that more seeds do not make it smaller.
        seed_error: Standard error of the mean over seeds; NaN for a single one.
    """

    mean: float
    sampling_error: float
    seed_error: float
    seeds: int


def equal_cost_entries(
    baseline: Architecture,
    rules: Sequence[Rule],
    target_sets: Sequence[Sequence[Bound]],
    latency_model: LatencyModel | None = None,
) -> list[Entry]:
    """The baseline, and every rule's member for every set of targets.

    >>> from search_spaces.published import get_published
    >>> from nas.scaling import get_rule, parse_target_sets
    >>> b0 = get_published("efficientnet_b0")
    >>> rules = [get_rule("compound"), get_rule("width")]
    >>> [e.rule for e in equal_cost_entries(b0, rules, parse_target_sets(["2x"], b0))]
    ['baseline', 'compound', 'width']
    """
    itself = Member(
        architecture=baseline,
        rule=BASELINE,
        phi=0.0,
        coefficients=Coefficients(),
        costs=count(baseline),
        latency_ms=latency_model(baseline) if latency_model else None,
    )
    entries = [Entry(rule=BASELINE, member=itself)]
    for targets in target_sets:
        for rule in rules:
            try:
                member = solve(baseline, rule, targets, latency_model)
            except UnmetTargetError as error:
                entry = Entry(rule=rule.name, targets=tuple(targets), reason=str(error))
            else:
                entry = Entry(rule=rule.name, targets=tuple(targets), member=member)
            entries.append(entry)
    return entries


def accuracy_of(rows: Sequence[EvaluationRow], part: str) -> Accuracy | None:
    """Mean accuracy of one network's seeds on `val` or `test`; None where nothing was measured."""
    values = [v for row in rows if (v := getattr(row, f"{part}_accuracy")) is not None]
    errors = [e for row in rows if (e := getattr(row, f"{part}_accuracy_se")) is not None]
    if not values:
        return None
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return Accuracy(
        mean=statistics.fmean(values),
        sampling_error=statistics.fmean(errors) if errors else math.nan,
        seed_error=spread / math.sqrt(len(values)),
        seeds=len(values),
    )
