"""From a store's URL to an engine over tables of the right version, or a sentence why not.

SQLite runs in WAL mode with synchronous=NORMAL: a committed transaction survives the death of
the process (a power cut may take the last ones, but leaves the file whole), and nothing waits
for the disk. Writers begin with BEGIN IMMEDIATE: a transaction that read first and wants to
write later would be refused at once instead of waiting its turn.
"""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Engine,
    bindparam,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import (
    TimeoutError as NoConnectionFree,
)

from nas.errors import InvalidRequestError, NasError
from nas.store.columns import dumps, loads
from nas.store.schema import REVISIONS, VERSION_TABLE

SQLITE_WAIT_S = 30.0
SQLITE_CACHE_KIB = 65_536
SQLITE_CHECKPOINT_PAGES = 4_000  # 16 MiB
CONNECT_TIMEOUT_S = 5
CONNECTIONS = 12
"""Kept open by one process; more are opened where they are needed, and closed again."""
SQLITE_STEPS = 20_000  # of its virtual machine between two looks at the clock; about 1 ms
UPGRADE_LOCK = 7_305_141  # any number, the same in every process

time_limit: ContextVar[float | None] = ContextVar("time_limit", default=None)
"""Seconds that a transaction may take in this context; a server sets it for each request."""


class StoreError(NasError):
    """The database went away, or refused what it should not have; it may work again later."""


def open_engine(url: str, *, create: bool = True, upgrade: bool = False) -> Engine:
    """Connect, and see to it that the tables are there and of this package's version.

    Args:
        create: Make the tables where there are none, and the file of an SQLite store.
        upgrade: Bring older tables up to date; SQLite's always are.

    Raises:
        InvalidRequestError: If the URL can't be read or reached, or holds something else.
    """
    parsed = parse_url(url)
    shown = shown_url(parsed)
    if parsed.get_backend_name() == "sqlite":
        _check_file(parsed, shown, create)
    try:
        engine = _make_engine(parsed)
    except ModuleNotFoundError as error:
        raise InvalidRequestError(
            f"The store {shown} needs the package {error.name!r}; "
            f"install it with pip install 'nas-scale[postgres]'."
        ) from None
    try:
        _prepare(engine, shown, create, upgrade)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        way_out = ""
        if parsed.get_backend_name() != "sqlite":
            way_out = f"; see that it runs and can be reached from {socket.gethostname()}"
        raise InvalidRequestError(
            f"The store {shown} can't be opened: {_cause(error, parsed)}{way_out}."
        ) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def parse_url(url: str) -> URL:
    """Read a store's URL.

    >>> parse_url("postgres://me:secret@db/nas").drivername
    'postgresql+psycopg'
    """
    way_out = "write sqlite:///nas.db or postgresql://USER@HOST/NAME."
    if "://" not in url:
        raise InvalidRequestError(
            f"A store must be given as a URL, but got {url!r}; write sqlite:///{url or 'nas.db'}."
        )
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the text may hold a password, so it isn't shown
        raise InvalidRequestError(f"The store's URL can't be read; {way_out}") from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise InvalidRequestError(
            f"A store must be SQLite or PostgreSQL, but got {parsed.drivername!r}; {way_out}"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise InvalidRequestError(
            "An SQLite store must be a file, but the URL names none; write sqlite:///nas.db."
        )
    return parsed


def shown_url(url: URL) -> str:
    """The URL without its password, wherever that stands in it.

    >>> shown_url(parse_url("postgresql://me:secret@db/nas?sslpassword=secret"))
    'postgresql://me:***@db/nas?sslpassword=***'
    """
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    shown = url.set(drivername=url.get_backend_name()).update_query_dict(hidden)
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; a database that has gone away is a `StoreError`, and so is a question that
    takes longer than `time_limit` allows."""
    limit_s, began = time_limit.get(), time.monotonic()
    try:
        with engine.begin() as connection:
            if limit_s is None:
                yield connection
            else:
                with _limited(connection, limit_s):
                    yield connection
    except (OperationalError, InterfaceError, NoConnectionFree) as error:
        if limit_s is not None and time.monotonic() - began >= limit_s:
            raise StoreError(
                f"The question took longer than the {limit_s:g} s that are allowed; narrow it, by "
                f"a job, a data set or bounds."
            ) from error
        raise StoreError(
            f"The store {shown_url(engine.url)} did not answer: {_cause(error, engine.url)}."
        ) from error


@contextmanager
def _limited(connection: Connection, limit_s: float) -> Iterator[None]:
    """Have the database break off what takes longer."""
    if not is_sqlite(connection):
        # a whole number of our own, so nobody's text
        connection.execute(text(f"SET LOCAL statement_timeout = {max(1, round(limit_s * 1000))}"))
        yield
        return
    until = time.monotonic() + limit_s
    own: Any = connection.connection.driver_connection
    own.set_progress_handler(lambda: time.monotonic() > until, SQLITE_STEPS)
    try:
        yield
    finally:
        own.set_progress_handler(None, SQLITE_STEPS)


def for_writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take SQLite's write lock when they begin."""
    return engine.execution_options(nas_write=True)


def version_of(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none of ours."""
    if VERSION_TABLE not in _table_names(connection):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return str(version) if version is not None else None


def check_version(connection: Connection, shown: str) -> None:
    """Raise if the tables are not of this package's version (any more)."""
    version = version_of(connection)
    if version != REVISIONS[-1]:
        raise InvalidRequestError(
            f"The store {shown} was brought to another version (its tables are {version!r}, this "
            f"package has {REVISIONS[-1]!r}) while this process used it; "
            f"update this package and go on with nas resume."
        )


def _make_engine(url: URL) -> Engine:
    options: dict[str, Any] = {"json_serializer": dumps, "json_deserializer": loads}
    options["hide_parameters"] = True  # in errors, that is, which are logged
    options["pool_size"] = CONNECTIONS
    if url.get_backend_name() == "sqlite":
        # a waiting writer polls up to this long; threads may pass a connection on, one at a time
        options["connect_args"] = {"timeout": SQLITE_WAIT_S, "check_same_thread": False}
        engine = create_engine(url, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    return create_engine(url, pool_pre_ping=True, connect_args=timeout, **options)


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours to say
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    # a large store's indexes stay in memory, and its log is moved over less often
    connection.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={SQLITE_CHECKPOINT_PAGES}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite doesn't wait for this lock by itself, so two that open a new store at once collide."""
    give_up = time.monotonic() + SQLITE_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("nas_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check_file(url: URL, shown: str, create: bool) -> None:
    path = Path(url.database or "")
    if path.is_dir():
        raise InvalidRequestError(
            f"The store {shown} must be a file, but {str(path)!r} is a folder."
        )
    if not create and not path.exists():
        raise InvalidRequestError(f"There is no store {shown}; run a job first, or name another.")
    if not path.parent.is_dir():
        raise InvalidRequestError(
            f"The store {shown} can't be made: the folder {str(path.parent)!r} does not exist."
        )


def _prepare(engine: Engine, shown: str, create: bool, upgrade: bool) -> None:
    with engine.begin() as connection:
        version, is_empty = version_of(connection), not _table_names(connection)
        sqlite = is_sqlite(connection)
    if version == REVISIONS[-1]:
        return
    if version is None:
        if not is_empty:
            raise InvalidRequestError(
                f"The database {shown} holds tables that are not a store's; name an empty one."
            )
        if not create:
            raise InvalidRequestError(f"The store {shown} is empty; run a job first.")
    elif version not in REVISIONS:
        raise InvalidRequestError(
            f"The store {shown} was written by a newer version of this package "
            f"(its tables are {version!r}, this one knows up to {REVISIONS[-1]!r}); "
            f"update this package."
        )
    elif not (sqlite or upgrade):
        raise InvalidRequestError(
            f"The store {shown} has older tables ({version!r}, this package has "
            f"{REVISIONS[-1]!r}); stop what writes to it and run `nas db upgrade`."
        )
    from nas.store.migrations import migrate  # Alembic takes longer to import than a query

    with for_writing(engine).begin() as connection:
        if not sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})"))
        found = version_of(connection)
        if found not in (None, REVISIONS[-1]):
            _check_nobody_writes(connection, shown)
        migrate(connection, found)


def _check_nobody_writes(connection: Connection, shown: str) -> None:
    """Refuse to change tables under a living driver; none can begin until this is over."""
    now: Any = datetime.now(UTC).replace(tzinfo=None)
    if not is_sqlite(connection):
        connection.execute(text("LOCK TABLE jobs IN EXCLUSIVE MODE"))
        now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    # in words that fit every version of the tables
    held = text("SELECT name, id FROM jobs WHERE lease_expires_at > :now ORDER BY created_at")
    held = held.bindparams(bindparam("now", now, DateTime(timezone=not is_sqlite(connection))))
    names = [f"{name} ({job})" for name, job in connection.execute(held)]
    if names:
        raise InvalidRequestError(
            f"The store {shown} can't be upgraded while drivers of an older package write to it: "
            f"{', '.join(names)}. Stop them (nas stop JOB) or wait until they end."
        )


def _table_names(connection: Connection) -> set[str]:
    if is_sqlite(connection):
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    return set(connection.execute(text(query)).scalars())


def _cause(error: BaseException, url: URL) -> str:
    """What the driver said, in one line and without a password."""
    original = getattr(error, "orig", None) or error
    cause = (str(original).strip() or type(original).__name__).splitlines()[0].rstrip(".:")
    secrets = [url.password, *(v for k, v in url.query.items() if "password" in k.lower())]
    for secret in secrets:
        if secret:
            cause = cause.replace(str(secret), "***")
    return cause
