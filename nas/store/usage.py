"""Usage: what jobs spent, lost and saved, by their trials' attempts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select

from nas.store.connected import Connected
from nas.store.schema import attempts, evaluations, trials

LOST = ("failed", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One job's use of workers.

    Args:
        seconds: Of all attempts, on one worker each.
        cpu_seconds, gpu_seconds: The same, times what each held.
        unknown_seconds: Of attempts that don't say what they held.
        failed_seconds: Of those that ended in an error, or were lost.
        retries: Attempts beyond a trial's first.
        saved_seconds: What evaluations took that were found in the store instead.
        energy_j: Of all attempts, where it was measured; None if it nowhere was.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    unknown_seconds: float = 0.0
    failed_seconds: float = 0.0
    retries: int = 0
    saved_seconds: float = 0.0
    energy_j: float | None = None


class Usages(Connected):
    """The part of the store that adds up what was spent."""

    def usage(self, job_id: str | None = None) -> dict[str, Usage]:
        """What each job used, by its id; of one job or of all."""
        column = attempts.c
        known = column.cpus.is_not(None)
        spent = select(
            column.job,
            func.sum(column.seconds).label("seconds"),
            func.sum(column.seconds * func.coalesce(column.cpus, 0.0)).label("cpu_seconds"),
            func.sum(column.seconds * func.coalesce(column.gpus, 0.0)).label("gpu_seconds"),
            func.sum(case((known, 0.0), else_=column.seconds)).label("unknown_seconds"),
            func.sum(case((column.state.in_(LOST), column.seconds), else_=0.0)).label(
                "failed_seconds"
            ),
            func.sum(case((column.number > 1, 1), else_=0)).label("retries"),
            func.sum(column.energy_j).label("energy_j"),
        ).group_by(column.job)
        saved = (
            select(trials.c.job, func.sum(evaluations.c.seconds).label("saved_seconds"))
            .join(evaluations, evaluations.c.key == trials.c.evaluation)
            .where(trials.c.reused)
            .group_by(trials.c.job)
        )
        if job_id is not None:
            spent = spent.where(column.job == job_id)
            saved = saved.where(trials.c.job == job_id)
        found: dict[str, dict[str, Any]] = {}
        with self._read() as connection:
            for query in (spent, saved):
                for row in connection.execute(query):
                    values = row._asdict()
                    found.setdefault(values.pop("job"), {}).update(values)
        return {job: Usage(**values) for job, values in found.items()}

    def count_evaluated(self, job_id: str) -> int:
        """Ended trials of all stages, without those that broke a bound before any evaluation."""
        ended = trials.c.state.in_(("completed", "infeasible", "failed", "pruned"))
        evaluated = ended & ~((trials.c.state == "infeasible") & (trials.c.violation > 0))
        query = select(func.count()).where(trials.c.job == job_id, evaluated)
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())
