"""The executor's promise on a simulated clock: many workers, none of which exists.

Work is done at once, in this process, and its result held back for as long as it would have
taken. What the caller's own computing takes, between one call and the next, passes on the
simulated clock too, so that a caller which can't keep up leaves workers idle, as it would.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cluster.executor import InlineExecutor, OnReport, Result, Work


class SimulatedExecutor:
    """Runs payloads on workers that exist on a clock only.

    Args:
        on_report: Hears a payload's reports all at once, when somebody collects.
        seconds: How long the work would have taken a worker, by its result.
        caller_clock: Says how long the caller has computed; the processor's time by default,
            which other programs on the machine don't stretch.

    >>> def double(payload):
    ...     return payload * 2
    ...     yield
    >>> executor = SimulatedExecutor(double, slots=2, seconds=lambda result: 60.0)
    >>> for key in "abc":
    ...     executor.submit(key, key)
    >>> [result.value for _ in range(2) for result in executor.collect()]
    ['aa', 'bb']
    >>> [result.value for result in executor.collect()], round(executor.now)
    (['cc'], 120)
    """

    def __init__(
        self,
        work: Work,
        on_report: OnReport | None = None,
        *,
        slots: int,
        seconds: Callable[[Result], float],
        caller_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._worker = InlineExecutor(work, on_report)
        self._slots, self._seconds, self._caller_clock = slots, seconds, caller_clock
        self._waiting: deque[tuple[float, str, Any]] = deque()
        self._running: list[tuple[float, int, Result]] = []
        self._free_at = [0.0] * slots
        self._seen = caller_clock()
        self.now = 0.0
        self.caller_s = 0.0
        """What the caller has computed so far."""
        self.runs: list[tuple[float, float]] = []
        """Start and end of everything that was started, in the order of starts."""

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, key: str, payload: Any) -> None:
        self._pass_callers_time()
        self._waiting.append((self.now, key, payload))
        self._seen = self._caller_clock()

    def collect(self, timeout_s: float | None = None) -> list[Result]:
        self._pass_callers_time()
        self._start()
        if self._running and self._running[0][0] > self.now:
            patience = math.inf if timeout_s is None else timeout_s
            self.now = min(self._running[0][0], self.now + patience)
        finished = []
        while self._running and self._running[0][0] <= self.now:
            finished.append(heapq.heappop(self._running)[2])
        self._seen = self._caller_clock()
        return finished

    def close(self) -> None:
        self._waiting.clear()
        self._running.clear()

    def _pass_callers_time(self) -> None:
        spent = self._caller_clock() - self._seen
        self.caller_s += spent
        self.now += spent

    def _start(self) -> None:
        """Give what waits to the workers that come free first."""
        while self._waiting:
            submitted, key, payload = self._waiting.popleft()
            self._worker.submit(key, payload)
            (result,) = self._worker.collect()
            seconds = self._seconds(result)
            start = max(submitted, heapq.heappop(self._free_at))
            heapq.heappush(self._free_at, start + seconds)
            ended = replace(result, seconds=seconds)
            heapq.heappush(self._running, (start + seconds, len(self.runs), ended))
            self.runs.append((start, start + seconds))
