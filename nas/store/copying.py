"""A store copied whole into another one, from SQLite to PostgreSQL or back."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Table, func, select, text

from nas.errors import InvalidRequestError, NasError
from nas.store.engine import is_sqlite
from nas.store.repository import Store
from nas.store.schema import metadata

CHUNK = 1_000


def copy(
    source: Store, target: Store, tell: Callable[[str, int], None] = lambda table, rows: None
) -> dict[str, int]:
    """Copy a whole store into an empty one; returns the rows by table.

    The source is read as it was at one moment, whoever writes to it meanwhile. The target is
    written in one transaction: a copy that breaks off leaves it empty. Files are not copied.

    Args:
        tell: Told each table's name and how many of its rows are there so far.

    Raises:
        InvalidRequestError: If the target has rows.
        NasError: If a table has another number of rows there, or other values, than here.
    """
    copied = {}
    with source._read() as reading, target._write() as writing:
        if not is_sqlite(reading):
            reading.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for table in metadata.sorted_tables:
            if writing.execute(select(table).limit(1)).first() is not None:
                raise InvalidRequestError(
                    f"The store {target.url} must be empty to copy into it, "
                    f"but it has {table.name}; name a new one."
                )
        for table in metadata.sorted_tables:
            copied[table.name] = _copy_table(reading, writing, table, tell)
        for table in metadata.sorted_tables:
            _verify(reading, writing, table)
        if not is_sqlite(writing):
            for table in metadata.sorted_tables:
                if table.autoincrement_column is not None:
                    writing.execute(text(_NEXT_ID.format(table=table.name)))
    return copied


_NEXT_ID = (
    "SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
    "(SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
)


def _copy_table(
    reading: Connection, writing: Connection, table: Table, tell: Callable[[str, int], None]
) -> int:
    # parents before children where a table refers to itself: their numbers are smaller
    rows = reading.execution_options(yield_per=CHUNK).execute(
        select(table).order_by(*table.primary_key.columns)
    )
    count = 0
    for part in rows.mappings().partitions():
        writing.execute(table.insert(), [dict(row) for row in part])
        count += len(part)
        tell(table.name, count)
    return count


def _verify(reading: Connection, writing: Connection, table: Table) -> None:
    """Both must have as many rows, and as many values in every column."""
    columns = [func.count(column) for column in table.columns if column.nullable]
    query = select(func.count(), *columns).select_from(table)
    here, there = (tuple(c.execute(query).one()) for c in (reading, writing))
    if here != there:
        raise NasError(
            f"The copy of {table.name} must have {here[0]:,} rows, but has {there[0]:,}, or some "
            f"lost values; nothing was kept of it."
        )
