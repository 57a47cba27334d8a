"""Evaluation by a table of results: an evaluation is a look into a row."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from cluster.executor import Report
from nas.evaluation.contract import Outcome, Request, Status
from nas.evaluation.table_file import Table


@dataclass(frozen=True, kw_only=True)
class TableEvaluator:
    """Answers choices from a table; what it lacks is infeasible.

    Args:
        identity: The table's, by its content.
        needs: Columns that must hold a number, as the objectives have it.
    """

    identity: str
    needs: tuple[str, ...]
    table: Table = field(compare=False, repr=False)

    @property
    def cheap(self) -> bool:
        return True

    def prepare(self) -> None:
        pass

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        return [self._look_up(request) for request in requests]
        yield  # a generator, as the contract has it, that has nothing to report

    def _look_up(self, request: Request) -> Outcome:
        row = None
        if all(d.name in request.choices for d in self.table.decisions):
            row = self.table.find(request.choices)
        metrics = {} if row is None else self.table.metrics(row)
        missing = [name for name in self.needs if name not in metrics]
        if row is None or missing:
            what = f"{missing[0]!r} for it" if row is not None else "such row"
            reason = f"{self.table.name} has no {what}"
            return Outcome(key=request.key, status=Status.INFEASIBLE, reason=reason)
        return Outcome(key=request.key, status=Status.COMPLETED, metrics=metrics, fidelity=1.0)
