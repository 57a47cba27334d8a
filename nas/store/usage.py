"""Usage: what jobs spent, lost and saved, by their trials' attempts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select

from nas.store.connected import Connected
from nas.store.schema import attempts, evaluations, trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One job's use of workers.

    Args:
        seconds: Of all attempts, on one worker each.
        failed_seconds: Of those that ended in an error.
        retries: Attempts beyond a trial's first, which a worker's death made necessary.
        saved_seconds: What evaluations took that were found in the store instead.
    """

    seconds: float = 0.0
    failed_seconds: float = 0.0
    retries: int = 0
    saved_seconds: float = 0.0


class Usages(Connected):
    """The part of the store that adds up what was spent."""

    def usage(self, job_id: str | None = None) -> dict[str, Usage]:
        """What each job used, by its id; of one job or of all."""
        failed = case((attempts.c.state == "failed", attempts.c.seconds), else_=0.0)
        retried = case((attempts.c.number > 1, 1), else_=0)
        sums = (func.sum(attempts.c.seconds), func.sum(failed), func.sum(retried))
        spent = select(attempts.c.job, *sums).group_by(attempts.c.job)
        saved = (
            select(trials.c.job, func.sum(evaluations.c.seconds))
            .join(evaluations, evaluations.c.key == trials.c.evaluation)
            .where(trials.c.reused)
            .group_by(trials.c.job)
        )
        if job_id is not None:
            spent = spent.where(attempts.c.job == job_id)
            saved = saved.where(trials.c.job == job_id)
        with self._read() as connection:
            kept = {row[0]: float(row[1]) for row in connection.execute(saved)}
            used = {row[0]: row[1:] for row in connection.execute(spent)}
        return {
            job: Usage(
                seconds=float(used[job][0]) if job in used else 0.0,
                failed_seconds=float(used[job][1]) if job in used else 0.0,
                retries=int(used[job][2]) if job in used else 0,
                saved_seconds=kept.get(job, 0.0),
            )
            for job in {*kept, *used}
        }
