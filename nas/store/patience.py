"""A store that may be away for a while: its driver waits, and what was under way is done again."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

from sqlalchemy.exc import InterfaceError, OperationalError

from nas.store.engine import StoreError
from nas.store.repository import Store

PATIENCE_S = 900.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0

_AWAY = (StoreError, OperationalError, InterfaceError)
_log = logging.getLogger(__name__)


class Patience:
    """Passes every call on to a store, and tries again while the store is away.

    A transaction that broke off in a block of `together` is made again from the calls that were
    made in it, so its caller's code runs once. Every write of a driver is idempotent by its key,
    so one whose answer was lost may be repeated.

    Args:
        store: What is called.
        patience_s: How long one call waits before its error is raised.
        while_away: Called at every try in the thread that made this object, to take in what
            arrives meanwhile.
    """

    def __init__(
        self,
        store: Store,
        patience_s: float = PATIENCE_S,
        while_away: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self.patience_s = patience_s
        self.while_away = while_away
        self._thread = threading.get_ident()
        self._local = threading.local()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            return self._call(lambda: found(*arguments, **named))

        return call

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """See `Store.together`."""
        if self._calls is not None:
            yield
            return
        self._local.calls = []
        try:
            self._persist(lambda: None)
            yield
            self._persist(self._end)
        except BaseException as error:
            self._abandon(error)
            raise
        finally:
            self._local.calls = None

    @property
    def _calls(self) -> list[Callable[[], Any]] | None:
        calls: list[Callable[[], Any]] | None = getattr(self._local, "calls", None)
        return calls

    def _call(self, call: Callable[[], Any]) -> Any:
        calls = self._calls
        if calls is None:
            return self._try(call)
        answer = self._persist(call)
        calls.append(call)
        return answer

    def _persist(self, call: Callable[[], Any]) -> Any:
        """Make a call in the thread's transaction; after a break, in a new one like it."""

        def again() -> Any:
            try:
                if getattr(self._local, "block", None) is None:
                    self._begin()
                return call()
            except _AWAY as error:
                self._abandon(error)
                raise

        return self._try(again)

    def _begin(self) -> None:
        block: AbstractContextManager[None] = self._store.together()
        block.__enter__()
        self._local.block = block
        for earlier in self._calls or ():
            earlier()

    def _end(self) -> None:
        block, self._local.block = self._local.block, None
        block.__exit__(None, None, None)

    def _abandon(self, error: BaseException) -> None:
        block, self._local.block = getattr(self._local, "block", None), None
        if block is not None:
            with contextlib.suppress(*_AWAY, type(error)):
                block.__exit__(type(error), error, error.__traceback__)

    def _try(self, call: Callable[[], Any]) -> Any:
        give_up, wait_s = time.monotonic() + self.patience_s, 0.0
        while True:
            try:
                answer = call()
            except _AWAY as error:
                if is_no_use(error) or time.monotonic() >= give_up:
                    raise
                if not wait_s:
                    _log.warning("%s Waiting for it; results are kept meanwhile.", error)
                wait_s = min(2 * wait_s or FIRST_WAIT_S, LONGEST_WAIT_S)
                self._wait(min(wait_s, max(0.0, give_up - time.monotonic())))
            else:
                if wait_s:
                    _log.warning("The store %s answers again.", self._store.url)
                return answer

    def _wait(self, seconds: float) -> None:
        if self.while_away is not None and threading.get_ident() == self._thread:
            self.while_away()
        time.sleep(seconds)


def patient(store: Store) -> Store:
    """The same store for a driver, which outlives its absence; see `Patience`."""
    return store if isinstance(store, Patience) else cast(Store, Patience(store))


def is_no_use(error: BaseException) -> bool:
    """Whether no waiting helps: SQLite says so of wrong tables by the error of a lost disk."""
    while error.__cause__ is not None and not isinstance(error, OperationalError):
        error = error.__cause__
    original = getattr(error, "orig", None)
    return isinstance(original, sqlite3.OperationalError) and str(original).startswith("no such")
