"""Workshop: candidates on the executor, and their results on disk before anybody uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cluster.executor import Executor, OnReport, Report, Result, Verdict, Work
from nas.errors import NasError
from nas.evaluation import ENDS_JOB, outbox, work
from nas.evaluation.contract import Outcome, Request, Status
from nas.search.candidates import Candidate
from nas.search.journal import Entry, Journal
from nas.search.leases import EvaluationStore
from nas.search.records import evaluation_row
from nas.search.spending import Spending

MakeExecutor = Callable[[Work, OnReport], Executor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One result that came in.

    Args:
        entry: What the store is to have of it; None where that is nothing.
        halted: It was stopped because the job's budget is used up.
    """

    result: Result
    outcome: Outcome
    entry: Entry | None = None
    halted: bool = False


class Workshop:
    """Works on candidates, each under its key; makes its executor when the first one comes.

    Args:
        hear: Told the reports by key while the budget lasts; says whether the work goes on.
        job: Under whose name evaluations are stored.
        journal, artifacts: See `nas.search.evaluations.Evaluations`.
        spending: Counts what workers are used; once it is used up, work is halted as it reports.
    """

    def __init__(
        self,
        make_executor: MakeExecutor,
        hear: OnReport,
        spending: Spending,
        job: str | None,
        journal: Journal | None,
        artifacts: str | None,
    ) -> None:
        self._make_executor, self._hear, self._spending = make_executor, hear, spending
        self._job, self._journal, self._artifacts = job, journal, artifacts
        self._executor: Executor | None = None
        self._candidates: dict[str, Candidate] = {}
        self._reported: set[str] = set()
        self._halted: set[str] = set()
        self._arrived: list[Arrived] = []

    @property
    def slots(self) -> int:
        """How many candidates are worked on side by side."""
        return self._running().slots

    @property
    def has_arrivals(self) -> bool:
        """Whether `take` has something."""
        return bool(self._arrived)

    @property
    def can_be_halted(self) -> bool:
        """Whether something is under way that reports, and so can end with its checkpoint."""
        return bool(self._reported)

    def start(self, key: str, candidate: Candidate) -> None:
        """Hand a candidate to the executor."""
        request = Request(
            key=key,
            architecture=candidate.architecture,
            choices=candidate.choices,
            seed=candidate.key.seed,
        )
        payload = (candidate.evaluator, [request])
        executor = self._running()
        self._candidates[key] = candidate
        self._spending.begin(key, executor.slots)
        if self._artifacts is None:
            executor.submit(key, payload)
        else:
            executor.submit(key, (*payload, self._artifacts))

    def gather(self, timeout_s: float) -> None:
        """Take results in, each on disk before anything is done with it.

        Raises:
            NasError: If a worker found that the job can't go on anywhere.
        """
        if self._executor is None:
            return
        for result in self._executor.collect(timeout_s):
            candidate = self._candidates.pop(result.key)
            self._spending.end(result.key, result.seconds)
            self._reported.discard(result.key)
            outcome = _outcome(result)
            if outcome.details.get(ENDS_JOB):
                raise NasError(outcome.reason)
            if result.stopped and result.key in self._halted:
                self._halted.discard(result.key)
                self._arrived.append(Arrived(result=result, outcome=outcome, halted=True))
                continue
            entry = None
            if outcome.status is not Status.FAILED:
                entry = Entry(
                    evaluation=evaluation_row(candidate, outcome, candidate.costs, self._job),
                    architecture=candidate.architecture_row(),
                    attempts=result.attempts,
                    seconds=result.seconds,
                )
                if self._journal is not None:
                    self._journal.append(entry)
            self._arrived.append(Arrived(result=result, outcome=outcome, entry=entry))

    def take(self) -> list[Arrived]:
        """What has been gathered since."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def recover(self, store: EvaluationStore) -> dict[str, Entry]:
        """Store what earlier drivers had in their journals when they died."""
        if self._journal is None:
            return {}
        entries = self._journal.recover()
        for entry in entries:
            store.save_evaluation(entry.evaluation, entry.architecture)
        self._journal.forget()
        if self._artifacts is not None:
            outbox.forget(self._artifacts, [entry.evaluation.key for entry in entries])
        return {entry.evaluation.key: entry for entry in entries}

    def settle(self, keys: Iterable[str]) -> None:
        """The store has these, so no other copy is needed."""
        keys = list(keys)
        if self._journal is not None:
            self._journal.settle(keys)
        if self._artifacts is not None:
            outbox.forget(self._artifacts, keys)

    def keep(self) -> None:
        """Take in what has ended, to memory and disk; for while the store is away."""
        self.gather(0.0)
        if self._journal is not None:
            self._journal.force()

    def close(self) -> None:
        """Give up what runs."""
        if self._executor is not None:
            self._executor.close()
        if self._journal is not None:
            self._journal.close()

    def _running(self) -> Executor:
        if self._executor is None:  # a run that finds everything stored starts no cluster
            once = work if self._artifacts is None else outbox.work_once
            self._executor = self._make_executor(once, self._on_report)
        return self._executor

    def _on_report(self, key: str, report: Report) -> Verdict:
        self._reported.add(key)
        if self._spending.spent() is not None:
            self._halted.add(key)
            return Verdict.STOP
        return self._hear(key, report)


def _outcome(result: Result) -> Outcome:
    """What the evaluator answered; or that it was stopped, or died."""
    report = result.last_report
    details = {} if report is None else report.details
    if result.stopped:
        return Outcome(
            key=result.key,
            status=Status.PRUNED,
            reason="stopped early",
            metrics=dict(report.metrics) if report else {},
            fidelity=report.fidelity if report else 0.0,
            seconds=result.seconds,
            details=details,
        )
    if result.error is not None:
        return Outcome(key=result.key, status=Status.FAILED, reason=result.error, details=details)
    outcome: Outcome = result.value[0]
    return outcome
