"""Starting a job, and finding one that is there: what `run`, `resume` and the server share."""

from __future__ import annotations

import getpass
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import __version__
from nas.data import ImageData, load_data
from nas.errors import InvalidRequestError
from nas.jobs.front import table_error
from nas.jobs.plan import Plan, make_plan
from nas.jobs.spec import JobSpec, job_from_dict
from nas.jobs.table_plan import TablePlan, make_table_plan
from nas.search.samplers import make_sampler
from nas.store import DatasetRow, JobRow, JobState, RecipeRow
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
        if isinstance(self.plan, TablePlan):
            raise table_error(f"{self.job.name} ({self.job.id})")
        return self.plan


def start_job(store: Store, spec: JobSpec, artifacts: str, kind: str = "run") -> Started:
    """Check a job against its data and its space, and put it down as waiting.

    Raises:
        InvalidRequestError, SearchSpaceError: If anything in it is wrong; nothing is stored then.
    """
    plan = make_job_plan(spec, artifacts)
    check_runnable(plan)
    if isinstance(plan, Plan):
        _describe(store, plan)
    job = store.create_job(
        spec.name,
        _spec_document(spec),
        plan.space_document(),
        objectives=[asdict(objective) for objective in plan.objectives],
        reference=plan.reference,
        owner=getpass.getuser(),
        kind=kind,
        attributes={
            "spec_digest": spec.digest,
            "data_hash": plan.data_hash,
            "artifacts": artifacts,
            "version": __version__,
            **({"reward_target": plan.reward.target} if isinstance(plan, Plan) else {}),
        },
    )
    return Started(job=job, plan=plan)


def _spec_document(spec: JobSpec) -> dict[str, Any]:
    """The job file as it is stored; a table is found again from any folder."""
    document = spec.model_dump(mode="json", exclude_defaults=True)
    if spec.evaluator.file is not None:
        document["evaluator"]["file"] = str(Path(spec.evaluator.file).absolute())
    return document


def make_job_plan(spec: JobSpec, artifacts: str, expected_hash: str | None = None) -> JobPlan:
    """Work a job file out against its data or its table.

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


def _describe(store: Store, plan: Plan) -> None:
    """Put down what evaluations refer to: the data set and the recipes."""
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


def take_up_job(job: JobRow, spec: JobSpec | None = None) -> Started:
    """The plan of a job that is in the store; its data must be what it was.

    Args:
        spec: In place of the stored one, for a stage that is run again with other settings.

    Raises:
        InvalidRequestError: If the data set has changed or is gone.
    """
    spec = spec or job_spec(job)
    artifacts = str(job.attributes["artifacts"])
    plan = make_job_plan(spec, artifacts, expected_hash=str(job.attributes["data_hash"]))
    return Started(job=job, plan=plan)


def job_spec(job: JobRow) -> JobSpec:
    """The job file as it was stored."""
    return job_from_dict(dict(job.spec), f"Job {job.name} ({job.id})")


def find_same(store: Store, spec: JobSpec) -> JobRow | None:
    """The latest job that was started from the same specification and did not fail."""
    for job in store.list_jobs():
        if job.attributes.get("spec_digest") == spec.digest and job.state != JobState.FAILED:
            return job
    return None


def load_job_data(spec: JobSpec, artifacts: str, expected_hash: str | None = None) -> ImageData:
    """The job's data set, prepared once under the artifact location for all its workers."""
    cache = None if "://" in artifacts else f"{artifacts}/data"
    return load_data(spec.data, cache=cache, expected_hash=expected_hash)


def check_runnable(plan: JobPlan) -> None:
    """Refuse a sampler, evaluator or baseline that could only fail later."""
    from nas.studies.baseline import check_rule

    spec = plan.spec
    for name in spec.search.start_with:
        get_published(name)
    make_sampler(
        spec.search.sampler.name,
        plan.problem(),
        **spec.search.sampler.options,
    )
    if isinstance(plan, Plan) and spec.evaluator.name == "python":
        plan.evaluator(spec.recipe).prepare()
    if spec.scaling is not None:
        check_rule(spec.scaling.baseline)
