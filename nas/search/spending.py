"""Spending: what a job's workers and its clock have used of its budget, over all its drivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a job ends, whatever is left to do; None is no limit.

    Args:
        trials: Evaluated trials of all stages.
        wall_time_s: Time in which a driver worked on the job.
    """

    gpu_hours: float | None = None
    cpu_hours: float | None = None
    wall_time_s: float | None = None
    trials: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What one trial holds while it runs."""

    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What went before: CPU and GPU seconds held by trials, and the drivers' time."""

    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    wall_time_s: float = 0.0


class BudgetSpent(Exception):
    """Ends a job cleanly, with what it has; not an error.

    Args:
        name: The budget, as the job file has it.
        limit: As it was when it was spent.
    """

    def __init__(self, name: str, limit: float, used: str) -> None:
        super().__init__(f"ended by its budget `{name}`: {used}")
        self.name, self.limit = name, limit


class Spending:
    """Adds up what running and ended trials hold. Safe to use from several threads.

    Executors don't say when a task leaves their queue; the first `slots` of those handed in are
    taken to run, as they do.

    Args:
        count_trials: Evaluated trials of the job so far; asked only where `limits.trials` is set.
    """

    def __init__(
        self,
        reserved: Reserved = Reserved(),
        limits: Limits = Limits(),
        before: Spent = Spent(),
        count_trials: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reserved, self.limits = reserved, limits
        self._before, self._count_trials, self._clock = before, count_trials, clock
        self._started = clock()
        self._cpu_seconds, self._gpu_seconds = before.cpu_seconds, before.gpu_seconds
        self._running: dict[str, float] = {}
        self._queued: dict[str, None] = {}
        self._lock = threading.Lock()

    def begin(self, key: str, slots: int) -> None:
        """A trial was handed to the executor."""
        with self._lock:
            if len(self._running) < slots:
                self._running[key] = self._clock()
            else:
                self._queued[key] = None

    def end(self, key: str, seconds: float, reserved: Reserved | None = None) -> None:
        """A trial ended, after so many seconds on its worker."""
        held = reserved or self.reserved
        with self._lock:
            self._cpu_seconds += seconds * held.cpus
            self._gpu_seconds += seconds * held.gpus
            self._queued.pop(key, None)
            if self._running.pop(key, None) is not None and self._queued:
                first = next(iter(self._queued))
                del self._queued[first]
                self._running[first] = self._clock()

    def seconds_of(self, key: str) -> float:
        """How long a trial has run; 0 for one that waits."""
        with self._lock:
            now = self._clock()
            return now - self._running.get(key, now)

    @property
    def open_seconds(self) -> float:
        """Of all running trials together."""
        with self._lock:
            now = self._clock()
            return sum(now - started for started in self._running.values())

    @property
    def wall_time_s(self) -> float:
        """Of this driver and those before it."""
        return self._before.wall_time_s + self._clock() - self._started

    def trials_left(self) -> int | None:
        """How many more may be evaluated; None for any number."""
        if self.limits.trials is None:
            return None
        return max(0, self.limits.trials - self._count_trials())

    def spent(self) -> BudgetSpent | None:
        """The budget of time or hours that is used up, if one is."""
        limits, open_seconds = self.limits, self.open_seconds
        gpu_seconds = self._gpu_seconds + open_seconds * self.reserved.gpus
        cpu_seconds = self._cpu_seconds + open_seconds * self.reserved.cpus
        for name, limit, seconds in (
            ("max_gpu_hours", limits.gpu_hours, gpu_seconds),
            ("max_cpu_hours", limits.cpu_hours, cpu_seconds),
        ):
            used = seconds / 3600.0
            if limit is not None and used >= limit:
                return BudgetSpent(name, limit, f"{used:.3g} of {limit:g} hours are used")
        wall, limit = self.wall_time_s, limits.wall_time_s
        if limit is not None and wall >= limit:
            return BudgetSpent("max_wall_time", limit, f"{wall:,.0f} of {limit:,.0f} s are used")
        return None

    def trials_spent(self) -> BudgetSpent | None:
        """The budget of trials, if it is used up."""
        limit = self.limits.trials
        if limit is None or self.trials_left():
            return None
        return BudgetSpent("max_trials", limit, f"{limit:,} trials were evaluated")
