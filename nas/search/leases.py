"""What a driver needs of a store for its evaluations, and how it keeps its claims."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from nas.periodic import Periodic
from nas.store import ArchitectureRow, EvaluationRow

LEASE_S = 60.0


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


def renewing(store: EvaluationStore, owner: str) -> Periodic:
    """Renew a driver's claims until that is closed, whatever its main thread is busy with."""
    return Periodic(lambda: store.renew(owner, LEASE_S), LEASE_S / 3, "Renewing claims")
