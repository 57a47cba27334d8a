"""Being told to end: what a process does at SIGTERM and Ctrl-C, and only while it means to."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def at_kill(handle: Callable[[], None]) -> Iterator[None]:
    """Have `handle` called at SIGTERM and SIGINT, even where a shell had the latter ignored.

    Elsewhere than in the main thread, which alone hears signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(*_: object) -> None:
        handle()

    before = {which: signal.signal(which, hear) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
