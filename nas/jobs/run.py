"""The main job: search, baseline, coefficients, family; every stage goes on where it was."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from cluster.executor import Executor, InlineExecutor, OnReport, PackLuggage, Work
from nas.data.carried import luggage_of
from nas.jobs.budget import BudgetSpec, counting, note_end
from nas.jobs.holding import held, hurry, new_driver, open_journal, polite_kills
from nas.jobs.largest import largest_network
from nas.jobs.measured import find_resources
from nas.jobs.plan import Plan
from nas.jobs.reporter import Reporter
from nas.jobs.scale import run_scaling
from nas.jobs.spec import ExecutionSpec
from nas.jobs.stage import Stage
from nas.jobs.start import JobPlan, Started
from nas.jobs.table_plan import TablePlan
from nas.jobs.trial_log import StoreLog, note_lost_driver
from nas.jobs.warm_start import describe_earlier, earlier_searches
from nas.quantity import parse_quantity
from nas.search.driver import SearchSettings, drive
from nas.search.evaluations import Evaluations
from nas.search.progress import counts_for_budget
from nas.search.records import trial_records
from nas.search.samplers import make_sampler, sampler_remark
from nas.search.samplers.contract import Problem, TrialState
from nas.search.spending import BudgetSpent, Reserved, Spending
from nas.search.workshop import MakeExecutor
from nas.store import JobRow, JobState, Store
from nas.store.engine import StoreError
from nas.store.patience import patient
from search_spaces.membership import nearest
from search_spaces.published import get_published
from search_spaces.space import Choices

SEARCH, SCALE = "search", "scale"
STAGES = (SEARCH, SCALE)
FIRST_OF_EARLIER = 10
"""Most trials that earlier jobs choose at the start."""


def run_job(
    store: Store,
    job: JobRow,
    plan: JobPlan,
    reporter: Reporter,
    stages: tuple[str, ...] = STAGES,
) -> JobRow:
    """Bring a job to its end, from wherever it stands.

    Ctrl-C and a polite kill leave it stopped, with every result that came in; `nas resume` goes
    on. What a stage has done is found in the store, so a killed driver loses nothing either.

    Raises:
        InvalidRequestError: If another live driver holds the job.
        NasError: If a stage cannot go on; the job is then failed, with the reason.
    """
    store = patient(store)

    def resources() -> ExecutionSpec:
        nonlocal plan
        if isinstance(plan, TablePlan):  # what takes microseconds is not sent to workers
            return ExecutionSpec(executor="inline")
        wait = partial(_say_waiting, store, job)
        network = partial(largest_network, plan)
        execution = find_resources(store, job, plan, network, reporter, wait)
        spec = plan.spec.model_copy(update={"execution": execution})
        plan = replace(plan, spec=spec)
        return execution

    pack_luggage = None
    if not isinstance(plan, TablePlan):
        pack_luggage = partial(luggage_of, plan.spec.data, plan.data)
    with driving(store, job, resources, plan.spec.budget, pack_luggage) as evaluations:
        if SEARCH in stages:
            run_trials(store, job, plan, evaluations, reporter)
        if SCALE in stages and plan.spec.scaling is not None:
            networks = Started(job=job, plan=plan).networks
            stage = Stage(
                store=store, job=job, plan=networks, evaluations=evaluations, reporter=reporter
            )
            run_scaling(stage, plan.spec.scaling)
    return store.find_job(job.id)


@contextlib.contextmanager
def driving(
    store: Store,
    job: JobRow,
    resources: Callable[[], ExecutionSpec],
    budget: BudgetSpec,
    pack_luggage: PackLuggage | None = None,
) -> Iterator[Evaluations]:
    """Hold a job while this process works on it, and put down how that ended.

    The store may be away meanwhile: see `nas.store.patience`. A budget that is used up ends the
    block as if it were done, and the job is completed with a message that names it.

    Args:
        resources: Says what trials reserve; called once the job is held.
        pack_luggage: What travels with the job to every worker.
    """
    store, driver = patient(store), new_driver()
    with held(store, job, driver) as hold, polite_kills(store):
        try:
            note_lost_driver(store, job.id)
            execution = resources()
            journal = open_journal(store, job, driver)
            artifacts = job.attributes.get("artifacts") if execution.executor == "ray" else None
            with (
                counting(store, store.find_job(job.id), budget, reserved_by(execution)) as spending,
                contextlib.closing(
                    Evaluations(
                        store,
                        _executor_maker(
                            execution, partial(_say_waiting, store, job), spending, pack_luggage
                        ),
                        owner=job.id,
                        job=job.id,
                        journal=journal,
                        artifacts=None if artifacts is None else str(artifacts),
                        spending=spending,
                    )
                ) as evaluations,
            ):
                store.while_away = evaluations.keep  # type: ignore[attr-defined]
                store.set_job_state(job.id, JobState.RUNNING)
                yield evaluations
        except BudgetSpent as spent:
            note_end(store, job, spent)
            store.set_job_state(job.id, JobState.COMPLETED, str(spent))
            return
        except KeyboardInterrupt:
            hold.check()
            store.set_job_state(job.id, JobState.STOPPED, "stopped by the user")
            raise
        except Exception as error:
            hold.check()
            hurry(store)
            with contextlib.suppress(StoreError):
                store.set_job_state(job.id, JobState.FAILED, str(error))
            raise
        note_end(store, job, None)
        store.set_job_state(job.id, JobState.COMPLETED)


def run_trials(
    store: Store, job: JobRow, plan: JobPlan, evaluations: Evaluations, reporter: Reporter
) -> None:
    """Run a job's search to its number of trials."""
    spec = plan.spec.search
    earlier = trial_records(store.trials(job.id, origins=("search", "known")))
    remark = sampler_remark(spec.sampler.name, plan.objectives)
    if remark:
        reporter.note(remark)
    settings = SearchSettings(
        objectives=plan.objectives,
        propose=plan.propose,
        trials=min(spec.trials, _trials_allowed(store, job, plan)),
        reference=plan.reference,
        constraints=plan.constraints,
        reward=plan.reward if isinstance(plan, Plan) else None,
        stopping=plan.stopping,
    )
    problem = replace(plan.problem(), earlier=earlier_searches(store, plan, before=job.created_at))
    start_with = [] if earlier else _start_with(plan, problem, reporter)
    drive(
        settings,
        make_sampler(spec.sampler.name, problem, **spec.sampler.options),
        evaluations,
        StoreLog(store, job.id),
        earlier,
        start_with,
        reporter.progress,
    )
    if settings.trials < spec.trials:
        evaluations.check_trials()


def _trials_allowed(store: Store, job: JobRow, plan: JobPlan) -> int:
    """How many trials the search may have in all, beside those of other stages."""
    limit = plan.spec.budget.max_trials
    if limit is None:
        return plan.spec.search.trials
    searched = trial_records(store.trials(job.id, origins=("search", "known")))
    ended = sum(
        counts_for_budget(record)
        for record in searched
        if record.state not in (TrialState.RUNNING, TrialState.WAITING)
    )
    return max(0, limit - store.count_evaluated(job.id) + ended)


def reserved_by(execution: ExecutionSpec) -> Reserved:
    """What a trial holds while it runs; of several workers together their executor says more."""
    return Reserved(cpus=execution.cpus_per_trial, gpus=execution.gpus_per_trial)


def _start_with(plan: JobPlan, problem: Problem, reporter: Reporter) -> list[Choices]:
    """Known networks, and what earlier jobs would try first."""
    known = _known(plan, plan.spec.search.start_with, reporter) if isinstance(plan, Plan) else []
    if not problem.earlier:
        return known
    from nas.search.samplers.earlier import first_choices

    for line in describe_earlier(problem):
        reporter.note(line)
    return [*known, *first_choices(problem, min(FIRST_OF_EARLIER, plan.spec.search.trials // 2))]


def _known(plan: Plan, names: tuple[str, ...], reporter: Reporter) -> list[Choices]:
    found: list[Choices] = []
    for name in names:
        choices, distance = nearest(plan.space, get_published(name))
        where = "a member" if distance == 0 else f"the nearest member is {distance:g} away"
        reporter.note(f"{name}: {where} of space {plan.space.name}")
        found.append(choices)
    return found


def _say_waiting(store: Store, job: JobRow, text: str) -> None:
    """Have the job's message say what it waits for; an empty text says that this is over."""
    store.set_job_state(job.id, JobState.RUNNING, text)
    if text:
        print(f"Job {job.name} ({job.id}) {text}", file=sys.stderr)


def _executor_maker(
    spec: ExecutionSpec,
    on_wait: Callable[[str], None],
    spending: Spending,
    pack_luggage: PackLuggage | None,
) -> MakeExecutor:
    def make(work: Work, on_report: OnReport) -> Executor:
        if spec.executor == "inline":
            return InlineExecutor(work, on_report)
        waited: list[str] = []

        def say(text: str) -> None:
            waited.append(text)
            on_wait(text)

        if spec.workers_together > 1:
            executor, spending.reserved = _start_group(spec, work, on_report, say, pack_luggage)
        else:
            executor = _start_workers(spec, work, on_report, say, pack_luggage)
        if waited:
            on_wait("")
        return executor

    return make


def _start_workers(
    spec: ExecutionSpec,
    work: Work,
    on_report: OnReport,
    on_wait: Callable[[str], None],
    pack_luggage: PackLuggage | None,
) -> Executor:
    from cluster.ray_tune import RayTuneExecutor

    memory = spec.memory_per_trial
    return RayTuneExecutor(
        work,
        on_report,
        slots=spec.workers,
        cpus_per_task=spec.cpus_per_trial,
        gpus_per_task=spec.gpus_per_trial,
        memory_bytes=None if memory is None else int(parse_quantity(memory)),
        wait_s=spec.wait_for_resources_s,
        on_wait=on_wait,
        pack_luggage=pack_luggage,
    )


def _start_group(
    spec: ExecutionSpec,
    work: Work,
    on_report: OnReport,
    on_wait: Callable[[str], None],
    pack_luggage: PackLuggage | None,
) -> tuple[Executor, Reserved]:
    from cluster.ray_train import RayTrainExecutor
    from nas.evaluation.training import work_together

    gpus = {"auto": spec.gpus_per_trial or None, "cpu": 0.0, "cuda": spec.gpus_per_trial or 1.0}
    executor = RayTrainExecutor(
        partial(work_together, work),
        on_report,
        workers=spec.workers_together,
        cpus_per_worker=spec.cpus_per_trial,
        gpus_per_worker=gpus[spec.device],
        wait_s=spec.wait_for_resources_s,
        on_wait=on_wait,
        pack_luggage=pack_luggage,
    )
    return executor, Reserved(cpus=executor.needs["CPU"], gpus=executor.needs.get("GPU", 0.0))
