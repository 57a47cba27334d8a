"""What a driver needs of a store for its evaluations, and the thread that keeps its claims."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from nas.errors import NasError
from nas.store import ArchitectureRow, EvaluationRow

LEASE_S = 60.0

_log = logging.getLogger(__name__)


class EvaluationStore(Protocol):
    """What is needed of a store: evaluations by key, and claims on keys (see `nas.store`)."""

    def evaluation(self, key: str) -> EvaluationRow | None: ...

    def save_evaluation(
        self, evaluation: EvaluationRow, architecture: ArchitectureRow | None = None
    ) -> EvaluationRow: ...

    def claim(
        self, keys: Sequence[str], owner: str, lease_s: float, job: str | None = None
    ) -> set[str]: ...

    def renew(self, owner: str, lease_s: float) -> int: ...

    def release(self, keys: Sequence[str], owner: str) -> None: ...

    def together(self) -> AbstractContextManager[None]: ...


class LeaseKeeper:
    """Renews this driver's claims while it lives, whatever its main thread is busy with."""

    def __init__(self, store: EvaluationStore, owner: str) -> None:
        self._store, self._owner = store, owner
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        while not self._end.wait(LEASE_S / 3):
            try:
                self._store.renew(self._owner, LEASE_S)
            except NasError as error:  # away for long: the driver will say so, if it minds
                _log.warning("Claims could not be renewed: %s", error)
