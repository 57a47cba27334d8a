"""Looking one network up reads its rows, not the store's."""

import pytest
from sqlalchemy import event

from nas.store import Filter, Store
from tests.nas.store.build import architecture_row, evaluation_row


@pytest.fixture
def store(sqlite_url):
    with Store.open(sqlite_url) as store:
        for number in range(3):
            network = architecture_row(number)
            row = evaluation_row(number, architecture=network.fingerprint)
            store.save_evaluation(row, network)
        yield store


def plans(store, ask):
    """How SQLite goes about each query of a question."""
    asked, found = [], []
    listen = (store._engine, "before_cursor_execute")

    def note(connection, cursor, statement, parameters, context, executemany):
        asked.append((statement, parameters))

    event.listen(*listen, note)
    ask()
    event.remove(*listen, note)
    with store._read() as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "WITH")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                found += [row[3] for row in plan]
    return found


def test_a_network_is_found_by_the_index_of_its_fingerprints(store):
    fingerprint = architecture_row(1).fingerprint
    for text in (fingerprint, fingerprint[:8]):
        assert store.find_architecture(text).fingerprint == fingerprint
        found = plans(store, lambda text=text: store.find_architecture(text))
        assert [step.split()[0] for step in found] == ["SEARCH"]
    assert store.find_architecture("%") is None


def test_a_network_s_evaluations_are_found_by_the_network(store):
    where = Filter(architecture=architecture_row(1).fingerprint)
    assert [row.evaluation for row in store.models(where, limit=200)] == [evaluation_row(1).key]
    found = plans(store, lambda: store.models(where, limit=200))
    reading = [step for step in found if step.split()[1] == "evaluations"]
    assert reading
    assert all("ix_evaluations_architecture" in step or "key=?" in step for step in reading)


def test_models_of_a_front_are_found_by_their_keys(store):
    assert len(store.front()) == 1
    found = plans(store, lambda: store.front())
    reading = [step for step in found if step.split()[1] == "evaluations"]
    assert reading
    assert all("(key=?)" in step for step in reading)
