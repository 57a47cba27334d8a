"""A log outside the store: one line for every epoch and every end, by whoever computed it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What somebody computed: an `epoch` of a key, or its `end`.

    Args:
        at: When, in seconds since 1970.
        seconds: How long the epoch took.
    """

    what: str
    key: str
    pid: int
    at: float
    epoch: float = 0.0
    seconds: float = 0.0


def note(what: str, key: str, **more: float) -> None:
    """Append one line; lines of several processes don't mix."""
    line = {"what": what, "key": key, "pid": os.getpid(), "at": time.time(), **more}
    file = os.open(os.environ["FAULTS_WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


class Witness:
    """The log's reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self, since: float = 0.0) -> list[Line]:
        found = [Line(**json.loads(text)) for text in self.path.read_text().splitlines()]
        return [line for line in found if line.at >= since]


def computed_twice(lines: Sequence[Line]) -> list[Line]:
    """Ends of keys that had ended before."""
    seen: set[str] = set()
    again = []
    for line in lines:
        if line.what == "end":
            if line.key in seen:
                again.append(line)
            seen.add(line.key)
    return again


def work_done_again(lines: Iterable[Line]) -> float:
    """Seconds of epochs that had been computed before."""
    seen: Counter[tuple[str, float]] = Counter()
    seconds = 0.0
    for line in lines:
        if line.what == "epoch":
            seen[line.key, line.epoch] += 1
            if seen[line.key, line.epoch] > 1:
                seconds += line.seconds
    return seconds
