"""Opening a store: what is made, what is refused, and in which words."""

import sqlite3
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from setuptools import find_packages
from sqlalchemy import create_engine, inspect, text

from nas.errors import InvalidRequestError
from nas.store import AttemptRow, MeasurementRow, Store, TrialEnd
from nas.store.engine import StoreError, for_writing, open_engine, parse_url
from nas.store.migrations import FOLDER, migrate
from nas.store.schema import REVISIONS, VERSION_TABLE, metadata
from nas.store.tools import upgrade
from tests.nas.store.build import evaluation_row, new_trial


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path):
    """URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("empty_postgres")


def refusal(url, **options):
    with pytest.raises(InvalidRequestError) as caught:
        Store.open(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert "hunter2" not in message
    return message


def execute(url, *statements):
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_tables_and_migrations_agree(empty_url):
    Store.open(empty_url).close()
    engine = create_engine(parse_url(empty_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISIONS[-1]
    engine.dispose()


def test_the_revisions_are_those_of_the_scripts():
    scripts = ScriptDirectory(str(FOLDER)).walk_revisions()
    assert [script.revision for script in scripts] == list(REVISIONS)[::-1]


def test_the_migrations_are_packaged():
    assert "nas.store.migrations.versions" in find_packages(str(FOLDER.parents[2]))


def test_a_migration_that_fails_leaves_nothing(empty_url):
    engine = open_and_drop_everything(empty_url)
    with for_writing(engine).connect() as connection:
        connection.begin()
        migrate(connection, None)
        assert VERSION_TABLE in inspect(connection).get_table_names()
        connection.rollback()
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def open_and_drop_everything(url):
    """An engine as the store sets it up, over a database without tables."""
    engine = open_engine(url)
    metadata.drop_all(engine)
    with for_writing(engine).begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    return engine


def test_a_store_is_opened_again_with_what_was_in_it(empty_url):
    with Store.open(empty_url) as store:
        job = store.create_job("digits", {}, {}).id
    with Store.open(empty_url, create=False) as store:
        assert store.find_job(job).name == "digits"


def test_a_store_that_is_not_there_is_not_made_by_a_question(empty_url, tmp_path):
    assert "run a job first" in refusal(empty_url, create=False)
    assert list(tmp_path.glob("empty.db")) == []


def test_a_store_of_a_newer_version_asks_for_a_newer_package(any_url):
    try:
        execute(any_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        assert "newer version of this package" in refusal(any_url)
    finally:
        execute(any_url, f"UPDATE {VERSION_TABLE} SET version_num = '{REVISIONS[-1]}'")


def test_a_database_of_something_else_is_left_alone(empty_url):
    # with Alembic's own table, as Optuna's storage has it
    execute(empty_url, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
    assert "not a store's" in refusal(empty_url)
    engine = create_engine(parse_url(empty_url))
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("shopping list " * 1000)
    assert "file is not a database" in refusal(f"sqlite:///{path}")
    assert path.read_text().startswith("shopping list")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nas.db", "must be given as a URL, but got 'nas.db'; write sqlite:///nas.db"),
        ("", "write sqlite:///nas.db"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:////no/such/folder/nas.db", "the folder '/no/such/folder' does not exist"),
        ("sqlite:////tmp", "is a folder"),
        ("mysql://me:hunter2@host/nas", "must be SQLite or PostgreSQL, but got 'mysql'"),
        ("postgresql://me:hunter2@host:port/nas", "can't be read"),
        ("postgresql://me:hunter2@127.0.0.1:1/nas", "me:***@127.0.0.1:1/nas can't be opened"),
        ("postgresql://127.0.0.1:1/nas?password=hunter2", r"password=*** can't be opened"),
        ("postgresql://me:hunter2@/nas?host=/no/socket", "can't be opened"),
    ],
)
def test_a_wrong_url_is_refused_in_one_sentence_without_its_password(url, words):
    assert words in refusal(url)


def test_a_wrong_database_or_user_is_said_without_the_password(postgres_server):
    url = postgres_server.replace("postgres:@", "nobody:hunter2@")
    assert 'role "nobody" does not exist' in refusal(url)
    assert 'database "missing" does not exist' in refusal(
        postgres_server.replace("/postgres?", "/missing?")
    )


def test_a_database_that_goes_away_is_an_error_that_says_which(empty_postgres, postgres_server):
    name = empty_postgres.split("/")[3].partition("?")[0]
    with Store.open(empty_postgres) as store:
        execute_alone(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")
        with pytest.raises(StoreError, match=f"{name}.* did not answer"):
            store.list_jobs()


def execute_alone(url, statement):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def test_sqlite_is_set_up_to_survive_a_killed_process_and_to_share(sqlite_url):
    with Store.open(sqlite_url) as store, store._read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_a_locked_database_is_an_error_that_says_so(sqlite_url, monkeypatch):
    monkeypatch.setattr("nas.store.engine.SQLITE_WAIT_S", 0.1)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    with Store.open(sqlite_url) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            store.create_job("digits", {}, {})
        assert store.list_jobs() == []  # reading goes on
    other.close()


def test_the_rows_load_no_database_and_a_question_neither_alembic_nor_numpy(sqlite_url):
    code = (
        "import sys, nas.store; rows = set(sys.modules);"
        f"nas.store.Store.open({sqlite_url!r}).front();"
        "print(*(m for m in ('sqlalchemy', 'numpy', 'torch') if m in rows), '/',"
        " *(m for m in ('alembic', 'numpy', 'torch', 'psycopg', 'sqlalchemy.orm')"
        " if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["/"]


def test_an_upgrade_tells_attempts_the_energy_that_their_evaluations_were_measured_with(empty_url):
    with Store.open(empty_url) as store:
        job = store.create_job("j", {}, {}).id
        store.add_trials(job, [new_trial(0), new_trial(1)])
        measured = MeasurementRow(metric="energy_j", value=50.0, evaluation=evaluation_row(0).key)
        attempt = AttemptRow(trial=0, number=2, state="completed", gpus=1.0)
        failed = AttemptRow(trial=0, number=1, state="failed", gpus=1.0)
        end = TrialEnd(
            number=0,
            state="completed",
            evaluation=evaluation_row(0),
            measurements=(measured,),
            attempts=(failed, attempt),
        )
        store.finish_trial(job, end)
        again = TrialEnd(number=1, state="completed", evaluation=end.evaluation.key, reused=True)
        store.finish_trial(job, again)
    execute(
        empty_url,
        *(f"ALTER TABLE attempts DROP COLUMN {name}" for name in ("energy_j", "energy_note")),
        f"UPDATE {VERSION_TABLE} SET version_num = '0007'",
    )
    upgrade(empty_url)
    with Store.open(empty_url) as store:
        assert [row.energy_j for row in store.attempts(job)] == [None, 50.0]
        assert store.usage(job)[job].energy_j == 50.0
