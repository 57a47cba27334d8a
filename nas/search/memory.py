"""Evaluations without a database, for a search that nobody else is to see."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from nas.store import ArchitectureRow, EvaluationRow


class MemoryStore:
    """Evaluations of one driver that nobody else is to see; they are gone with it."""

    def __init__(self) -> None:
        self._rows: dict[str, EvaluationRow] = {}

    def evaluation(self, key: str) -> EvaluationRow | None:
        return self._rows.get(key)

    def save_evaluation(
        self, evaluation: EvaluationRow, architecture: ArchitectureRow | None = None
    ) -> EvaluationRow:
        return self._rows.setdefault(evaluation.key, evaluation)

    def claim(
        self, keys: Sequence[str], owner: str, lease_s: float, job: str | None = None
    ) -> set[str]:
        return set(keys)

    def renew(self, owner: str, lease_s: float) -> int:
        return 0

    def release(self, keys: Sequence[str], owner: str) -> None:
        pass

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()
