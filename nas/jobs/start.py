"""Starting a job, and finding one that is there: what `run`, `resume` and the server share."""

from __future__ import annotations

import getpass
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import __version__
from nas.data import ImageData, load_data, prepared_folder
from nas.errors import InvalidRequestError
from nas.jobs.front import table_error
from nas.jobs.plan import Plan, make_plan
from nas.jobs.secrets import refuse_secrets
from nas.jobs.spec import JobSpec, ScalingSpec, job_from_dict
from nas.jobs.table_plan import TablePlan, make_table_plan
from nas.search.samplers import make_sampler
from nas.store import DatasetRow, JobRow, JobState, RecipeRow
from search_spaces.errors import SearchSpaceError
from search_spaces.published import get_published

if TYPE_CHECKING:
    from nas.store import Store


JobPlan = Plan | TablePlan


@dataclass(frozen=True, kw_only=True)
class Started:
    """A job with its plan."""

    job: JobRow
    plan: JobPlan

    @property
    def networks(self) -> Plan:
        """The plan of a job over networks.

        Raises:
            InvalidRequestError: If it is over a table.
        """
        return _networks(self.plan, f"{self.job.name} ({self.job.id})")


def start_job(store: Store, spec: JobSpec, artifacts: str, kind: str = "run") -> Started:
    """Check a job against its data and its space, and put it down as waiting.

    Raises:
        InvalidRequestError, SearchSpaceError: If anything in it is wrong; nothing is stored then.
    """
    digest, spec = spec.digest, with_job_ids(store, spec)
    refuse_secrets(artifacts, "NAS_ARTIFACTS")
    document = spec_document(spec)
    plan = plan_job(spec, artifacts)
    check_runnable(plan, store)
    known = _describe(store, plan)
    job = store.create_job(
        spec.name,
        document,
        plan.space_document(),
        objectives=[asdict(objective) for objective in plan.objectives],
        reference=plan.reference,
        owner=getpass.getuser(),
        kind=kind,
        attributes={"spec_digest": digest, "artifacts": artifacts, **known},
    )
    return Started(job=job, plan=plan)


def spec_document(spec: JobSpec) -> dict[str, Any]:
    """The job file as it is stored; a table is found again from any folder.

    Raises:
        InvalidRequestError: If it holds a secret, which is never stored.
    """
    document = spec.model_dump(mode="json", exclude_defaults=True)
    if spec.evaluator.file is not None:
        document["evaluator"]["file"] = str(Path(spec.evaluator.file).absolute())
    refuse_secrets(document, "job")
    return document


def with_job_ids(store: Store, spec: JobSpec) -> JobSpec:
    """Jobs to learn from by their ids: soon a later job may have the name."""
    if not spec.search.warm_start:
        return spec
    ids = tuple(store.find_job(name).id for name in spec.search.warm_start)
    return spec.model_copy(update={"search": spec.search.model_copy(update={"warm_start": ids})})


def plan_job(spec: JobSpec, artifacts: str, expected_hash: str | None = None) -> JobPlan:
    """A job's plan, with or without a job: the file against its data or its table.

    Raises:
        InvalidRequestError, SearchSpaceError: If anything in it is wrong, or the data is not
            what is expected.
    """
    if spec.evaluator.name == "table":
        plan = make_table_plan(spec)
        if expected_hash is not None and plan.data_hash != expected_hash:
            raise InvalidRequestError(
                f"The table {plan.table.name} has changed since this job was started; "
                f"start a new job with it: --fresh."
            )
        return plan
    data = load_job_data(spec, artifacts, expected_hash)
    return make_plan(spec, data, artifacts)


def network_plan(spec: JobSpec, artifacts: str) -> Plan:
    """The plan of a job over networks, before there is a job."""
    return _networks(plan_job(spec, artifacts), spec.name)


def _networks(plan: JobPlan, name: str) -> Plan:
    if isinstance(plan, TablePlan):
        raise table_error(name)
    return plan


def _describe(store: Store, plan: JobPlan) -> dict[str, Any]:
    """Put down the recipes and the data set of a job; returns what its row says of them."""
    known = {"data_hash": plan.data_hash, "version": __version__}
    if isinstance(plan, TablePlan):
        return known
    spec, data = plan.spec, plan.data
    grid = spec.scaling.grid.recipe if spec.scaling else None
    for recipe in {spec.recipe, spec.full_recipe, grid or spec.recipe}:
        document = recipe.model_dump(mode="json", exclude_defaults=True)
        store.save_recipe(RecipeRow(digest=recipe.digest, document=document))
    store.save_dataset(
        DatasetRow(
            hash=data.content_hash,
            name=spec.data.source,
            sizes={part: len(getattr(data, part)) for part in ("train", "val", "test")},
            classes=tuple(data.classes),
            details={"mean": list(data.mean), "std": list(data.std), "split": data.split},
        )
    )
    return {**known, "reward_target": plan.reward.target}


def take_up_job(store: Store, job: JobRow, spec: JobSpec | None = None) -> Started:
    """The plan of a job that is in the store; its data must be what it was.

    Args:
        store: Where the job lies; one that was submitted is completed there by its first driver.
        spec: In place of the stored one, for a stage that is run again with other settings.

    Raises:
        InvalidRequestError: If the data set has changed or is gone.
    """
    spec = spec or job_spec(job)
    artifacts = str(job.attributes["artifacts"])
    if "data_hash" not in job.attributes:
        return _first_taken_up(store, job, spec, artifacts)
    plan = plan_job(spec, artifacts, expected_hash=str(job.attributes["data_hash"]))
    return Started(job=job, plan=plan)


def _first_taken_up(store: Store, job: JobRow, spec: JobSpec, artifacts: str) -> Started:
    """A job that was submitted from where its data could not be seen."""
    try:
        plan = plan_job(spec, artifacts)
        check_runnable(plan, store)
    except (InvalidRequestError, SearchSpaceError) as error:
        store.set_job_state(job.id, JobState.FAILED, str(error))
        raise
    store.update_job(
        job.id,
        reference=plan.reference,
        attributes=_describe(store, plan),
        space=plan.space_document(),
        objectives=[asdict(objective) for objective in plan.objectives],
    )
    return Started(job=store.find_job(job.id), plan=plan)


def job_spec(job: JobRow) -> JobSpec:
    """The job file as it was stored, with the scaling and the budget that it was given last."""
    document = dict(job.spec)
    for changed in ("scaling", "budget"):
        if changed in job.attributes:
            document[changed] = job.attributes[changed]
    return job_from_dict(document, f"Job {job.name} ({job.id})")


def change_scaling(store: Store, job: JobRow, spec: JobSpec) -> JobRow:
    """Have a job scale by another specification from now on, also when it is taken up again."""
    assert spec.scaling is not None
    scaling = spec.scaling.model_dump(mode="json", exclude_defaults=True)
    store.update_job(job.id, attributes={"scaling": scaling})
    return store.find_job(job.id)


def find_same(store: Store, spec: JobSpec) -> JobRow | None:
    """The latest job that was started from the same specification and did not fail."""
    for job in store.list_jobs():
        if job.attributes.get("spec_digest") == spec.digest and job.state != JobState.FAILED:
            return job
    return None


def load_job_data(spec: JobSpec, artifacts: str, expected_hash: str | None = None) -> ImageData:
    """The job's data set, prepared once under the artifact location for all its workers."""
    return load_data(spec.data, cache=prepared_folder(artifacts), expected_hash=expected_hash)


def check_runnable(plan: JobPlan, store: Store) -> None:
    """Refuse a sampler, evaluator or scaling that could only fail later."""
    spec = plan.spec
    check_budget(spec)
    check_resources(spec)
    for name in spec.search.start_with:
        get_published(name)
    make_sampler(
        spec.search.sampler.name,
        plan.problem(),
        **spec.search.sampler.options,
    )
    if spec.search.warm_start:
        from nas.jobs.warm_start import earlier_searches

        earlier_searches(store, plan)
    if isinstance(plan, TablePlan):
        return
    if plan.stopping is not None and not plan.stopping.rungs:
        raise InvalidRequestError(
            f"`search.early_stopping.first` must be below the {plan.stopping.full:g} epochs of a "
            f"whole evaluation, but got {plan.stopping.first:g}."
        )
    if spec.evaluator.name == "python":
        plan.evaluator(spec.recipe).prepare()
    if spec.scaling is not None:
        check_scaling(plan, store, spec.scaling)


def check_resources(spec: JobSpec) -> None:
    """Refuse to measure what is not trained, or is not run by Ray."""
    execution, evaluator = spec.execution, spec.evaluator.name
    if execution.resources == "measure" and (execution.executor, evaluator) != ("ray", "training"):
        raise InvalidRequestError(
            "`execution.resources: measure` needs the evaluator 'training' and the executor 'ray', "
            f"but this job has {evaluator!r} and {execution.executor!r}; set cpus_per_trial, "
            "gpus_per_trial and memory_per_trial instead."
        )


def check_budget(spec: JobSpec) -> None:
    """Refuse a budget that could never be used up."""
    execution = spec.execution
    counted = execution.gpus_per_trial or execution.resources == "measure"
    if spec.budget.max_gpu_hours is not None and not counted:
        raise InvalidRequestError(
            "`budget.max_gpu_hours` needs `execution.gpus_per_trial` above 0, by which GPU-hours "
            "are counted."
        )


def check_scaling(plan: Plan, store: Store, spec: ScalingSpec) -> None:
    """Refuse a scaling that no baseline could have, before anything is trained."""
    from nas.jobs.members import make_latency_model, named_baseline
    from nas.scaling import get_rule, parse_factors, parse_target_sets
    from nas.scaling.target import LATENCY
    from nas.studies.baseline import FAMILY, RULES, check_rule, is_front_rule
    from nas.studies.coefficients import cost_function

    baseline = get_published("efficientnet_b0")  # for the form of targets, any will do
    if is_front_rule(spec.baseline):
        check_rule(spec.baseline)
    else:
        try:
            baseline = named_baseline(store, plan, spec.baseline)
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"`scaling.baseline` must be {', '.join((*RULES, FAMILY))}, 'nearest:400M', "
                f"'trial:12' or a network, but got {spec.baseline!r}: {error}"
            ) from None
    for name in (spec.rule, *(spec.compare.rules if spec.compare else ())):
        get_rule(name)
    latency_model = make_latency_model(spec)
    if spec.coefficients == "search" and spec.rule == "compound":
        cost_function(spec.grid.cost, latency_model)
    sets = parse_target_sets(spec.targets, baseline) if spec.targets else []
    for text in spec.factors:
        parse_factors(text, baseline)
    if latency_model is None and any(t.metric == LATENCY for targets in sets for t in targets):
        raise InvalidRequestError(
            "A target on latency_ms needs a table of block latencies: give --latency FILE:COLUMN, "
            "or `scaling.latency` in the job file."
        )
