from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from cluster.executor import OnReport, Report, Result
from cluster.simulated import SimulatedExecutor
from tests.contracts import ExecutorContract, play


def answer(payload: float) -> Generator[Report, None, float]:
    return payload
    yield


class Clock:
    """A caller that computes as long as it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def value(result: Result) -> float:
    return float(result.value)


class TestSimulatedExecutor(ExecutorContract):
    @staticmethod
    def make(on_report: OnReport) -> SimulatedExecutor:
        return SimulatedExecutor(play, on_report, slots=2, seconds=lambda result: 1.0)


def simulated(slots: int) -> tuple[SimulatedExecutor, Clock]:
    clock = Clock()
    return SimulatedExecutor(answer, slots=slots, seconds=value, caller_clock=clock), clock


def test_results_come_in_the_order_of_their_ends_and_not_before() -> None:
    executor, _ = simulated(slots=3)
    for number, seconds in enumerate((30.0, 10.0, 20.0, 15.0)):
        executor.submit(f"{number}", seconds)
    assert executor.collect(timeout_s=5.0) == []
    order: list[tuple[str, float]] = []
    while results := executor.collect():
        order += [(result.key, executor.now) for result in results]
    # the fourth waits for the worker that is free after 10 s, and ends after 25
    assert order == [("1", 10.0), ("2", 20.0), ("3", 25.0), ("0", 30.0)]


def test_workers_wait_for_a_caller_that_computes() -> None:
    executor, clock = simulated(slots=1)
    executor.submit("a", 10.0)
    executor.collect()
    clock.now += 4.0
    executor.submit("b", 10.0)
    executor.collect()
    assert executor.now == executor.runs[1][1] == 24.0
    assert executor.caller_s == 4.0


def test_work_that_ends_while_the_caller_computes_is_collected_at_once() -> None:
    executor, clock = simulated(slots=2)
    executor.submit("a", 1.0)
    executor.submit("b", 2.0)
    assert executor.collect(timeout_s=0.0) == []
    clock.now += 5.0
    assert [result.key for result in executor.collect()] == ["a", "b"]
    assert executor.now == 5.0


@pytest.mark.parametrize("slots", [1, 7])
def test_an_idle_caller_keeps_every_worker_busy(slots: int) -> None:
    executor, _ = simulated(slots=slots)
    left: list[Any] = [10.0] * (5 * slots)
    for number, seconds in enumerate(left):
        executor.submit(f"{number}", seconds)
    while executor.collect():
        pass
    assert executor.now == 50.0
    assert sum(end - start for start, end in executor.runs) == 50.0 * slots
