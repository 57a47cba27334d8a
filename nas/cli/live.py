"""Progress of a running job on standard error: a live line for people, sparse lines for logs."""

from __future__ import annotations

import math
import time

from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.cli.output import duration, errors, percent
from nas.search.progress import Snapshot

LOG_EVERY_S = 15.0


class LiveReporter:
    """Shows a job's progress; a context manager. Quiet where the user asked for that."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = Live(console=errors, refresh_per_second=4, transient=True)
        self._terminal = errors.is_terminal and not quiet
        self._logged = (0.0, "", 0)

    def __enter__(self) -> LiveReporter:
        if self._terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal:
            self._live.stop()

    def note(self, text: str) -> None:
        if not self._quiet:
            errors.print(text)

    def progress(self, snapshot: Snapshot) -> None:
        if self._terminal:
            self._live.update(_bar(snapshot))
        elif not self._quiet:
            self._log(snapshot)

    def _log(self, snapshot: Snapshot) -> None:
        at, stage, done = self._logged
        ended = snapshot.done == snapshot.total and (stage, done) != (snapshot.stage, snapshot.done)
        due = time.monotonic() - at > LOG_EVERY_S and (stage, done) != (
            snapshot.stage,
            snapshot.done,
        )
        if stage != snapshot.stage or ended or due:
            self._logged = (time.monotonic(), snapshot.stage, snapshot.done)
            errors.print(describe(snapshot))


def describe(snapshot: Snapshot) -> str:
    """A stage's progress in one line.

    >>> describe(Snapshot(stage="search", done=3, total=40, front_size=2, best_accuracy=0.5,
    ...                   hypervolume=1e6, seconds=30.0, seconds_left=370.0))
    'search 3/40, best 50.0 %, front 2, hypervolume 1e+06, 6 min 10 s left'
    """
    parts = [f"{snapshot.stage} {snapshot.done}/{snapshot.total}"]
    if math.isfinite(snapshot.best_accuracy):
        parts.append(f"best {percent(snapshot.best_accuracy)}")
    if snapshot.front_size:
        parts.append(f"front {snapshot.front_size}")
        parts.append(f"hypervolume {snapshot.hypervolume:.4g}")
    odd = {k: v for k, v in snapshot.states.items() if k != "completed"}
    parts += [f"{count} {state}" for state, count in sorted(odd.items())]
    if snapshot.seconds_left is not None and snapshot.done < snapshot.total:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return ", ".join(parts)


def _bar(snapshot: Snapshot) -> Table:
    width = 24
    filled = round(width * snapshot.done / max(1, snapshot.total))
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Text("━" * filled, style="green") + Text("━" * (width - filled), style="dim"),
        describe(snapshot),
    )
    return grid
