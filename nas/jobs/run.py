"""The main job: search, baseline, coefficients, family; every stage goes on where it was."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from cluster.executor import Executor, InlineExecutor, OnReport, Work
from nas.cost import count
from nas.errors import InvalidRequestError
from nas.jobs.naming import stored_architecture
from nas.jobs.plan import Plan, costs_by_name
from nas.jobs.reporter import Reporter
from nas.jobs.spec import ExecutionSpec, ScalingSpec
from nas.jobs.trial_log import StoreLog, log_study
from nas.scaling import PAPER, Coefficients
from nas.search.driver import SearchSettings, run_search
from nas.search.evaluations import Evaluations, Finished
from nas.search.progress import Snapshot
from nas.search.records import architecture_row, trial_records
from nas.search.samplers import make_sampler, sampler_remark
from nas.search.samplers.contract import Sampler
from nas.store import Filter, JobRow, JobState, MemberRow, Store
from nas.studies.baseline import FrontMember, choose_baseline
from nas.studies.coefficients import ScaledNetwork, grid_candidates, search_coefficients
from nas.studies.family import FamilyMember, family_members, train_family
from search_spaces.architecture import Architecture
from search_spaces.membership import nearest
from search_spaces.published import get_published
from search_spaces.space import Choices

SEARCH, SCALE = "search", "scale"
STAGES = (SEARCH, SCALE)
LEASE_S = 60.0


def run_job(
    store: Store,
    job: JobRow,
    plan: Plan,
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
    with driving(store, job, plan.spec.execution) as evaluations:
        run = _Run(store, job, plan, evaluations, reporter)
        if SEARCH in stages:
            run.search()
        if SCALE in stages and plan.spec.scaling is not None:
            run.scale(plan.spec.scaling)
    return store.find_job(job.id)


@contextlib.contextmanager
def driving(store: Store, job: JobRow, execution: ExecutionSpec) -> Iterator[Evaluations]:
    """Hold a job while this process works on it, and put down how that ended."""
    driver = f"{socket.gethostname()}:{os.getpid()}"
    with _held(store, job, driver), _polite_kills():
        try:
            maker = _executor_maker(execution)
            with contextlib.closing(
                Evaluations(store, maker, owner=job.id, job=job.id)
            ) as evaluations:
                store.set_job_state(job.id, JobState.RUNNING)
                yield evaluations
        except KeyboardInterrupt:
            store.set_job_state(job.id, JobState.STOPPED, "stopped by the user")
            raise
        except Exception as error:
            store.set_job_state(job.id, JobState.FAILED, str(error))
            raise
        store.set_job_state(job.id, JobState.COMPLETED)


class _Run:
    """The stages of one job, with what they share."""

    def __init__(
        self, store: Store, job: JobRow, plan: Plan, evaluations: Evaluations, reporter: Reporter
    ) -> None:
        self._store, self._job, self._plan = store, job, plan
        self._evaluations, self._reporter = evaluations, reporter

    def search(self) -> None:
        """Run the search to its number of trials."""
        plan, spec = self._plan, self._plan.spec.search
        earlier = trial_records(self._store.trials(self._job.id, origins=("search", "known")))
        remark = sampler_remark(spec.sampler.name, plan.objectives)
        if remark:
            self._reporter.note(remark)
        settings = SearchSettings(
            objectives=plan.objectives,
            propose=plan.propose,
            trials=spec.trials,
            reference=plan.reference,
            constraints=plan.constraints,
            reward=plan.reward,
        )
        run_search(
            settings,
            job_sampler(plan),
            self._evaluations,
            StoreLog(self._store, self._job.id),
            earlier,
            self._known(spec.start_with) if not earlier else (),
            self._reporter.progress,
        )

    def _known(self, names: tuple[str, ...]) -> list[Choices]:
        found: list[Choices] = []
        for name in names:
            choices, distance = nearest(self._plan.space, get_published(name))
            where = "a member" if distance == 0 else f"the nearest member is {distance:g} away"
            self._reporter.note(f"{name}: {where} of space {self._plan.space.name}")
            found.append(choices)
        return found

    def scale(self, spec: ScalingSpec) -> None:
        """Choose the baseline, find its coefficients, train the family."""
        baseline = choose_baseline(self.front(), spec.baseline, self._plan.reward)
        self._reporter.note(
            f"baseline: trial {baseline.trial}, {baseline.accuracy:.1%} validation accuracy, "
            f"{baseline.costs['macs']:,.0f} MACs ({spec.baseline})"
        )
        coefficients = self._coefficients(baseline.architecture, spec)
        self._reporter.note(
            f"coefficients: alpha {coefficients.depth:g} (depth), beta {coefficients.width:g} "
            f"(width), gamma {coefficients.resolution:g} (resolution)"
        )
        self._family(baseline, coefficients, spec)

    def front(self) -> list[FrontMember]:
        """The front of this job's search, by cost and validation accuracy."""
        metric = self._plan.reward.metric
        rows = self._store.front(Filter(job=self._job.id), (metric, "val_accuracy"))
        members = []
        for row in rows:
            if row.architecture is None or row.trial is None:
                continue
            architecture = stored_architecture(self._store, row.architecture)
            members.append(
                FrontMember(
                    architecture=architecture,
                    trial=row.trial,
                    accuracy=row.val_accuracy or 0.0,
                    accuracy_se=row.val_accuracy_se or 0.0,
                    costs=costs_by_name(count(architecture)),
                )
            )
        return members

    def _coefficients(self, baseline: Architecture, spec: ScalingSpec) -> Coefficients:
        if spec.coefficients == "paper":
            return PAPER
        if spec.coefficients != "search":
            given = spec.coefficients
            return Coefficients(depth=given.alpha, width=given.beta, resolution=given.gamma)
        grid, plan = spec.grid, self._plan
        networks = grid_candidates(
            baseline, candidates=grid.candidates, step=grid.step, tolerance=grid.tolerance
        )
        recipe = grid.recipe or plan.spec.recipe
        with self._study("coefficients", networks) as on_end:
            chosen, _ = search_coefficients(
                networks,
                lambda architecture: plan.candidate(architecture, recipe),
                self._evaluations,
                on_end,
            )
        return chosen

    def _family(self, baseline: FrontMember, base: Coefficients, spec: ScalingSpec) -> None:
        plan = self._plan
        members = family_members(baseline.architecture, base, spec.phi)
        with self._study("family", members) as on_end:
            ends = train_family(
                members,
                lambda architecture: plan.candidate(architecture, plan.spec.full_recipe),
                self._evaluations,
                on_end,
            )
        self._store.save_family(
            self._job.id,
            "family",
            baseline=baseline.architecture.fingerprint,
            rule="compound",
            coefficients={"alpha": base.depth, "beta": base.width, "gamma": base.resolution},
            rows=[_member_row(i, m, end) for i, (m, end) in enumerate(zip(members, ends))],
            details={"baseline_trial": baseline.trial, "baseline_rule": spec.baseline},
        )

    @contextlib.contextmanager
    def _study(
        self, origin: str, networks: list[ScaledNetwork] | list[FamilyMember]
    ) -> Iterator[Callable[[int, Finished], None]]:
        """Put a study's networks down as trials, and hear their ends."""
        end = log_study(
            self._store,
            self._job.id,
            origin,
            [(_named(network), architecture_row(network.architecture)) for network in networks],
        )
        done = 0
        self._reporter.progress(Snapshot(stage=origin, done=0, total=len(networks)))

        def on_end(place: int, finished: Finished) -> None:
            nonlocal done
            done += 1
            end(place, finished)
            self._reporter.progress(Snapshot(stage=origin, done=done, total=len(networks)))

        yield on_end


def _named(network: ScaledNetwork | FamilyMember) -> dict[str, Any]:
    choices: dict[str, Any] = asdict(network.coefficients)
    if isinstance(network, FamilyMember):
        choices["phi"] = network.phi
    return choices


def _member_row(number: int, member: FamilyMember, end: Finished) -> MemberRow:
    return MemberRow(
        number=number,
        architecture=member.architecture.fingerprint,
        name=f"phi {member.phi:g}",
        phi=member.phi,
        multipliers=asdict(member.coefficients),
        evaluation=end.evaluation.key if end.evaluation else None,
        details={} if end.evaluation else {"reason": end.reason},
    )


def job_sampler(plan: Plan) -> Sampler:
    """The job's sampler, told what the job's problem is."""
    spec = plan.spec.search
    return make_sampler(spec.sampler.name, plan.problem(), **spec.sampler.options)


def _executor_maker(spec: ExecutionSpec) -> Callable[[Work, OnReport], Executor]:
    def make(work: Work, on_report: OnReport) -> Executor:
        if spec.executor == "inline":
            return InlineExecutor(work, on_report)
        from cluster.ray_tune import RayTuneExecutor

        return RayTuneExecutor(
            work,
            on_report,
            slots=spec.workers,
            cpus_per_task=spec.cpus_per_trial,
            gpus_per_task=spec.gpus_per_trial,
        )

    return make


@contextlib.contextmanager
def _held(store: Store, job: JobRow, driver: str) -> Iterator[None]:
    """Hold a job while its driver lives: a thread renews the lease, whatever else is busy."""
    if not store.take_job(job.id, driver, LEASE_S):
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) is being run by another driver. "
            f"Wait for it, or stop it first: nas stop {job.id}."
        )
    end = threading.Event()

    def keep() -> None:
        while not end.wait(LEASE_S / 3):
            store.heartbeat(job.id, driver, LEASE_S)

    keeper = threading.Thread(target=keep, name="job-lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        end.set()
        keeper.join(timeout=5)
        store.release_job(job.id, driver)


@contextlib.contextmanager
def _polite_kills() -> Iterator[None]:
    """Have SIGTERM end a run as Ctrl-C does, and Ctrl-C too where a shell had it ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
