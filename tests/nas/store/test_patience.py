"""A driver's store that goes away and comes back: nothing is lost, doubled or done by halves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.store import NewTrial, Store, TrialEnd
from nas.store.engine import StoreError
from nas.store.patience import Patience, is_no_use


class Flaky:
    """A store in memory whose calls break by a plan: before they act, or after (a lost answer)."""

    url = "flaky"

    def __init__(self, breaks: list[str]) -> None:
        self.breaks = breaks
        self.rows: dict[str, int] = {}
        self.draft: dict[str, int] | None = None

    def put(self, key: str, value: int) -> int:
        self._break("before")
        (self.rows if self.draft is None else self.draft)[key] = value
        if self.draft is None:
            self._break("after")
        return value

    def together(self) -> AbstractContextManager[None]:
        return Block(self)

    def _break(self, where: str) -> None:
        is_next = bool(self.breaks) and self.breaks[0] in (where, "fine")
        if is_next and self.breaks.pop(0) != "fine":
            raise StoreError("away")


class Block:
    def __init__(self, store: Flaky) -> None:
        self.store = store

    def __enter__(self) -> None:
        self.store._break("before")
        self.store.draft = {}

    def __exit__(self, kind: Any, *rest: Any) -> None:
        draft, self.store.draft = self.store.draft, None
        assert draft is not None
        if kind is None:
            self.store._break("before")
            self.store.rows |= draft
            self.store._break("after")


def patience(breaks: list[str]) -> tuple[Flaky, Patience]:
    store = Flaky(breaks)
    patient = Patience(store)  # type: ignore[arg-type]
    patient._wait = lambda seconds: None  # type: ignore[method-assign]
    return store, patient


@given(st.lists(st.sampled_from(["before", "after", "fine"]), max_size=20))
@settings(deadline=None)
def test_a_block_is_written_whole_and_its_code_runs_once(breaks: list[str]) -> None:
    store, patient = patience(breaks)
    ran = []
    with patient.together():
        for number in range(4):
            ran.append(patient.put(str(number), number))
        assert "0" not in store.rows
    assert ran == [0, 1, 2, 3]
    assert store.rows == {str(n): n for n in range(4)}


def test_a_block_that_raises_leaves_nothing() -> None:
    store, patient = patience(["fine", "before"])

    def break_off() -> None:
        with patient.together():
            patient.put("a", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert store.rows == {}
    patient.put("b", 2)
    assert store.rows == {"b": 2}


def test_patience_ends_and_the_error_says_why() -> None:
    _, patient = patience(["before"] * 1_000)
    patient.patience_s = 0.0
    with pytest.raises(StoreError, match="away"):
        patient.put("a", 1)


def test_what_arrives_is_taken_in_while_the_store_is_away_by_the_driver_s_own_thread() -> None:
    calls: list[int] = []
    patient = Patience(
        Flaky(["before"] * 2),  # type: ignore[arg-type]
        while_away=lambda: calls.append(threading.get_ident()),
    )
    keeper = threading.Thread(target=lambda: patient.put("lease", 1))
    keeper.start()
    keeper.join()
    assert calls == []
    patient._store.breaks = ["before"] * 2  # type: ignore[attr-defined]
    patient.put("row", 1)
    assert calls == [threading.get_ident()] * 2


def broken_off(url: str) -> None:
    """End every other connection to a PostgreSQL database, as its restart does."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_transaction_of_postgresql_that_breaks_off_is_made_again(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        job = store.create_job("toy", {}, {}).id
        patient = Patience(store)
        with patient.together():
            patient.add_trials(job, [NewTrial(number=0, choices={})])
            broken_off(postgres_url)
            patient.add_trials(job, [NewTrial(number=1, choices={})])
            broken_off(postgres_url)
        broken_off(postgres_url)
        patient.finish_trial(job, TrialEnd(number=0, state="completed", values=(1.0,)))
        assert [row.state for row in store.trials(job)] == ["completed", "waiting"]


def test_a_table_that_is_not_there_is_not_waited_for(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        with store._write() as connection:
            connection.exec_driver_sql("DROP TABLE attempts")
        start = time.monotonic()
        with pytest.raises(StoreError, match="no such table") as told:
            Patience(store).attempts("x")
        assert is_no_use(told.value)
        assert time.monotonic() - start < 5


@pytest.mark.parametrize("ask", [lambda s: s.url, lambda s: s.find_job(None).name])
def test_everything_else_is_the_store_s_own(sqlite_url: str, ask: Callable[[Any], Any]) -> None:
    with Store.open(sqlite_url) as store:
        store.create_job("toy", {}, {})
        assert ask(Patience(store)) == ask(store)
