"""The journal: what reached a driver is found again, whatever became of driver and store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.executor import InlineExecutor
from nas.search.evaluations import Evaluations, evaluate_all
from nas.search.journal import Entry, Journal
from nas.store import EvaluationRow, Store
from nas.store.engine import StoreError
from nas.store.patience import Patience
from tests.nas.search.test_evaluations import candidate, computed


def row(key: str, **fields: object) -> EvaluationRow:
    plain: dict[str, object] = {
        "key": key, "subject": "s", "dataset": "", "split": "", "recipe": "", "evaluator": "e",
        "seed": 0,
    }  # fmt: skip
    return EvaluationRow(**{**plain, **fields})  # type: ignore[arg-type]


def test_a_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    full = Entry(
        evaluation=row(
            "a", val_accuracy=0.5, curve=({"epoch": 1.0, "loss": float("inf")},),
            weights=("w", "sha", 3), metrics={"latency_ms": 1e-9}, details={"é": [1]},
        ),
        attempts=3,
        seconds=1.5,
    )  # fmt: skip
    Journal(tmp_path / "job", "one").append(full)
    Journal(tmp_path / "job", "two").append(Entry(evaluation=row("b")))
    found = Journal(tmp_path / "job", "three").recover()
    assert found == [full, Entry(evaluation=row("b"))]


@given(st.integers(min_value=0, max_value=2_000))
@settings(deadline=None)
def test_a_line_that_was_cut_short_costs_no_other(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "dead")
        for key in "abc":
            journal.append(Entry(evaluation=row(key)))
        path = Path(folder) / "dead.jsonl"
        content = path.read_bytes()
        path.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n")
        keys = [entry.evaluation.key for entry in Journal(Path(folder), "new").recover()]
        assert keys[:whole] == list("abc")[:whole]
        assert len(keys) <= whole + 1  # all but its end of line may be there


def test_a_journal_is_empty_when_the_store_has_everything_and_gone_when_closed(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "job", "one")
    for key in "ab":
        journal.append(Entry(evaluation=row(key)))
    journal.settle(["a"])
    assert len(Journal(tmp_path / "job", "two").recover()) == 2
    journal.settle(["b"])
    assert Journal(tmp_path / "job", "two").recover() == []
    journal.close()
    assert not (tmp_path / "job").exists()


class Away(Store):
    """A store that breaks off so many times when an evaluation is to be saved."""

    times = 0

    def save_evaluation(self, *arguments: Any, **named: Any) -> EvaluationRow:
        if self.times:
            self.times -= 1
            raise StoreError("away")
        return super().save_evaluation(*arguments, **named)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Away]:
    computed.clear()
    with Away.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


def test_a_driver_that_dies_with_its_store_away_leaves_its_results_to_the_next(
    store: Away, tmp_path: Path
) -> None:
    store.times = 1
    dead = Evaluations(store, InlineExecutor, owner="job", journal=Journal(tmp_path / "j", "dead"))
    dead.submit(0, candidate(7))
    with pytest.raises(StoreError):
        dead.collect()
    assert store.evaluation(candidate(7).key.digest) is None

    journal = Journal(tmp_path / "j", "next")
    later = Evaluations(store, InlineExecutor, owner="job", journal=journal)
    stored = store.evaluation(candidate(7).key.digest)
    assert stored is not None
    assert stored.val_accuracy == 0.07
    (end,) = evaluate_all(later, [candidate(7)])
    assert not end.reused  # computed for this very trial
    assert end.attempts == 1
    assert len(computed) == 1
    later.close()
    dead.close()


def test_while_the_store_is_away_results_go_on_arriving_and_are_written_once(
    store: Away, tmp_path: Path
) -> None:
    store.times = 3
    patient = Patience(store)
    journal = Journal(tmp_path / "j", "me")
    evaluations = Evaluations(cast(Store, patient), InlineExecutor, owner="me", journal=journal)
    waits: list[int] = []

    def keep() -> None:
        evaluations.keep()
        waits.append(len(Journal(tmp_path / "j", "reader").recover()))

    patient.while_away = keep
    for seed in range(5):
        evaluations.submit(seed, candidate(seed))
    finished = []
    while evaluations.pending:
        finished += evaluations.collect()
    evaluations.close()
    assert waits == [2, 3, 4]
    assert sorted(end.ticket for end in finished) == [0, 1, 2, 3, 4]
    assert len(computed) == 5
    assert not (tmp_path / "j").exists()
