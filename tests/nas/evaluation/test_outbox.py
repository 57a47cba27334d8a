"""Outcomes that lie under the artifact location until the driver has stored them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.executor import InlineExecutor, Report
from nas.evaluation import outbox
from nas.evaluation.contract import EvaluationKey, Outcome, Request, Status
from nas.search.candidates import Candidate
from nas.search.evaluations import Evaluations, evaluate_all
from nas.store import Store

computed: list[str] = []


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Writes down what it computes."""

    status: Status = Status.COMPLETED
    cheap = False
    identity = "counted"

    def prepare(self) -> None:
        pass

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        yield Report(1.0, {})
        computed.extend(request.key for request in requests)
        return [outcome(request.key, self.status) for request in requests]


def outcome(key: str, status: Status = Status.COMPLETED) -> Outcome:
    return Outcome(
        key=key,
        status=status,
        metrics={"val_accuracy": float(np.float64(0.5)), "odd": float("inf")},
        val_samples=100,
        curve=({"epoch": 1.0, "val_accuracy": 0.4},),
        fidelity=3.0,
        seconds=1.5,
        device="cpu",
        weights=("weights/a.safetensors", "a", 7),
        details={"hint": [1, 2]},
    )


@pytest.fixture(autouse=True)
def nothing_computed() -> None:
    computed.clear()


def run(running: Generator[Report, None, Any]) -> Any:
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


def test_what_is_left_is_found_as_it_was(tmp_path: Path) -> None:
    outbox.leave(str(tmp_path), outcome("k"))
    assert outbox.find(str(tmp_path), "k") == outcome("k")
    assert outbox.find(str(tmp_path), "another") is None
    outbox.forget(str(tmp_path), ["k", "another"])
    assert outbox.find(str(tmp_path), "k") is None


def test_an_answer_that_never_arrived_is_not_computed_again(tmp_path: Path) -> None:
    payload = (Counted(), [Request(key="a"), Request(key="b")], str(tmp_path))
    outbox.leave(str(tmp_path), outcome("a"))
    assert [o.key for o in run(outbox.work_once(payload))] == ["a", "b"]
    assert computed == ["b"]
    assert run(outbox.work_once(payload)) == [outcome("a"), outcome("b")]
    assert computed == ["b"]


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    payload = (Counted(status=Status.FAILED), [Request(key="a")], str(tmp_path))
    run(outbox.work_once(payload))
    run(outbox.work_once(payload))
    assert computed == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"key": "a"}', b"\xff\xfe"])
def test_one_that_cannot_be_read_is_computed_again(tmp_path: Path, content: bytes) -> None:
    (tmp_path / outbox.FOLDER).mkdir()
    (tmp_path / outbox.FOLDER / "a.json").write_bytes(content)
    (found,) = run(outbox.work_once((Counted(), [Request(key="a")], str(tmp_path))))
    assert (found.key, computed) == ("a", ["a"])


def test_a_driver_takes_what_the_one_before_it_did_not_live_to_hear(tmp_path: Path) -> None:
    key = EvaluationKey(subject="s", dataset="", split="", recipe="", evaluator="counted", seed=0)
    candidate = Candidate(key=key, evaluator=Counted())
    location = str(tmp_path / "artifacts")
    outbox.leave(location, outcome(key.digest))
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        evaluations = Evaluations(store, InlineExecutor, owner="me", artifacts=location)
        (end,) = evaluate_all(evaluations, [candidate])
        evaluations.close()
        stored = store.evaluation(key.digest)
    assert stored is not None
    assert (stored.val_accuracy, stored.fidelity, end.reused) == (0.5, 3.0, False)
    assert computed == []
    assert list((tmp_path / "artifacts" / outbox.FOLDER).iterdir()) == []
