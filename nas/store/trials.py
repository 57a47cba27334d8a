"""Trials: put down before anything is evaluated, ended with everything that came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from nas.store.columns import Document
from nas.store.connected import Connected, columns_of, insert_new, now, numbers
from nas.store.evaluations import save_architectures, save_evaluations
from nas.store.rows import AttemptRow, EvaluationRow, NewTrial, TrialEnd, TrialRow
from nas.store.schema import attempts, measurements, trials

ENDED = ("completed", "infeasible", "failed", "pruned")


class Trials(Connected):
    """The part of the store about trials."""

    def add_trials(self, job_id: str, rows: Sequence[NewTrial]) -> None:
        """Put down trials, and the networks that they are about, in one transaction; those that
        are there stay as they are."""
        if not rows:
            return
        with self._write() as connection:
            save_architectures(connection, [row.architecture for row in rows if row.architecture])
            insert_new(connection, trials, [_new_columns(job_id, row) for row in rows])

    def start_trials(self, job_id: str, wanted: Sequence[int]) -> None:
        """Say that trials run from now on."""
        here = (trials.c.job == job_id, trials.c.number.in_(list(wanted)))
        with self._write() as connection:
            connection.execute(
                update(trials).where(*here).values(state="running", started_at=now())
            )

    def finish_trial(self, job_id: str, end: TrialEnd) -> None:
        """End one trial; see `finish_trials`."""
        self.finish_trials(job_id, [end])

    def finish_trials(self, job_id: str, ends: Sequence[TrialEnd]) -> None:
        """End trials and write what came of them, all in one transaction."""
        if not ends:
            return
        with self._write() as connection:
            save_evaluations(
                connection, [e.evaluation for e in ends if isinstance(e.evaluation, EvaluationRow)]
            )
            measured = _new_measurements(connection, job_id, ends)
            connection.execute(_FINISH, [_end_parameters(job_id, end) for end in ends])
            if measured:
                connection.execute(measurements.insert(), measured)
            _save_attempts(connection, job_id, [row for end in ends for row in end.attempts])

    def trials(
        self,
        job_id: str,
        origins: Sequence[str] | None = None,
        *,
        after: int = -1,
        limit: int | None = None,
        state: str | None = None,
    ) -> list[TrialRow]:
        """Trials of a job in the order of their numbers, from the one after `after` on; of some
        origins or in one state only, if given."""
        query = select(trials).where(trials.c.job == job_id, trials.c.number > after)
        query = query.order_by(trials.c.number).limit(limit)
        if origins is not None:
            query = query.where(trials.c.origin.in_(list(origins)))
        if state is not None:
            query = query.where(trials.c.state == state)
        with self._read() as connection:
            return [_trial(row) for row in connection.execute(query)]

    def trial(self, job_id: str, number: int) -> TrialRow | None:
        """A job's trial of that number."""
        if number >= 2**31:
            return None
        query = select(trials).where(trials.c.job == job_id, trials.c.number == number)
        with self._read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _trial(row)

    def save_attempts(self, job_id: str, rows: Sequence[AttemptRow]) -> None:
        """Write starts of trials; those that are there stay as they are."""
        with self._write() as connection:
            _save_attempts(connection, job_id, rows)

    def attempts(self, job_id: str) -> list[AttemptRow]:
        """Starts of a job's trials, in the order of trials."""
        query = select(attempts).where(attempts.c.job == job_id)
        query = query.order_by(attempts.c.trial, attempts.c.number)
        with self._read() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [AttemptRow(**{k: v for k, v in row.items() if k != "job"}) for row in rows]


_FINISH = (
    update(trials)
    .where(trials.c.job == bindparam("_job"), trials.c.number == bindparam("_number"))
    .values(
        {
            "state": bindparam("_state"),
            "values": bindparam("_values"),
            "errors": bindparam("_errors"),
            "violation": bindparam("_violation"),
            "reason": bindparam("_reason"),
            "attributes": func.coalesce(
                bindparam("_attributes", type_=Document), trials.c.attributes
            ),
            "evaluation": bindparam("_evaluation"),
            "reused": bindparam("_reused"),
            "ended_at": bindparam("_ended_at"),
        }
    )
)


def _end_parameters(job_id: str, end: TrialEnd) -> dict[str, Any]:
    kept = end.evaluation
    return {
        "_job": job_id,
        "_number": end.number,
        "_state": end.state,
        "_values": numbers(end.values),
        "_errors": numbers(end.errors),
        "_violation": end.violation,
        "_reason": end.reason,
        "_attributes": end.attributes,
        "_evaluation": kept.key if isinstance(kept, EvaluationRow) else kept,
        "_reused": end.reused,
        "_ended_at": now() if end.state in ENDED else None,
    }


def _new_measurements(
    connection: Connection, job_id: str, ends: Sequence[TrialEnd]
) -> list[dict[str, Any]]:
    """Those of trials that have not ended; the same end written twice is written once."""
    wanted = [end.number for end in ends if end.measurements]
    if not wanted:
        return []
    over = select(trials.c.number).where(
        trials.c.job == job_id, trials.c.number.in_(wanted), trials.c.state.in_(ENDED)
    )
    ended = set(connection.execute(over).scalars())
    return [
        columns_of(row, "id") for end in ends if end.number not in ended for row in end.measurements
    ]


def _new_columns(job_id: str, row: NewTrial) -> dict[str, Any]:
    time = now()
    return columns_of(
        row,
        job=job_id,
        architecture=row.architecture.fingerprint if row.architecture else None,
        values=numbers(row.values),
        errors=numbers(row.errors),
        evaluation=None,
        reused=False,
        created_at=time,
        started_at=time if row.state == "running" else None,
        ended_at=time if row.state in ENDED else None,
    )


def _save_attempts(connection: Connection, job_id: str, rows: Sequence[AttemptRow]) -> None:
    insert_new(connection, attempts, [columns_of(row, job=job_id) for row in rows])


def _trial(row: Row[Any]) -> TrialRow:
    columns = dict(row._mapping)
    for name in ("values", "errors"):
        columns[name] = numbers(columns[name])
    return TrialRow(**columns)
