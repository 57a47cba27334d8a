"""What the parts of the repository share: transactions, and rows to columns."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.dialects.sqlite import Insert

from nas.store.engine import for_writing, is_sqlite, shown_url, transaction

CHUNK = 500  # of keys in one IN (...): PostgreSQL and SQLite both bound the parameters


class Connected:
    """Part of a repository over one engine; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = for_writing(engine)
        self._joined = threading.local()

    @property
    def url(self) -> str:
        """Where it is, without a password."""
        return shown_url(self._engine.url)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of everything that this thread does with the store inside.

        All of it is written at the end, or nothing if something raises. Other writers wait, so
        nothing that takes time belongs inside.
        """
        if self._open() is not None:
            yield
            return
        with transaction(self._writer) as connection:
            self._joined.connection = connection
            try:
                yield
            finally:
                self._joined.connection = None

    def _open(self) -> Connection | None:
        connection: Connection | None = getattr(self._joined, "connection", None)
        return connection

    def _read(self) -> AbstractContextManager[Connection]:
        connection = self._open()
        return transaction(self._engine) if connection is None else nullcontext(connection)

    def _write(self) -> AbstractContextManager[Connection]:
        connection = self._open()
        return transaction(self._writer) if connection is None else nullcontext(connection)


def upsert(dialect: str, table: Table) -> Insert:
    """An INSERT that takes ON CONFLICT; both databases spell it alike, SQLAlchemy twice.

    To build a statement takes longer than to run it, so callers keep what they make of this.
    """
    if dialect == "sqlite":
        return Insert(table)
    from sqlalchemy.dialects.postgresql import insert

    return insert(table)  # type: ignore[return-value]


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert what is not there; what is there stays as it is."""
    if rows:
        connection.execute(_insert_new(connection.dialect.name, table), rows)


@cache
def _insert_new(dialect: str, table: Table) -> Insert:
    return upsert(dialect, table).on_conflict_do_nothing()


def columns_of(row: Any, *leave_out: str, **others: Any) -> dict[str, Any]:
    """A dataclass row's fields by name; a `created_at` of None becomes now."""
    columns = {name: getattr(row, name) for name in _names(row.__class__) if name not in leave_out}
    if columns.get("created_at", "") is None:
        columns["created_at"] = now()
    return {**columns, **others}


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The values in parts that one statement can take."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def now() -> datetime:
    return datetime.now(UTC)


def shared_now(connection: Connection) -> datetime:
    """The time by the clock that all who share the store go by: PostgreSQL's server, or this
    machine's where the store is a file on it."""
    if is_sqlite(connection):
        return now()
    time: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return time.astimezone(UTC)


def numbers(values: Iterable[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values)


@cache
def _names(row_type: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(row_type))
