"""The executor's promise on threads: work of this process that waits for something else."""

from __future__ import annotations

import queue
import threading
from typing import Any

from cluster.executor import InlineExecutor, OnReport, Report, Result, Verdict, Work


class ThreadExecutor:
    """Runs payloads in threads; for work that waits (a simulator, a device, a service), since
    Python computes in one thread at a time.

    Args:
        on_report: Called by one thread at a time.
        slots: Payloads side by side.
    """

    def __init__(self, work: Work, on_report: OnReport | None = None, slots: int = 2) -> None:
        self._work, self._on_report = work, on_report
        self._waiting: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._due = 0
        self._closing = threading.Event()
        self._reporting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{i}", daemon=True)
            for i in range(slots)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def slots(self) -> int:
        return len(self._threads)

    def submit(self, key: str, payload: Any) -> None:
        self._due += 1
        self._waiting.put((key, payload))

    def collect(self, timeout_s: float | None = None) -> list[Result]:
        if not self._due or self._closing.is_set():
            return []
        try:
            results = [self._finished.get(timeout=timeout_s)]
            while not self._finished.empty():
                results.append(self._finished.get())
        except queue.Empty:
            return []
        self._due -= len(results)
        return results

    def close(self) -> None:
        """Work that reports ends at its next report; other work is left to end by itself."""
        if not self._closing.is_set():
            self._closing.set()
            for _ in self._threads:
                self._waiting.put(None)

    def _serve(self) -> None:
        one = InlineExecutor(self._work, self._hear)
        while (item := self._waiting.get()) is not None and not self._closing.is_set():
            one.submit(*item)
            for result in one.collect():
                self._finished.put(result)

    def _hear(self, key: str, report: Report) -> Verdict:
        if self._closing.is_set():
            return Verdict.STOP
        with self._reporting:
            return self._on_report(key, report) if self._on_report else Verdict.CONTINUE
