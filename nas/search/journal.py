"""The driver's journal: results that reached it, on disk until the store has them.

One file a driver, one line a result. A line is handed to the operating system before the result
is used, so that it outlives the driver; it is forced to the disk (fsync) only while the store is
away, when no other copy exists. A last line that was cut short is left out when it is read.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nas.store import ArchitectureRow, EvaluationRow

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One result as the store is to have it."""

    evaluation: EvaluationRow
    architecture: ArchitectureRow | None = None
    attempts: int = 0
    seconds: float = 0.0


class Journal:
    """Results on their way to the store.

    Args:
        folder: Of one job's journals, made when there is something to write.
        name: Of this driver, which no other has.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._path = folder, folder / f"{name}.jsonl"
        self._file: int | None = None
        self._open: set[str] = set()

    def append(self, entry: Entry) -> None:
        """Write a result down."""
        from nas.store.columns import dumps

        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        line = dumps(_to_dict(entry)).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]
        self._open.add(entry.evaluation.key)

    def force(self) -> None:
        """Wait until the disk has what is not settled."""
        if self._file is not None and self._open:
            os.fsync(self._file)

    def settle(self, keys: Iterable[str]) -> None:
        """The store has these; a journal of which it has everything is emptied."""
        self._open.difference_update(keys)
        if self._file is not None and not self._open:
            os.ftruncate(self._file, 0)

    def recover(self) -> list[Entry]:
        """What earlier drivers of the job left, each key once."""
        entries: dict[str, Entry] = {}
        for path in self._others():
            for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
                entry = _read(line)
                if entry is not None:
                    entries[entry.evaluation.key] = entry
                elif line:
                    _log.warning("Line %d of %s was cut short; left out.", number, path)
        return list(entries.values())

    def forget(self) -> None:
        """The store has everything that `recover` gave."""
        for path in self._others():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave no file behind, unless it holds what the store has not."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            if not self._open:
                self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others' journals are in it
            self._folder.rmdir()

    def _others(self) -> list[Path]:
        found = self._folder.glob("*.jsonl") if self._folder.is_dir() else ()
        return sorted(path for path in found if path != self._path)


def _to_dict(entry: Entry) -> dict[str, Any]:
    return {
        "evaluation": _fields(entry.evaluation),
        "architecture": None if entry.architecture is None else _fields(entry.architecture),
        "attempts": entry.attempts,
        "seconds": entry.seconds,
    }


def _fields(row: Any) -> dict[str, Any]:
    """Without the time of writing, which the store fills in."""
    names = [field.name for field in fields(row) if field.name != "created_at"]
    return {name: getattr(row, name) for name in names}


def _read(line: bytes) -> Entry | None:
    from nas.store.columns import loads

    try:
        found: Mapping[str, Any] = loads(line)
        row = dict(found["evaluation"])
        row["curve"] = tuple(row["curve"])
        row["weights"] = None if row["weights"] is None else tuple(row["weights"])
        network = found["architecture"]
        return Entry(
            evaluation=EvaluationRow(**row),
            architecture=None if network is None else ArchitectureRow(**network),
            attempts=found["attempts"],
            seconds=found["seconds"],
        )
    except (ValueError, KeyError, TypeError):
        return None
