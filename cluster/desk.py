"""Tasks waiting, running and finished: what an executor's caller and its loop share."""

from __future__ import annotations

import pickle
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.executor import OnReport, Report, Result, Verdict

REFILL_S = 0.05  # how long a slot that came free waits for its next task


class ClosingError(Exception):
    """The desk is closed: what waits for a task should end."""


@dataclass(eq=False, slots=True)
class Task:
    """One submitted payload on its way to its result.

    Args:
        deaths: Workers it lost since its last report.
        started: When its first attempt was handed out, by the monotonic clock.
        actor: What the loop's own messages call its present worker.
    """

    key: str
    pickled_payload: bytes
    attempts: int = 0
    deaths: int = 0
    started: float = 0.0
    seconds: float = 0.0
    last_report: Report | None = None
    stopped: bool = False
    error: str | None = None
    pickled_value: bytes | None = None
    worker: str = ""
    actor: str = ""

    def result(self) -> Result:
        value, error = None, self.error
        if self.pickled_value is not None:
            try:
                value = pickle.loads(self.pickled_value)
            except Exception:  # a value that doesn't load is the work's error
                error = traceback.format_exc()
        return Result(
            key=self.key,
            value=value,
            error=error,
            stopped=self.stopped and error is None,
            last_report=self.last_report,
            attempts=self.attempts,
            seconds=self.seconds,
            worker=self.worker,
        )


class Desk:
    """Hands tasks out by the loop's name for an attempt, and takes in how they went.

    A task whose worker is lost goes back to the front of the queue, until it has lost
    `max_worker_deaths` with no report in between.
    """

    def __init__(self, on_report: OnReport | None = None, max_worker_deaths: int = 3) -> None:
        self.closing = False
        self._on_report = on_report
        self._max_worker_deaths = max_worker_deaths
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._running: dict[str, Task] = {}
        self._finished: list[Task] = []
        self._refill_until = 0.0
        self._broken: str | None = None

    def submit(self, key: str, pickled_payload: bytes) -> None:
        task = Task(key, pickled_payload)
        with self._changed:
            if self.closing:
                raise ClusterError("This executor is closed; make another one.")
            if self._broken is None:
                self._waiting.append(task)
                self._changed.notify_all()
            else:
                self._finish(task, error=self._broken)

    def collect(self, timeout_s: float | None) -> list[Result]:
        """Wait for finished tasks as `Executor.collect` promises."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._finished or self.closing or not (self._waiting or self._running),
                timeout_s,
            )
            finished, self._finished = self._finished, []
        return [task.result() for task in finished]

    def close(self) -> None:
        with self._changed:
            self.closing = True
            self._changed.notify_all()

    def hand_out(self, attempt: str) -> Task | None:
        """Wait for a task as long as none runs, else a moment.

        Raises:
            ClosingError: If the desk is closed.
        """
        with self._changed:
            while not (self._waiting or self._running or self.closing):
                self._changed.wait()
            patience_s = max(0.0, self._refill_until - time.monotonic())
            self._changed.wait_for(lambda: self._waiting or self.closing, patience_s)
            if self.closing:
                raise ClosingError
            if not self._waiting:
                return None
            task = self._running[attempt] = self._waiting.popleft()
            task.attempts += 1
            task.started = task.started or time.monotonic()
            return task

    def note_actor(self, attempt: str, actor: str) -> None:
        self._running[attempt].actor = actor

    def report(self, attempt: str, pickled_report: bytes, worker: str) -> Verdict:
        task = self._running[attempt]
        task.deaths, task.worker = 0, worker
        try:
            task.last_report = report = pickle.loads(pickled_report)
            verdict = self._on_report(task.key, report) if self._on_report else Verdict.CONTINUE
        except Exception:  # one task's trouble, not the loop's
            task.error, verdict = traceback.format_exc(), Verdict.STOP
        task.stopped = verdict is Verdict.STOP
        return verdict

    def finish(
        self, attempt: str, *, value: bytes | None = None, error: str | None = None, worker: str
    ) -> None:
        with self._changed:
            task = self._running.pop(attempt)
            task.worker = worker
            self._finish(task, value=value, error=error)

    def lose(self, attempt: str, reason: str, *, is_workers_death: bool = True) -> None:
        """Queue a task again whose worker is gone, or fail it if that happened too often."""
        with self._changed:
            task = self._running.pop(attempt)
            task.deaths += is_workers_death
            if task.deaths < self._max_worker_deaths:
                self._waiting.appendleft(task)
                self._changed.notify_all()
            else:
                since = " with no report in between" if task.deaths > 1 else ""
                count = "once" if task.deaths == 1 else f"{task.deaths} times"
                self._finish(task, error=f"Its worker died {count}{since}; the last time: {reason}")

    def lose_all(self, reason: str) -> bool:
        """Queue all running tasks again; False if none ran.

        If the reason names the actors of some, only theirs count as deaths.
        """
        running = dict(self._running)
        named = {
            attempt for attempt, task in running.items() if task.actor and task.actor in reason
        }
        for attempt in running:
            self.lose(attempt, reason, is_workers_death=not named or attempt in named)
        return bool(running)

    def give_up(self, reason: str) -> None:
        """Fail every task that isn't finished, and every later one."""
        with self._changed:
            self._broken = reason
            for task in (*self._running.values(), *self._waiting):
                self._finish(task, error=reason)
            self._running.clear()
            self._waiting.clear()

    def _finish(self, task: Task, *, value: bytes | None = None, error: str | None = None) -> None:
        task.pickled_value = value
        task.error = task.error or error
        now = time.monotonic()
        task.seconds = now - (task.started or now)
        self._refill_until = now + REFILL_S
        self._finished.append(task)
        self._changed.notify_all()
