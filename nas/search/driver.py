"""The search loop: ask the sampler, check costs, evaluate, tell, store."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from cluster.executor import Report, Verdict
from nas.errors import NasError
from nas.evaluation.contract import Status
from nas.quantity import Bound
from nas.search.candidates import Candidate, Finished
from nas.search.evaluations import Evaluations
from nas.search.objectives import Reward, objective_values
from nas.search.progress import SearchProgress, Snapshot
from nas.search.records import metrics_of
from nas.search.samplers.contract import (
    ObjectiveSpec,
    Sampler,
    TrialRecord,
    TrialState,
)
from nas.search.stopping import HalvingSettings, SuccessiveHalving
from search_spaces.space import Choices

RUNGS = "rungs"
"""The loop's own among a trial's attributes: what it showed on its way, for early stopping."""
MOST_INFEASIBLE_IN_A_ROW = 2_000
WORKERS_TO_ONE_WAITING = 20
FAILURES_TO_GIVE_UP, INFEASIBLE_TO_GIVE_UP = 20, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What choices mean before anything is evaluated: known costs, and what to evaluate.

    Args:
        candidate: None where the choices mean no network, with the `reason`.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    candidate: Candidate | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What the loop is to do.

    Args:
        propose: Choices to their meaning; called in the driver, so it must be cheap.
        trials: Trials to bring to an end; those that break a bound on a cost don't count.
        reference: Reference point of the hypervolume, in the objectives' order; None takes it
            from the first trials.
        reward: What the objective `reward` means; None where it is a metric like others.
        stopping: When to stop trials early; None lets every trial end by itself.
    """

    objectives: tuple[ObjectiveSpec, ...]
    propose: Callable[[Choices], Proposal]
    trials: int
    reference: tuple[float, ...] | None
    constraints: tuple[Bound, ...] = ()
    reward: Reward | None = None
    stopping: HalvingSettings | None = None


class TrialLog(Protocol):
    """Where the loop writes trials down, each in one transaction."""

    def started(self, records: Sequence[TrialRecord], proposals: Sequence[Proposal]) -> None:
        """New trials, before anything is evaluated for them."""

    def ended(self, record: TrialRecord, proposal: Proposal, finished: Finished | None) -> None:
        """A trial's end; `finished` is None where nothing had to be evaluated."""


def drive(
    settings: SearchSettings,
    sampler: Sampler,
    evaluations: Evaluations,
    log: TrialLog,
    earlier: Sequence[TrialRecord] = (),
    start_with: Sequence[Choices] = (),
    on_progress: Callable[[Snapshot], None] | None = None,
) -> list[TrialRecord]:
    """Search until `settings.trials` have ended; returns every trial in order.

    Args:
        earlier: Trials of an interrupted run, in order; those still running are evaluated again
            with the choices that they have.
        start_with: Choices tried first, if nothing was tried before.

    Raises:
        NasError: If no suggestion meets the constraints.
        BudgetSpent: If the job's budget is used up before.
    """
    return _Search(settings, sampler, evaluations, log, on_progress).run(earlier, start_with)


class _Search:
    def __init__(
        self,
        settings: SearchSettings,
        sampler: Sampler,
        evaluations: Evaluations,
        log: TrialLog,
        on_progress: Callable[[Snapshot], None] | None,
    ) -> None:
        self._settings, self._sampler = settings, sampler
        self._evaluations, self._log = evaluations, log
        self._records: dict[int, TrialRecord] = {}
        self._proposals: dict[int, Proposal] = {}
        self._progress = SearchProgress(settings.objectives, settings.reference, settings.trials)
        self._tell_progress = on_progress or (lambda snapshot: None)
        self._halving = (
            SuccessiveHalving(settings.stopping, settings.objectives) if settings.stopping else None
        )
        self._infeasible_in_a_row = 0
        self._worked = False
        self._failed = 0
        self._failure = ""
        self._nearest_miss: tuple[float, Bound, float] | None = None

    def run(
        self, earlier: Sequence[TrialRecord], start_with: Sequence[Choices]
    ) -> list[TrialRecord]:
        if self._halving is not None:
            self._evaluations.listen(self._hear)
        self._take_up(earlier)
        if not earlier:
            for choices in start_with:
                self._sampler.enqueue(choices)
        self._tell_progress(self._progress.snapshot())
        while self._progress.done < self._settings.trials:
            self._suggest()
            self._evaluations.collect(on_end=self._end)
            self._tell_progress(self._progress.snapshot())
            self._give_up_if_nothing_works()
        self._evaluations.listen(None)
        return [self._records[number] for number in sorted(self._records)]

    def _take_up(self, earlier: Sequence[TrialRecord]) -> None:
        self._sampler.restore(earlier)
        self._progress.restore(earlier)
        self._worked = any(record.values is not None for record in earlier)
        self._failed = sum(record.state is TrialState.FAILED for record in earlier)
        for record in earlier:
            self._records[record.number] = record
            if self._halving is not None:
                self._halving.restore(record.number, record.attributes.get(RUNGS, ()))
            if record.state in (TrialState.RUNNING, TrialState.WAITING):
                self._proposals[record.number] = self._settings.propose(record.choices)
                self._begin(record)

    def _suggest(self) -> None:
        """Keep every worker busy, with a few more candidates waiting than there are workers.

        Trials that wait for another's evaluation, or another job's, keep no worker busy. What is
        answered already is told first, so that a resumed search suggests as one that went on.
        """
        while not self._evaluations.has_answers:
            pending, slots = self._evaluations.pending, self._evaluations.slots
            # what is waiting keeps workers busy while the sampler thinks about the next
            room = slots + math.ceil(slots / WORKERS_TO_ONE_WAITING) if slots > 1 else 1
            left = self._settings.trials - self._progress.done - pending
            wanted = min(room - self._evaluations.busy, 2 * room - pending, left)
            if wanted <= 0:
                return
            records = self._sampler.ask(wanted)
            proposals = [self._settings.propose(record.choices) for record in records]
            with self._evaluations.together():
                self._log.started(records, proposals)
                for record, proposal in zip(records, proposals):
                    self._records[record.number] = record
                    self._proposals[record.number] = proposal
                    self._begin(record)

    def _begin(self, record: TrialRecord) -> None:
        proposal = self._proposals[record.number]
        violations = [
            (bound.violation(proposal.costs[bound.metric]), bound)
            for bound in self._settings.constraints
            if bound.metric in proposal.costs
        ]
        violation = sum(amount for amount, _ in violations)
        if proposal.candidate is not None and violation == 0:
            self._infeasible_in_a_row = 0
            self._evaluations.submit(record.number, proposal.candidate)
            return
        reason = proposal.reason
        if violation > 0:
            broken = max(violations, key=lambda pair: pair[0])[1]
            reason = f"breaks {broken}"
            self._note_miss(violation, broken, proposal.costs[broken.metric])
        # a violation of 1 tells the sampler that there is no network at all
        ended = replace(record, state=TrialState.INFEASIBLE, violation=violation or 1.0)
        self._settle(ended, None, reason)
        self._infeasible_in_a_row += 1
        if self._infeasible_in_a_row >= MOST_INFEASIBLE_IN_A_ROW:
            raise NasError(self._no_member())

    def _give_up_if_nothing_works(self) -> None:
        """One broken network is a failed trial; nothing but failures is a failed search."""
        ended = self._progress.done
        most = FAILURES_TO_GIVE_UP if self._failed == ended else INFEASIBLE_TO_GIVE_UP
        if ended >= min(most, self._settings.trials) and not self._worked:
            last = self._failure.strip().splitlines()[-1:] or ["no reason was given"]
            raise NasError(f"None of the first {ended} trials could be evaluated: {last[0]}")

    def _note_miss(self, violation: float, bound: Bound, value: float) -> None:
        if self._nearest_miss is None or violation < self._nearest_miss[0]:
            self._nearest_miss = (violation, bound, value)

    def _no_member(self) -> str:
        tries = f"No network met the constraints in {MOST_INFEASIBLE_IN_A_ROW:,} suggestions"
        if self._nearest_miss is None:
            return f"{tries}: none of them means a network, or has known costs."
        _, bound, value = self._nearest_miss
        return (
            f"{tries}; the nearest had {bound.metric} {value:,.0f} against {bound}. "
            f"Raise the bound or widen the space."
        )

    def _end(self, finished: Finished) -> None:
        record = self._records[finished.ticket]
        proposal = self._proposals[record.number]
        if finished.halted:  # the budget's doing: it is taken up where the job goes on
            waiting = self._with_rungs(replace(record, state=TrialState.WAITING))
            self._log.ended(waiting, proposal, finished)
            return
        state = TrialState(finished.status.value)
        values = errors = None
        if finished.status is Status.COMPLETED and finished.evaluation is not None:
            metrics = {**metrics_of(finished.evaluation), **proposal.costs}
            values = objective_values(self._settings.objectives, metrics, self._settings.reward)
            if values is None:
                state = TrialState.FAILED
                names = ", ".join(o.metric for o in self._settings.objectives)
                finished = replace(
                    finished,
                    status=Status.FAILED,
                    reason=f"The evaluator must give {names}, but gave {sorted(metrics)}.",
                )
            else:
                errors = self._standard_errors(finished)
        ended = replace(record, state=state, values=values, errors=errors)
        self._settle(ended, finished, finished.reason)

    def _standard_errors(self, finished: Finished) -> tuple[float, ...]:
        """Of each value: the accuracy's sampling error, or what a metric NAME_se says."""
        assert finished.evaluation is not None
        sampling, metrics = finished.evaluation.val_accuracy_se, finished.evaluation.metrics
        errors = []
        for objective in self._settings.objectives:
            name, error = objective.metric, 0.0
            if name in ("accuracy", "reward") and sampling is not None:
                error = sampling
            elif not objective.known:
                error = metrics.get(f"{name}_se", 0.0)
            errors.append(max(error, 0.0))
        return tuple(errors)

    def _hear(self, ticket: int, report: Report) -> Verdict:
        """Judge a trial on its way; called in the executor's thread."""
        proposal = self._proposals.get(ticket)
        if proposal is None or self._halving is None:
            return Verdict.CONTINUE
        metrics = {**report.metrics, **proposal.costs}
        values = objective_values(self._settings.objectives, metrics, self._settings.reward)
        if values is None or self._halving.goes_on(ticket, report.fidelity, values):
            return Verdict.CONTINUE
        return Verdict.STOP

    def _with_rungs(self, record: TrialRecord) -> TrialRecord:
        if self._halving is not None and (shown := self._halving.shown(record.number)):
            return replace(record, attributes={**record.attributes, RUNGS: shown})
        return record

    def _settle(self, ended: TrialRecord, finished: Finished | None, reason: str) -> None:
        told = self._with_rungs(self._sampler.tell(ended))
        proposal = replace(self._proposals.pop(ended.number), reason=reason)
        self._records[ended.number] = told
        self._worked |= told.state in (TrialState.COMPLETED, TrialState.PRUNED)
        self._failed += told.state is TrialState.FAILED
        self._failure = reason if finished else self._failure
        self._log.ended(told, proposal, finished)
        self._progress.add(told, _accuracy(finished))


def _accuracy(finished: Finished | None) -> float:
    if finished is None or finished.evaluation is None:
        return float("nan")
    accuracy = finished.evaluation.val_accuracy
    return float("nan") if accuracy is None else accuracy
