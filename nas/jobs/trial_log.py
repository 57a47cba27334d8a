"""Trials in the store, as the search loop and the studies write them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas.jobs.gpu_records import energy_of_attempt, measured_on_gpu
from nas.search.candidates import Finished
from nas.search.driver import Proposal
from nas.search.samplers.contract import TrialRecord
from nas.store import ArchitectureRow, AttemptRow, NewTrial, Store, TrialEnd


class StoreLog:
    """The search loop's trials, as rows of one job."""

    def __init__(self, store: Store, job: str) -> None:
        self._store, self._job = store, job
        self._before = _counts(store, job)

    def started(self, records: Sequence[TrialRecord], proposals: Sequence[Proposal]) -> None:
        """Put new trials down, before anything is evaluated for them."""
        self._store.add_trials(
            self._job,
            [
                NewTrial(
                    number=record.number,
                    choices=record.choices,
                    state="running",
                    architecture=_architecture(proposal),
                    attributes=record.attributes,
                )
                for record, proposal in zip(records, proposals)
            ],
        )

    def ended(self, record: TrialRecord, proposal: Proposal, finished: Finished | None) -> None:
        """Put a trial's end down."""
        self._store.finish_trial(
            self._job,
            TrialEnd(
                number=record.number,
                state=record.state.value,
                values=record.values,
                errors=record.errors,
                violation=record.violation,
                reason=proposal.reason,
                attributes=record.attributes,
                evaluation=_key(finished),
                reused=finished.reused if finished else False,
                attempts=_attempts(record.number, finished, self._before.get(record.number, 0)),
                measurements=measured_on_gpu(self._store, finished),
            ),
        )


def log_study(
    store: Store,
    job: str,
    origin: str,
    networks: Sequence[tuple[Mapping[str, Any], ArchitectureRow]],
) -> Callable[[int, Finished], None]:
    """Put a study's networks down as trials; returns what to call with each one's end.

    A study that goes on after a kill finds its trials by their networks (and by the seed among
    their choices) and adds only new ones.
    """
    rows = store.trials(job)
    there = {(row.architecture, row.origin, row.choices.get("seed")): row.number for row in rows}
    known = {row.number: row.evaluation for row in rows if row.evaluation is not None}
    before = _counts(store, job)
    free = max(there.values(), default=-1) + 1
    numbers, new = [], []
    for choices, architecture in networks:
        place = (architecture.fingerprint, origin, choices.get("seed"))
        if place not in there:
            there[place] = free
            new.append(
                NewTrial(
                    number=free,
                    choices=choices,
                    state="running",
                    origin=origin,
                    architecture=architecture,
                )
            )
            free += 1
        numbers.append(there[place])
    store.add_trials(job, new)

    def on_end(place: int, finished: Finished) -> None:
        evaluation = finished.evaluation
        if evaluation is not None and known.get(numbers[place]) == evaluation.key:
            return  # as it was; it is not the less computed for being read again
        accuracy = evaluation.val_accuracy if evaluation else None
        store.finish_trial(
            job,
            TrialEnd(
                number=numbers[place],
                state="waiting" if finished.halted else finished.status.value,
                values=None if accuracy is None else (accuracy,),
                reason=finished.reason,
                evaluation=_key(finished),
                reused=finished.reused,
                attempts=_attempts(numbers[place], finished, before.get(numbers[place], 0)),
                measurements=measured_on_gpu(store, finished),
            ),
        )

    return on_end


def _architecture(proposal: Proposal) -> ArchitectureRow | None:
    return None if proposal.candidate is None else proposal.candidate.architecture_row()


def _key(finished: Finished | None) -> str | None:
    return finished.evaluation.key if finished and finished.evaluation else None


def _attempts(number: int, finished: Finished | None, before: int = 0) -> tuple[AttemptRow, ...]:
    """The starts of a trial, counted on from those of earlier drivers."""
    if finished is None or finished.reused or finished.attempts == 0:
        return ()
    cpus, gpus = (held.cpus, held.gpus) if (held := finished.reserved) else (None, None)
    lost = []
    for n, attempt in enumerate(finished.lost, 1):
        energy_j, note = energy_of_attempt(attempt.details, gpus, lost=True)
        row = AttemptRow(
            trial=number,
            number=before + n,
            state="failed",
            worker=attempt.worker,
            error=attempt.error,
            seconds=attempt.seconds,
            fidelity=attempt.fidelity,
            cpus=cpus,
            gpus=gpus,
            energy_j=energy_j,
            energy_note=note,
        )
        lost.append(row)
    if len(lost) >= finished.attempts:  # the last one died, too
        return tuple(lost)
    energy_j, note = energy_of_attempt(finished.details, gpus)
    last = AttemptRow(
        trial=number,
        number=before + finished.attempts,
        state="halted" if finished.halted else finished.status.value,
        worker=finished.worker,
        device=finished.evaluation.device if finished.evaluation else "",
        error=finished.reason,
        seconds=max(finished.seconds - sum(one.seconds for one in lost), 0.0),
        fidelity=finished.evaluation.fidelity if finished.evaluation else 0.0,
        cpus=cpus,
        gpus=gpus,
        energy_j=energy_j,
        energy_note=note,
    )
    return (*lost, last)


def note_lost_driver(store: Store, job: str) -> None:
    """Put down that trials which ran when a driver died were started by it once."""
    before = _counts(store, job)
    running = [row.number for row in store.trials(job, state="running")]
    store.save_attempts(
        job,
        [
            AttemptRow(
                trial=number,
                number=before.get(number, 0) + 1,
                state="failed",
                error="its driver ended before it did",
            )
            for number in running
        ],
    )


def _counts(store: Store, job: str) -> dict[int, int]:
    """Starts that are put down already, by trial."""
    counts: dict[int, int] = {}
    for row in store.attempts(job):
        counts[row.trial] = max(row.number, counts.get(row.trial, 0))
    return counts
