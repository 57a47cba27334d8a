"""What every member of a family promises; each member's own test subclasses its contract."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.executor import Executor, OnReport, Report, Result, Verdict


def play(payload: tuple[Any, ...]) -> Generator[Report, None, Any]:
    """Work that does what its payload says; executors under test run nothing else."""
    action, *arguments = payload
    if action == "double":
        return arguments[0] * 2
    if action == "fail":
        raise ArithmeticError(arguments[0])
    if action == "report":
        for epoch in range(1, arguments[0] + 1):
            yield Report(epoch, {"loss": 1 / epoch})
        return arguments[0]
    if action == "report for ever":
        try:
            for epoch in range(1, 10**6):
                yield Report(epoch, {"loss": 1.0})
                time.sleep(0.001)
        finally:
            Path(arguments[0]).touch()
    raise ValueError(f"Unknown action {action!r}.")


class Listener:
    """Hears all reports; stops the keys that say `stop` at their third."""

    def __init__(self) -> None:
        self.heard: dict[str, list[Report]] = {}

    def __call__(self, key: str, report: Report) -> Verdict:
        if key.startswith("deaf"):
            raise RuntimeError("nobody listens")
        self.heard.setdefault(key, []).append(report)
        is_over = key.startswith("stop") and len(self.heard[key]) == 3
        return Verdict.STOP if is_over else Verdict.CONTINUE


def collect_all(executor: Executor, count: int) -> dict[str, Result]:
    """Collect `count` results, and fail if a key comes twice or nothing comes for a minute."""
    results: dict[str, Result] = {}
    while len(results) < count:
        batch = executor.collect(timeout_s=60)
        assert batch, f"{count - len(results)} results never came"
        for result in batch:
            assert result.key not in results, f"{result.key} came twice"
            results[result.key] = result
    return results


class ExecutorContract:
    """What every executor promises; subclasses say how one that plays `play` is made."""

    @staticmethod
    def make(on_report: OnReport) -> Executor:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def listener(cls) -> Listener:
        return Listener()

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, listener: Listener) -> Iterator[Executor]:
        executor = cls.make(listener)
        yield executor
        executor.close()

    def test_every_submitted_key_is_collected_exactly_once(self, executor: Executor) -> None:
        for number in range(50):
            executor.submit(f"quick {number}", ("double", number))
        results = collect_all(executor, 50)
        assert {key: result.value for key, result in results.items()} == {
            f"quick {number}": 2 * number for number in range(50)
        }
        assert executor.collect(timeout_s=0.1) == []

    def test_failing_work_is_a_result_with_its_traceback(self, executor: Executor) -> None:
        executor.submit("bad", ("fail", "seven is not eight"))
        executor.submit("good", ("double", 1))
        results = collect_all(executor, 2)
        assert results["good"].value == 2
        assert results["bad"].value is None
        assert "ArithmeticError: seven is not eight" in (results["bad"].error or "")
        assert "in play" in (results["bad"].error or "")
        assert results["bad"].attempts == 1

    def test_reports_are_heard_in_order(self, executor: Executor, listener: Listener) -> None:
        for key in ("first", "second", "third"):
            executor.submit(key, ("report", 5))
        results = collect_all(executor, 3)
        expected = [Report(epoch, {"loss": 1 / epoch}) for epoch in range(1, 6)]
        for key, result in results.items():
            assert listener.heard[key] == expected
            assert result.last_report == expected[-1]
            assert result.value == 5

    def test_stop_ends_that_work_and_no_other(
        self, executor: Executor, listener: Listener, tmp_path: Path
    ) -> None:
        executor.submit("stop me", ("report for ever", str(tmp_path / "cleaned up")))
        executor.submit("let me", ("report", 20))
        results = collect_all(executor, 2)
        assert results["stop me"].stopped
        assert results["stop me"].error is None
        assert results["stop me"].last_report == Report(3, {"loss": 1.0})
        assert len(listener.heard["stop me"]) == 3
        assert not results["let me"].stopped
        assert results["let me"].value == 20
        deadline = time.monotonic() + 30
        while not (tmp_path / "cleaned up").exists():
            assert time.monotonic() < deadline, "stopped work never came to its `finally`"
            time.sleep(0.01)

    def test_a_listener_that_raises_fails_that_work_alone(self, executor: Executor) -> None:
        executor.submit("deaf", ("report", 3))
        executor.submit("other", ("report", 3))
        results = collect_all(executor, 2)
        assert "RuntimeError: nobody listens" in (results["deaf"].error or "")
        assert not results["deaf"].stopped
        assert results["other"].value == 3

    def test_nothing_due_is_collected_at_once(self, executor: Executor) -> None:
        assert executor.collect() == []
        assert executor.collect(timeout_s=60) == []

    def test_closing_gives_up_what_waits_and_may_be_repeated(self, tmp_path: Path) -> None:
        executor = self.make(Listener())
        for number in range(executor.slots + 1):
            executor.submit(f"{number}", ("report for ever", str(tmp_path / "never read")))
        executor.close()
        executor.close()
        assert executor.collect(timeout_s=60) == []
