"""Jobs: made, found, held by one driver at a time, ended."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Update, and_, func, or_, select, update

from nas.errors import InvalidRequestError
from nas.store.connected import Connected, insert_new, now, shared_now
from nas.store.rows import ENDED_JOB_STATES, JobRow, JobState
from nas.store.schema import jobs, trials

LEASE_S = 60.0


class Jobs(Connected):
    """The part of the store about jobs."""

    def create_job(
        self,
        name: str,
        spec: Mapping[str, Any],
        space: Mapping[str, Any],
        *,
        objectives: Sequence[Mapping[str, Any]] = (),
        reference: Sequence[float] | None = None,
        owner: str = "",
        kind: str = "run",
        attributes: Mapping[str, Any] | None = None,
        request_key: str | None = None,
    ) -> JobRow:
        """Put down a waiting job, and give it an id.

        Args:
            request_key: Named by whoever asks; the job that was made for it before is returned.
        """
        job_id = secrets.token_hex(4)
        with self._write() as connection:
            insert_new(
                connection,
                jobs,
                [
                    {
                        "id": job_id,
                        "name": name,
                        "owner": owner,
                        "kind": kind,
                        "state": JobState.WAITING,
                        "message": "",
                        "spec": spec,
                        "space": space,
                        "objectives": list(objectives),
                        "reference": None if reference is None else list(reference),
                        "attributes": attributes or {},
                        "request_key": request_key,
                        "package_version": importlib.metadata.version("nas-scale"),
                        "created_at": now(),
                    }
                ],
            )
            made = jobs.c.id == job_id if request_key is None else jobs.c.request_key == request_key
            return _job(connection.execute(select(jobs).where(made)).one())

    def find_request(self, request_key: str) -> JobRow | None:
        """The job that was made for a request of that key."""
        with self._read() as connection:
            row = connection.execute(select(jobs).where(jobs.c.request_key == request_key)).first()
            return None if row is None else _job(row)

    def find_job(self, text: str | None = None) -> JobRow:
        """The job of that id, the latest of that name, or the one whose id begins so.

        Args:
            text: None means the latest job of all.

        Raises:
            InvalidRequestError: If there is none, or the beginning is not unique.
        """
        latest = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id)
        with self._read() as connection:
            if text is None:
                row = connection.execute(latest.limit(1)).first()
                if row is None:
                    raise InvalidRequestError(f"The store {self.url} has no jobs; run one first.")
                return _job(row)
            for condition in (jobs.c.id == text, jobs.c.name == text):
                row = connection.execute(latest.where(condition).limit(1)).first()
                if row is not None:
                    return _job(row)
            begins = jobs.c.id.startswith(text, autoescape=True)
            found = connection.execute(latest.where(begins).limit(2)).all() if text else []
            if len(found) == 1:
                return _job(found[0])
            raise InvalidRequestError(self._no_such_job(connection, text, bool(found)))

    def _no_such_job(self, connection: Connection, text: str, several: bool) -> str:
        if several:
            return f"Several jobs in {self.url} begin with {text!r}; write more of the id."
        latest = select(jobs.c.id, jobs.c.name).order_by(jobs.c.created_at.desc()).limit(5)
        known = ", ".join(f"{name} ({job_id})" for job_id, name in connection.execute(latest))
        there = f"the latest are {known}" if known else "it has none yet"
        return f"There is no job {text!r} in {self.url}; {there}."

    def list_jobs(
        self,
        *,
        owner: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> list[JobRow]:
        """Jobs, the latest first.

        Args:
            after: `created_at` and `id` of the last job of the page before.
        """
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
        if after is not None:
            at, last = after
            level = and_(jobs.c.created_at == at, jobs.c.id > last)
            query = query.where(or_(jobs.c.created_at < at, level))
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if state is not None:
            query = query.where(jobs.c.state == state)
        with self._read() as connection:
            return [_job(row) for row in connection.execute(query)]

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state; every state is named."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self._read() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {str(state): found.get(state, 0) for state in JobState}

    def set_job_state(self, job_id: str, state: str, message: str = "") -> None:
        """Say where a job stands; the first start and the end are timed."""
        changes: dict[str, Any] = {"state": state, "message": message}
        changes["ended_at"] = now() if state in ENDED_JOB_STATES else None
        if state == JobState.RUNNING:
            changes["started_at"] = func.coalesce(jobs.c.started_at, now())
        with self._write() as connection:
            self._change(connection, job_id, update(jobs).values(changes))

    def update_job(
        self,
        job_id: str,
        *,
        reference: Sequence[float] | None = None,
        attributes: Mapping[str, Any] | None = None,
        ray_id: str | None = None,
        space: Mapping[str, Any] | None = None,
        objectives: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Change what is given; `attributes` join those that are there, one by one."""
        with self._write() as connection:
            changes: dict[str, Any] = {}
            if reference is not None:
                changes["reference"] = list(reference)
            if ray_id is not None:
                changes["ray_id"] = ray_id
            if space is not None:
                changes["space"] = dict(space)
            if objectives is not None:
                changes["objectives"] = list(objectives)
            if attributes is not None:
                # locked, so that two that add something at once don't lose either
                there = select(jobs.c.attributes).where(jobs.c.id == job_id).with_for_update()
                changes["attributes"] = {
                    **(connection.execute(there).scalar() or {}),
                    **attributes,
                }
            if changes:
                self._change(connection, job_id, update(jobs).values(changes))

    def take_job(self, job_id: str, driver: str, lease_s: float = LEASE_S) -> bool:
        """Hold a job for a driver, if no other holds it; False if another does.

        A lease that ran out holds nothing, nor does a driver on this machine that is dead.

        Args:
            driver: A name that no other driver has.
        """
        with self._write() as connection:
            held = select(jobs.c.driver, jobs.c.driver_host, jobs.c.driver_pid)
            row = connection.execute(held.where(jobs.c.id == job_id)).first()
            free = [jobs.c.driver.is_(None), jobs.c.driver == driver]
            free.append(jobs.c.lease_expires_at < shared_now(connection))
            if row is not None and row.driver_host == host_name() and not _is_alive(row.driver_pid):
                free.append(jobs.c.driver == row.driver)
            changes = {"driver": driver, "driver_host": host_name(), "driver_pid": os.getpid()}
            return self._hold(connection, job_id, or_(*free), lease_s, **changes)

    def heartbeat(self, job_id: str, driver: str, lease_s: float = LEASE_S) -> bool:
        """Hold the job for longer; False if the driver no longer holds it."""
        with self._write() as connection:
            return self._hold(connection, job_id, jobs.c.driver == driver, lease_s)

    def release_job(self, job_id: str, driver: str) -> None:
        """Give the job up, if this driver holds it."""
        free = {"driver": None, "driver_host": None, "driver_pid": None, "lease_expires_at": None}
        mine = (jobs.c.id == job_id, jobs.c.driver == driver)
        with self._write() as connection:
            connection.execute(update(jobs).where(*mine).values(free))

    def signal_driver(self, job_id: str) -> bool:
        """Ask the driver that holds a job to end; False if it doesn't run on this machine."""
        held = select(jobs.c.driver_host, jobs.c.driver_pid).where(jobs.c.id == job_id)
        with self._read() as connection:
            row = connection.execute(held).first()
        if row is None or row.driver_pid is None or row.driver_host != host_name():
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(row.driver_pid, signal.SIGTERM)
        return True

    def count_trials(self, job_id: str, origins: Sequence[str] | None = None) -> dict[str, int]:
        """How many trials of the job are in each state; of some origins only, if given."""
        query = select(trials.c.state, func.count()).where(trials.c.job == job_id)
        if origins is not None:
            query = query.where(trials.c.origin.in_(list(origins)))
        with self._read() as connection:
            found = connection.execute(query.group_by(trials.c.state))
            return {row[0]: row[1] for row in found}

    def _hold(
        self,
        connection: Connection,
        job_id: str,
        condition: ColumnElement[bool],
        lease_s: float,
        **changes: Any,
    ) -> bool:
        beat = shared_now(connection)
        changes |= {"heartbeat_at": beat, "lease_expires_at": beat + timedelta(seconds=lease_s)}
        hold = update(jobs).where(jobs.c.id == job_id, condition).values(changes)
        return connection.execute(hold).rowcount == 1

    def _change(self, connection: Connection, job_id: str, statement: Update) -> None:
        if connection.execute(statement.where(jobs.c.id == job_id)).rowcount == 0:
            raise InvalidRequestError(self._no_such_job(connection, job_id, several=False))


def _job(row: Row[Any]) -> JobRow:
    columns = dict(row._mapping)
    reference = columns["reference"]
    columns["objectives"] = tuple(columns["objectives"])
    columns["reference"] = None if reference is None else tuple(reference)
    return JobRow(**columns)


def host_name() -> str:
    """This machine and, where process ids are counted apart (containers), which count."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, so it is there
        return True
    return True
