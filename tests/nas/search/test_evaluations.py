"""Candidates in, stored evaluations out: the same key is never computed twice."""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.executor import InlineExecutor, Report
from nas.evaluation.contract import EvaluationKey, Outcome, Request, Status
from nas.search.candidates import Candidate, Finished
from nas.search.evaluations import Evaluations, evaluate_all
from nas.store import Store

computed: list[str] = []


@dataclass(frozen=True)
class Toy:
    """Answers at once with what its name says, and notes what it was asked."""

    outcome: str = "completed"

    @property
    def identity(self) -> str:
        return f"toy:{self.outcome}"

    @property
    def cheap(self) -> bool:
        return True

    def prepare(self) -> None:
        pass

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        computed.extend(request.key for request in requests)
        yield Report(1.0, {"val_accuracy": 0.5})
        if self.outcome == "raises":
            raise RuntimeError("broken")
        return [
            Outcome(
                key=request.key,
                status=Status(self.outcome),
                metrics={"val_accuracy": request.seed / 100, "odd": float("nan")},
                val_samples=100,
                reason="" if self.outcome == "completed" else "because",
            )
            for request in requests
        ]


def candidate(seed: int, evaluator: Toy = Toy()) -> Candidate:
    key = EvaluationKey(
        subject="s", dataset="", split="", recipe="", evaluator=evaluator.identity, seed=seed
    )
    return Candidate(key=key, evaluator=evaluator)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    computed.clear()
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


@pytest.fixture
def evaluations(store: Store) -> Iterator[Evaluations]:
    evaluations = Evaluations(store, InlineExecutor, owner="me")
    yield evaluations
    evaluations.close()


def accuracies(finished: Sequence[Finished]) -> list[float | None]:
    return [f.evaluation.val_accuracy if f.evaluation else None for f in finished]


def test_a_list_is_answered_in_its_order(evaluations: Evaluations) -> None:
    finished = evaluate_all(evaluations, [candidate(seed) for seed in (30, 10, 20)])
    assert accuracies(finished) == [0.3, 0.1, 0.2]
    assert [f.ticket for f in finished] == [0, 1, 2]


def test_a_key_is_computed_once_however_often_it_is_wanted(
    store: Store, evaluations: Evaluations
) -> None:
    first = evaluate_all(evaluations, [candidate(1), candidate(1), candidate(1)])
    assert [f.reused for f in first] == [False, True, True]
    other = Evaluations(store, InlineExecutor, owner="another")
    (again,) = evaluate_all(other, [candidate(1)])
    other.close()
    assert again.reused
    assert len(computed) == 1


def test_accuracy_comes_with_its_sampling_error_and_nan_is_no_metric(
    evaluations: Evaluations,
) -> None:
    (finished,) = evaluate_all(evaluations, [candidate(50)])
    assert finished.evaluation is not None
    assert finished.evaluation.val_accuracy_se == pytest.approx(0.05)
    assert finished.evaluation.metrics == {}


@pytest.mark.parametrize(
    ("outcome", "status", "times"),
    [
        ("infeasible", Status.INFEASIBLE, 1),
        ("failed", Status.FAILED, 2),
        ("raises", Status.FAILED, 2),
    ],
)
def test_infeasible_is_stored_and_failed_is_tried_again(
    evaluations: Evaluations, outcome: str, status: Status, times: int
) -> None:
    for _ in range(2):
        (finished,) = evaluate_all(evaluations, [candidate(1, Toy(outcome))])
        assert finished.status is status
        assert finished.reason
    assert len(computed) == times


def test_what_another_live_job_computes_is_waited_for(
    store: Store, evaluations: Evaluations
) -> None:
    held = candidate(7)
    assert store.claim([held.key.digest], "another", 60.0)
    evaluations.submit(0, held)
    assert evaluations.collect(0.01) == []
    other = Evaluations(store, InlineExecutor, owner="another")

    def compute() -> None:
        time.sleep(0.1)
        evaluate_all(other, [held])

    thread = threading.Thread(target=compute)
    thread.start()
    finished: list[Finished] = []
    while not finished:
        finished = evaluations.collect(0.05)
    thread.join()
    other.close()
    assert accuracies(finished) == [0.07]
    assert finished[0].reused
    assert len(computed) == 1


def test_what_another_job_ends_between_our_look_and_our_claim_is_not_computed_again(
    store: Store, evaluations: Evaluations, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Evaluations(store, InlineExecutor, owner="another")
    claim = store.claim

    def after_the_other(keys: list[str], owner: str, lease_s: float) -> bool:
        monkeypatch.setattr(store, "claim", claim)
        evaluate_all(other, [candidate(7)])
        return claim(keys, owner, lease_s)

    monkeypatch.setattr(store, "claim", after_the_other)
    (finished,) = evaluate_all(evaluations, [candidate(7)])
    other.close()
    assert finished.reused
    assert len(computed) == 1


def test_what_a_dead_job_held_is_computed_when_its_lease_ends(
    store: Store, evaluations: Evaluations
) -> None:
    held = candidate(8)
    assert store.claim([held.key.digest], "dead", 0.2)
    assert accuracies(evaluate_all(evaluations, [held])) == [0.08]


def test_closing_frees_what_was_not_computed(store: Store) -> None:
    evaluations = Evaluations(store, InlineExecutor, owner="me")
    evaluations.submit(0, candidate(9))
    evaluations.close()
    assert store.claim([candidate(9).key.digest], "another", 1.0)
