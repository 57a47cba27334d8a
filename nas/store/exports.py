"""Exports that were asked for: each made once, by one worker at a time, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select, update

from nas.store.connected import Connected, chunks, columns_of, insert_new, shared_now
from nas.store.rows import ArtifactRow, ExportRow
from nas.store.schema import artifacts, exports

STATES = WAITING, RUNNING, COMPLETED, FAILED = "waiting", "running", "completed", "failed"


class Exports(Connected):
    """The part of the store about exports that were asked for."""

    def ask_export(self, row: ExportRow) -> ExportRow:
        """Put down an export, unless it is there; one that failed waits again."""
        again = {"state": WAITING, "message": "", "worker": None, "ended_at": None}
        failed = (exports.c.id == row.id, exports.c.state == FAILED)
        with self._write() as connection:
            insert_new(connection, exports, [columns_of(row)])
            connection.execute(update(exports).where(*failed).values(again))
            found = connection.execute(select(exports).where(exports.c.id == row.id)).one()
            return ExportRow(**found._mapping)

    def find_export(self, export_id: str) -> ExportRow | None:
        """The export of that id."""
        with self._read() as connection:
            row = connection.execute(select(exports).where(exports.c.id == export_id)).first()
            return None if row is None else ExportRow(**row._mapping)

    def list_exports(
        self,
        states: Sequence[str] = (),
        limit: int | None = None,
        *,
        latest: bool = False,
        architecture: str | None = None,
    ) -> list[ExportRow]:
        """Exports in one of the states (none means all), those asked for first come first.

        Args:
            latest: Of more than `limit` take those asked for last.
            architecture: Fingerprint of the network that they are of.
        """
        order = (exports.c.created_at, exports.c.id)
        query = select(exports).limit(limit)
        query = query.order_by(*((column.desc() for column in order) if latest else order))
        if states:
            query = query.where(exports.c.state.in_(states))
        if architecture is not None:
            query = query.where(exports.c.architecture == architecture)
        with self._read() as connection:
            rows = [ExportRow(**row._mapping) for row in connection.execute(query)]
        return rows[::-1] if latest else rows

    def count_exports(self, states: Sequence[str]) -> int:
        """How many exports are in one of the states."""
        query = select(func.count()).where(exports.c.state.in_(states))
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def take_export(self, export_id: str, worker: str, lease_s: float) -> bool:
        """Have a worker make an export; False if another does, or it has ended."""
        with self._write() as connection:
            time = shared_now(connection)
            free = or_(
                exports.c.state == WAITING,
                (exports.c.state == RUNNING) & (exports.c.lease_expires_at < time),
            )
            taken: dict[str, Any] = {"state": RUNNING, "worker": worker}
            taken["lease_expires_at"] = time + timedelta(seconds=lease_s)
            take = update(exports).where(exports.c.id == export_id, free).values(taken)
            return connection.execute(take).rowcount == 1

    def renew_export(self, export_id: str, worker: str, lease_s: float) -> bool:
        """Hold an export for longer; False if another worker has it, or it has ended."""
        mine = (exports.c.id == export_id, exports.c.worker == worker, exports.c.state == RUNNING)
        with self._write() as connection:
            until = shared_now(connection) + timedelta(seconds=lease_s)
            renew = update(exports).where(*mine).values(lease_expires_at=until)
            return connection.execute(renew).rowcount == 1

    def release_export(self, export_id: str, worker: str) -> None:
        """Leave an export to others, if this worker has it."""
        mine = (exports.c.id == export_id, exports.c.worker == worker, exports.c.state == RUNNING)
        free = {"state": WAITING, "worker": None, "lease_expires_at": None}
        with self._write() as connection:
            connection.execute(update(exports).where(*mine).values(free))

    def end_export(
        self,
        export_id: str,
        *,
        artifact: int | None = None,
        message: str = "",
        worker: str | None = None,
    ) -> None:
        """Say what came of an export: a file, or why there is none.

        Args:
            worker: Only if this worker has it, and it has not ended.
        """
        here = [exports.c.id == export_id]
        if worker is not None:
            here += [exports.c.worker == worker, exports.c.state == RUNNING]
        with self._write() as connection:
            ended = {
                "state": FAILED if artifact is None else COMPLETED,
                "message": message,
                "artifact": artifact,
                "worker": None,
                "lease_expires_at": None,
                "ended_at": shared_now(connection),
            }
            connection.execute(update(exports).where(*here).values(ended))

    def artifacts(self, ids: Iterable[int]) -> dict[int, ArtifactRow]:
        """Those of the ids that are there."""
        found = {}
        with self._read() as connection:
            for some in chunks(sorted(set(ids))):
                for row in connection.execute(select(artifacts).where(artifacts.c.id.in_(some))):
                    found[row.id] = ArtifactRow(**row._mapping)
        return found
