"""Periodic: what a driver does every so often in a thread, whatever else it is busy with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Periodic:
    """Calls a function every so many seconds, in a thread of its own, until `close`.

    A call that raises is logged and does not end it: a store that is away for a moment is back
    at one of the next.

    >>> from contextlib import closing
    >>> called = threading.Event()
    >>> with closing(Periodic(called.set, 0.01, "calling")):
    ...     called.wait(10)
    True
    """

    def __init__(self, do: Callable[[], object], seconds: float, name: str) -> None:
        self._do, self._seconds, self._name = do, seconds, name
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether its end has begun; also for the function itself to ask."""
        return self._end.is_set()

    def close(self) -> None:
        """Call no more; waits a while for a call that is under way. May be called twice."""
        self._end.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _keep(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self._do()
            except Exception as error:  # the thread's only task is to go on
                _log.warning("%s failed: %s", self._name, error)
