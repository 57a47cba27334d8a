"""Candidates and their ends: what goes into `Evaluations` and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.executor import LostAttempt
from nas.evaluation.contract import EvaluationKey, Evaluator, Status
from nas.search.records import architecture_row
from nas.search.spending import Reserved
from nas.store import ArchitectureRow, EvaluationRow
from search_spaces.architecture import Architecture
from search_spaces.space import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing to evaluate, and by what.

    Args:
        network: The architecture as the store keeps it, if it was made already.
    """

    key: EvaluationKey
    evaluator: Evaluator
    architecture: Architecture | None = None
    choices: Mapping[str, Option] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    network: ArchitectureRow | None = None

    def architecture_row(self) -> ArchitectureRow | None:
        """The architecture as the store keeps it, if there is one."""
        if self.network is None and self.architecture is not None:
            return architecture_row(self.architecture)
        return self.network


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A candidate's end, under the ticket that it was handed in with.

    Args:
        evaluation: The stored evaluation; None where it failed, which is not stored as one.
        reused: It was in the store before, or computed for another ticket or job.
        details: What its last attempt said of itself, what it used of a GPU among it.
        worker: Where it ran, as the executor names it.
        lost: Its attempts that a worker's death ended.
        reserved: What it held there.
        halted: It was cut off where the budget ended; it goes on when the job does.
    """

    ticket: int
    status: Status
    evaluation: EvaluationRow | None = None
    reason: str = ""
    reused: bool = False
    attempts: int = 0
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""
    lost: tuple[LostAttempt, ...] = ()
    reserved: Reserved | None = None
    halted: bool = False
