"""Reporter: how a running job tells a person, or nobody, how it goes."""

from __future__ import annotations

from typing import Protocol

from nas.search.progress import Snapshot


class Reporter(Protocol):
    """Hears notes (one line each) and snapshots of the stage that runs."""

    def note(self, text: str) -> None: ...

    def progress(self, snapshot: Snapshot) -> None: ...


class SilentReporter:
    """Tells nobody."""

    def note(self, text: str) -> None:
        pass

    def progress(self, snapshot: Snapshot) -> None:
        pass
