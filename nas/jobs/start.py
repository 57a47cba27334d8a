"""Starting a job, and finding one that is there: what `run`, `resume` and the server share."""

from __future__ import annotations

import getpass
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nas import __version__
from nas.data import ImageData, load_data
from nas.jobs.plan import Plan, make_plan
from nas.jobs.spec import JobSpec, job_from_dict
from nas.search.samplers import make_sampler
from nas.store import DatasetRow, JobRow, JobState, RecipeRow
from search_spaces.published import get_published

if TYPE_CHECKING:
    from nas.store import Store


@dataclass(frozen=True, kw_only=True)
class Started:
    """A job with its plan."""

    job: JobRow
    plan: Plan


def start_job(store: Store, spec: JobSpec, artifacts: str, kind: str = "run") -> Started:
    """Check a job against its data and its space, and put it down as waiting.

    Raises:
        InvalidRequestError, SearchSpaceError: If anything in it is wrong; nothing is stored then.
    """
    data = load_job_data(spec, artifacts)
    plan = make_plan(spec, data, artifacts)
    check_runnable(plan)
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
    job = store.create_job(
        spec.name,
        spec.model_dump(mode="json", exclude_defaults=True),
        plan.space.to_dict(),
        objectives=[asdict(objective) for objective in plan.objectives],
        reference=plan.reference,
        owner=getpass.getuser(),
        kind=kind,
        attributes={
            "spec_digest": spec.digest,
            "data_hash": data.content_hash,
            "artifacts": artifacts,
            "version": __version__,
            "reward_target": plan.reward.target,
        },
    )
    return Started(job=job, plan=plan)


def take_up_job(job: JobRow, spec: JobSpec | None = None) -> Started:
    """The plan of a job that is in the store; its data must be what it was.

    Args:
        spec: In place of the stored one, for a stage that is run again with other settings.

    Raises:
        InvalidRequestError: If the data set has changed or is gone.
    """
    spec = spec or job_spec(job)
    artifacts = str(job.attributes["artifacts"])
    data = load_job_data(spec, artifacts, expected_hash=str(job.attributes["data_hash"]))
    return Started(job=job, plan=make_plan(spec, data, artifacts))


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


def check_runnable(plan: Plan) -> None:
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
    if spec.evaluator.name == "python":
        plan.evaluator(spec.recipe).prepare()
    if spec.scaling is not None:
        check_rule(spec.scaling.baseline)
