"""Executor: hand in payloads, hear reports, collect results; and its in-process form."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class Verdict(Enum):
    """What becomes of work after a report."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Report:
    """How far one piece of work is (epochs, say), and what it measured there.

    Args:
        checkpoint: How far it was when it last wrote a checkpoint, where it says so.
        details: What else there is to say of it until now; what is left of it if it ends here.
    """

    fidelity: float
    metrics: Mapping[str, float]
    checkpoint: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


Work = Callable[[Any], Generator[Report, None, Any]]
"""A payload to a generator of reports, whose return value is the result. Picklable."""

Luggage = tuple[Callable[[Any], None], Any]
"""What is to be called in a worker before its first work, and with what."""

PackLuggage = Callable[[], Luggage | None]
"""Makes it, if there is any; asked only where it travels."""

OnReport = Callable[[str, Report], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostAttempt:
    """A start of some work that ended with its worker.

    Args:
        fidelity, details: Of its last report.
        seconds: Until the loss was known.
    """

    error: str
    worker: str = ""
    fidelity: float = 0.0
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one payload ended: with a value, with an error, or stopped after a report.

    Args:
        error: Type, message and traceback of what the work raised, or why its worker is gone.
        attempts: How often it was started.
        last_report: The last one heard; what work that was stopped leaves behind.
        seconds: From its first start to its end, lost attempts included.
        worker: Host and process id, where there are several.
        lost: Those of its attempts that ended with their worker, in order.
    """

    key: str
    value: Any = None
    error: str | None = None
    stopped: bool = False
    last_report: Report | None = None
    attempts: int = 1
    seconds: float = 0.0
    worker: str = ""
    lost: tuple[LostAttempt, ...] = ()


class Executor(Protocol):
    """Runs work elsewhere. Every submitted key comes back from `collect` exactly once.

    What the work raises is a `Result` with an error, never an exception here. Reports reach
    `on_report` in order for each key, possibly from another thread than the caller's; its
    verdict STOP ends that work at once.
    """

    @property
    def slots(self) -> int:
        """How many payloads run side by side."""

    def submit(self, key: str, payload: Any) -> None:
        """Hand in one payload; returns at once."""

    def collect(self, timeout_s: float | None = None) -> list[Result]:
        """Wait for at least one result; an empty list after `timeout_s`, or if none is due."""

    def close(self) -> None:
        """Give up what is not finished and free the workers; may be called twice."""


class InlineExecutor:
    """Does the work in this process, one payload at a time, when results are collected.

    >>> def double(payload):
    ...     yield Report(1.0, {"half_way": payload})
    ...     return payload * 2
    >>> executor = InlineExecutor(double)
    >>> executor.submit("a", 21)
    >>> executor.collect()[0].value
    42
    """

    def __init__(self, work: Work, on_report: OnReport | None = None) -> None:
        self._work = work
        self._on_report = on_report or (lambda key, report: Verdict.CONTINUE)
        self._waiting: deque[tuple[str, Any]] = deque()

    @property
    def slots(self) -> int:
        return 1

    def submit(self, key: str, payload: Any) -> None:
        self._waiting.append((key, payload))

    def collect(self, timeout_s: float | None = None) -> list[Result]:
        if not self._waiting:
            return []
        return [self._run(*self._waiting.popleft())]

    def close(self) -> None:
        self._waiting.clear()

    def _run(self, key: str, payload: Any) -> Result:
        started = time.monotonic()
        report: Report | None = None

        def result(**fields: Any) -> Result:
            seconds = time.monotonic() - started
            return Result(
                key=key, last_report=report, seconds=seconds, worker="this process", **fields
            )

        try:
            running = self._work(payload)
            while True:
                try:
                    report = next(running)
                except StopIteration as end:
                    return result(value=end.value)
                if self._on_report(key, report) is Verdict.STOP:
                    running.close()
                    return result(stopped=True)
        except Exception:  # whatever the work raises is the work's result
            return result(error=traceback.format_exc())
