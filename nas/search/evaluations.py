"""Evaluations: candidates in, stored evaluations out; the same key is never computed twice.

Whoever brings candidates (a sampler's loop, a study with a list) hands them in here. A key that
is stored is answered from the store; one that another live job holds is waited for; one that
this driver already works on is not started again; the rest goes to the workshop.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from cluster.executor import Report, Result, Verdict
from nas.evaluation.contract import Status
from nas.search.candidates import Candidate, Finished
from nas.search.journal import Journal
from nas.search.leases import LEASE_S, EvaluationStore, renewing
from nas.search.spending import Spending
from nas.search.workshop import Arrived, MakeExecutor, Workshop
from nas.store import EvaluationRow

PATIENCE_S = 60.0
"""How long trials that a spent budget halts may take to their next report."""
HALTED = "cut off by the job's budget"


class Evaluations:
    """Answers candidates; hand in with `submit`, wait with `collect`, and `close` at the end.

    Args:
        owner: Name of this driver among those that share the store; holds its claims.
        on_report: Hears reports as (ticket, report); says whether the work goes on.
        journal: Where results are on disk until the store has them; what earlier drivers of the
            job left there is stored at once.
        artifacts: The artifact location, where workers leave outcomes until the store has them;
            without it one that was on its way when a driver died is computed again.
        spending: Counts what is used of the job's budget; `collect` ends with `BudgetSpent`.
    """

    def __init__(
        self,
        store: EvaluationStore,
        make_executor: MakeExecutor,
        owner: str,
        job: str | None = None,
        on_report: Callable[[int, Report], Verdict] | None = None,
        journal: Journal | None = None,
        artifacts: str | None = None,
        spending: Spending | None = None,
    ) -> None:
        self._spending = spending or Spending()
        self._store, self._owner, self._job = store, owner, job
        self._hear = on_report
        self._candidates: dict[str, Candidate] = {}
        self._tickets: dict[str, list[int]] = {}
        self._elsewhere: set[str] = set()
        self._ready: list[Finished] = []
        self._workshop = Workshop(
            make_executor, self._on_report, self._spending, job, journal, artifacts
        )
        self._recovered = self._workshop.recover(store)
        self._keeper = renewing(store, owner)

    def listen(self, on_report: Callable[[int, Report], Verdict] | None) -> None:
        """Have another hear the reports from now on, or nobody."""
        self._hear = on_report

    @property
    def slots(self) -> int:
        """How many candidates are worked on side by side."""
        return self._workshop.slots

    @property
    def pending(self) -> int:
        """Candidates handed in and not yet collected."""
        return sum(len(tickets) for tickets in self._tickets.values()) + len(self._ready)

    @property
    def has_room(self) -> bool:
        """Whether the budget of trials allows another one beside those that are pending."""
        left = self._spending.trials_left()
        return left is None or self.pending < left

    @property
    def has_answers(self) -> bool:
        """Whether `collect` has something at once, without any work."""
        return bool(self._ready)

    @property
    def busy(self) -> int:
        """Keys that occupy a worker, or will; not those that are waited for elsewhere."""
        return len(self._tickets) - len(self._elsewhere)

    def submit(self, ticket: int, candidate: Candidate) -> None:
        """Hand in one candidate."""
        key = candidate.key.digest
        if key in self._tickets:
            self._tickets[key].append(ticket)
            return
        self._candidates[key] = candidate
        self._tickets[key] = [ticket]
        self._elsewhere.add(key)
        with self._store.together():
            self._ready += self._take(key)

    def together(self) -> AbstractContextManager[None]:
        """One transaction for what is handed in inside, and for what the caller writes."""
        return self._store.together()

    def collect(
        self, timeout_s: float = 1.0, on_end: Callable[[Finished], None] | None = None
    ) -> list[Finished]:
        """What has ended since; waits up to `timeout_s` (longer where work runs in process).

        Args:
            on_end: Hears each end within the transaction that writes its evaluation, so that
                both are stored or none is.

        Raises:
            BudgetSpent: If time or hours are used up; what runs is halted at its next report.
        """
        spent = self._spending.spent()
        if spent is not None:
            self._wind_down(on_end)
            raise spent
        return self._collect(timeout_s, on_end)

    def check_trials(self) -> None:
        """End the job if its budget of trials is used up and nothing is pending."""
        spent = None if self.pending else self._spending.trials_spent()
        if spent is not None:
            raise spent

    def _collect(
        self, timeout_s: float, on_end: Callable[[Finished], None] | None
    ) -> list[Finished]:
        finished, self._ready = self._ready, []
        if not finished:
            finished = self._look_elsewhere()
        if not (finished or self._workshop.has_arrivals):
            self._workshop.gather(timeout_s)
        arrived = self._workshop.take()
        if finished or arrived:
            with self._store.together():
                for each in arrived:
                    finished += self._finish(each)
                for end in finished if on_end else ():
                    on_end(end)  # type: ignore[misc]
            self._workshop.settle(each.result.key for each in arrived)
        elif self._elsewhere and not self.busy:
            time.sleep(min(timeout_s, 0.5))
        return finished

    def _wind_down(self, on_end: Callable[[Finished], None] | None) -> None:
        """Wait a while for what has reported before to be halted, with its checkpoint; give up
        the rest."""
        give_up = time.monotonic() + PATIENCE_S
        workshop = self._workshop
        while (workshop.can_be_halted or workshop.has_arrivals) and time.monotonic() < give_up:
            self._collect(1.0, on_end)
        held = {key: self._spending.seconds_of(key) for key in self._tickets}
        with self._store.together():
            for key, seconds in held.items():
                self._spending.end(key, seconds)
                for end in self._halt(key, seconds):
                    if on_end is not None:
                        on_end(end)

    def _halt(self, key: str, seconds: float, **how: Any) -> list[Finished]:
        """The tickets of work that was cut off by the budget, after so long on a worker."""
        if key not in self._elsewhere:
            self._store.release([key], self._owner)
        self._elsewhere.discard(key)
        del self._candidates[key]
        first, *others = self._tickets.pop(key)
        end = Finished(
            ticket=first,
            status=Status.PRUNED,
            reason=HALTED,
            halted=True,
            attempts=how.pop("attempts", int(seconds > 0)),
            seconds=seconds,
            reserved=self._spending.reserved,
            **how,
        )
        return [end, *(replace(end, ticket=ticket, attempts=0) for ticket in others)]

    def keep(self) -> None:
        """Take in what has ended, to memory and disk; for while the store is away."""
        self._workshop.keep()

    def close(self) -> None:
        """Give up what runs; its claims are free at once."""
        self._keeper.close()
        self._workshop.close()
        held = [key for key in self._tickets if key not in self._elsewhere]
        self._store.release(held, self._owner)
        self._tickets.clear()

    def _on_report(self, key: str, report: Report) -> Verdict:
        hear = self._hear
        if hear is None:
            return Verdict.CONTINUE
        # work that two trials wait for goes on while either wants it
        verdicts = [hear(ticket, report) for ticket in self._tickets.get(key, [])]
        stop = bool(verdicts) and all(verdict is Verdict.STOP for verdict in verdicts)
        return Verdict.STOP if stop else Verdict.CONTINUE

    def _look_elsewhere(self) -> list[Finished]:
        """See whether other jobs are done with keys that they held, or gave them up."""
        finished: list[Finished] = []
        for key in list(self._elsewhere):
            finished += self._take(key)
        return finished

    def _take(self, key: str) -> list[Finished]:
        """Start a key unless it is stored, or another job holds it.

        The look comes after the claim: a key may end at another job in between.
        """
        claimed = self._store.claim([key], self._owner, LEASE_S)
        stored = self._store.evaluation(key)
        if stored is not None and not self._is_answer(stored):
            stored = None
        if claimed or stored is not None:
            self._elsewhere.discard(key)
        if stored is not None:
            if claimed:
                self._store.release([key], self._owner)
            known = self._recovered.pop(key, None)
            if known is not None:  # ours, by an earlier driver that could not put its trial down
                return self._answer(
                    key,
                    stored,
                    attempts=known.attempts,
                    seconds=known.seconds,
                    reserved=self._spending.reserved,
                    details=stored.details,
                )
            return self._answer(key, stored, reused=True)
        if claimed:
            self._workshop.start(key, self._candidates[key])
        return []

    def _is_answer(self, stored: EvaluationRow) -> bool:
        """What was stopped early answers only the search that stopped it."""
        ours = self._hear is not None and stored.job == self._job
        return stored.status != Status.PRUNED or ours

    def _finish(self, arrived: Arrived) -> list[Finished]:
        result, outcome, entry = arrived.result, arrived.outcome, arrived.entry
        how = _how(result)
        if arrived.halted:
            return self._halt(result.key, result.seconds, **how, details=outcome.details)
        how |= {"seconds": result.seconds, "reserved": self._spending.reserved}
        if entry is not None:  # to save it ends the claim
            stored = self._store.save_evaluation(entry.evaluation, entry.architecture)
            return self._answer(result.key, stored, **how, details=outcome.details)
        self._store.release([result.key], self._owner)
        del self._candidates[result.key]
        first, *others = self._tickets.pop(result.key)
        end = Finished(ticket=first, status=outcome.status, reason=outcome.reason)
        # it failed for all who wanted it, and was paid for once
        return [
            replace(end, **how, details=outcome.details),
            *(replace(end, ticket=ticket) for ticket in others),
        ]

    def _answer(self, key: str, stored: EvaluationRow, **how: Any) -> list[Finished]:
        del self._candidates[key]
        first, *others = self._tickets.pop(key)
        return [
            _finished(first, stored, **how),
            *(_finished(ticket, stored, reused=True) for ticket in others),
        ]


def evaluate_all(
    evaluations: Evaluations,
    candidates: Sequence[Candidate],
    on_end: Callable[[int, Finished], None] | None = None,
) -> list[Finished]:
    """Evaluate a list, side by side, and answer in its order.

    Args:
        on_end: Hears each end as it comes, with its place in the list.

    Raises:
        BudgetSpent: If the job's budget is used up before the list is at its end.
    """
    answers: dict[int, Finished] = {}

    def hear(end: Finished) -> None:
        if on_end is not None:
            on_end(end.ticket, end)

    waiting = deque(enumerate(candidates))
    while waiting or evaluations.pending:
        while waiting and evaluations.pending < 2 * evaluations.slots:
            if not evaluations.has_room:
                evaluations.check_trials()
                break
            evaluations.submit(*waiting.popleft())
        for finished in evaluations.collect(on_end=hear):
            answers[finished.ticket] = finished
    return [answers[i] for i in range(len(candidates))]


def _finished(ticket: int, stored: EvaluationRow, **how: Any) -> Finished:
    return Finished(
        ticket=ticket,
        status=Status(stored.status),
        evaluation=stored,
        reason=stored.reason,
        **how,
    )


def _how(result: Result) -> dict[str, Any]:
    return {"attempts": result.attempts, "worker": result.worker, "lost": result.lost}
