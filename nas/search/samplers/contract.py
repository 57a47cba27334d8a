"""Sampler: what was found so far to what is tried next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search_spaces.space import Choices, Decision, Option


class TrialState(StrEnum):
    """Where a trial stands; the last four are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    PRUNED = "pruned"


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """A metric with a direction; `known` where it is exact and free before any evaluation."""

    metric: str
    maximize: bool
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Earlier:
    """What an earlier search found, with other data or less training perhaps.

    Args:
        choices: Answers to all of the problem's decisions.
        values: Of each choice, one an objective that is not known before evaluation, in the
            problem's order and directions. Their scale is that search's own.
    """

    name: str
    choices: Sequence[Choices]
    values: Sequence[tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a sampler is told about the search.

    Args:
        known_costs: Many choices to the known metrics' exact values, each an array as long as
            the choices; NaN in a row that means no network.
        constraint_violation: Many choices to how far each is from meeting the hard constraints
            on known metrics (0 where all are met), before any evaluation.
        rows: For a finite space: the only choices that there are.
        reference: Objective values of the reference point of the hypervolume, if it is fixed.
        earlier: Searches of the same decisions, to learn from where the sampler can.
    """

    decisions: tuple[Decision, ...]
    objectives: tuple[ObjectiveSpec, ...]
    seed: int = 0
    known_costs: Callable[[Sequence[Choices]], Mapping[str, NDArray[np.float64]]] | None = None
    constraint_violation: Callable[[Sequence[Choices]], NDArray[np.float64]] | None = None
    rows: Sequence[Choices] | None = None
    reference: tuple[float, ...] | None = None
    earlier: tuple[Earlier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial as the sampler knows it; numbers count from 0 without gaps.

    Args:
        values: One a objective, in the objectives' order and own direction; None unless
            completed.
        errors: Standard error of each value, where known.
        violation: How far it was from its hard constraints; 0 where all are met.
        attributes: The sampler's own, stored with the trial and handed back on resume; the loop
            may add to them.
    """

    number: int
    choices: Mapping[str, Option]
    state: TrialState
    values: tuple[float, ...] | None = None
    errors: tuple[float, ...] | None = None
    violation: float = 0.0
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Sampler(Protocol):
    """Asks and is told; the driver stores what it needs to go on after a kill.

    A sampler made anew and given `restore(all records)` suggests as the old one would have:
    the same generation, the same model. Records that are still running are pending: `tell` comes
    later for them. `ask` may be called with trials pending.
    """

    def ask(self, count: int) -> list[TrialRecord]:
        """That many running trials, numbered onwards."""

    def enqueue(self, choices: Choices) -> None:
        """Have this suggested next, before the sampler's own ideas."""

    def tell(self, record: TrialRecord) -> TrialRecord:
        """Take an ended trial; returns it with the attributes to store."""

    def restore(self, records: Sequence[TrialRecord]) -> None:
        """Take over what an earlier run asked and was told, in the order of numbers."""
