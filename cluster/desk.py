"""Tasks waiting, running and finished: what an executor's caller and its loop share."""

from __future__ import annotations

import pickle
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.executor import LostAttempt, OnReport, Report, Result, Verdict

REFILL_S = 0.05  # how long a slot that came free waits for its next task


class ClosingError(Exception):
    """The desk is closed: what waits for a task should end."""


@dataclass(eq=False, slots=True)
class Task:
    """One submitted payload on its way to its result.

    Args:
        deaths: Workers it lost since its last checkpoint.
        checkpoint: How far the last one was that the work told of.
        begins_at: Fidelity of the first report of the last attempt that reported. One that begins
            further on than those before it shows that a checkpoint was written in between, where
            the work doesn't tell.
        has_reported: Whether the present attempt has.
        started: When its first attempt was handed out, by the monotonic clock.
        attempt_started: When its present one was.
        actor: What the loop's own messages call its present worker.
    """

    key: str
    pickled_payload: bytes
    attempts: int = 0
    deaths: int = 0
    checkpoint: float = 0.0
    begins_at: float | None = None
    has_reported: bool = False
    started: float = 0.0
    attempt_started: float = 0.0
    seconds: float = 0.0
    last_report: Report | None = None
    stopped: bool = False
    error: str | None = None
    pickled_value: bytes | None = None
    worker: str = ""
    actor: str = ""
    lost: tuple[LostAttempt, ...] = ()

    def begin(self) -> None:
        """Another attempt begins."""
        self.attempts += 1
        self.has_reported, self.worker = False, ""
        self.attempt_started = time.monotonic()
        self.started = self.started or self.attempt_started

    def hear(self, report: Report, worker: str) -> None:
        """Note how far the present attempt is."""
        if not self.has_reported:
            if self.begins_at is not None and report.fidelity > self.begins_at:
                self.deaths = min(self.deaths, 1)  # the one that ended the attempt that wrote it
            self.begins_at = report.fidelity
        if report.checkpoint is not None and report.checkpoint > self.checkpoint:
            self.deaths, self.checkpoint = 0, report.checkpoint
        self.has_reported, self.last_report, self.worker = True, report, worker

    def die(self, reason: str, is_workers_death: bool) -> None:
        """The present attempt has lost its worker."""
        self.deaths += is_workers_death
        last = self.last_report if self.has_reported else None
        end = LostAttempt(
            error=reason,
            worker=self.worker,
            fidelity=last.fidelity if last else 0.0,
            details=last.details if last else {},
            seconds=time.monotonic() - self.attempt_started,
        )
        self.lost = (*self.lost, end)

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
            lost=self.lost,
        )


class Desk:
    """Hands tasks out by the loop's name for an attempt, and takes in how they went.

    A task whose worker is lost goes back to the front of the queue, until it has lost
    `max_worker_deaths` with no new checkpoint in between.
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
        self._lost: str | None = None

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
        """Wait for finished tasks as `Executor.collect` promises.

        Raises:
            ClusterError: Once `abandon` was called and everything finished was handed over.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._finished
                    or self.closing
                    or self._lost
                    or not (self._waiting or self._running)
                ),
                timeout_s,
            )
            if self._lost and not self._finished:
                raise ClusterError(self._lost)
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
            task.begin()
            return task

    def note_actor(self, attempt: str, actor: str) -> None:
        self._running[attempt].actor = actor

    def report(self, attempt: str, pickled_report: bytes, worker: str) -> Verdict:
        task = self._running[attempt]
        try:
            report = pickle.loads(pickled_report)
            task.hear(report, worker)
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
            task.die(reason, is_workers_death)
            if task.deaths < self._max_worker_deaths:
                self._waiting.appendleft(task)
                self._changed.notify_all()
            else:
                since = " with no new checkpoint in between" if task.deaths > 1 else ""
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

    def abandon(self, reason: str) -> None:
        """Have `collect` raise: no task can be finished here, though none is to blame."""
        with self._changed:
            self._lost = reason
            self._changed.notify_all()

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
