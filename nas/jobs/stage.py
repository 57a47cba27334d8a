"""What the stages of a job share: where it is stored, what it means, who works on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.jobs.plan import Plan
from nas.jobs.reporter import Reporter
from nas.jobs.trial_log import log_study
from nas.search.candidates import Finished
from nas.search.evaluations import Evaluations
from nas.search.progress import Snapshot
from nas.search.records import architecture_row
from nas.store import JobRow, Store
from search_spaces.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A job under way."""

    store: Store
    job: JobRow
    plan: Plan
    evaluations: Evaluations
    reporter: Reporter

    @contextlib.contextmanager
    def study(
        self, origin: str, networks: Sequence[tuple[Mapping[str, Any], Architecture]]
    ) -> Iterator[Callable[[int, Finished], None]]:
        """Put a study's networks down as trials with their choices, and hear their ends."""
        rows = [(choices, architecture_row(network)) for choices, network in networks]
        end = log_study(self.store, self.job.id, origin, rows)
        done = 0
        self.reporter.progress(Snapshot(stage=origin, done=0, total=len(networks)))

        def on_end(place: int, finished: Finished) -> None:
            nonlocal done
            done += 1
            end(place, finished)
            self.reporter.progress(Snapshot(stage=origin, done=done, total=len(networks)))

        yield on_end
