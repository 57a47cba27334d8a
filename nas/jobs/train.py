"""Training one network as a job of its own."""

from __future__ import annotations

from functools import partial

from nas.data.carried import luggage_of
from nas.errors import InvalidRequestError, NasError
from nas.jobs.deliver import for_data
from nas.jobs.front import table_error
from nas.jobs.measured import find_resources
from nas.jobs.reporter import Reporter
from nas.jobs.run import driving
from nas.jobs.spec import ExecutionSpec, JobSpec
from nas.jobs.start import start_job
from nas.jobs.trial_log import log_study
from nas.search.candidates import Finished
from nas.search.evaluations import evaluate_all
from nas.search.progress import Snapshot
from nas.search.records import architecture_row
from nas.store import EvaluationRow, Store
from search_spaces.architecture import Architecture


def train_one(
    store: Store,
    spec: JobSpec,
    artifacts: str,
    architecture: Architecture,
    seed: int | None,
    reporter: Reporter,
) -> EvaluationRow:
    """Train a network by the full recipe; one that is stored is not trained again.

    Raises:
        InvalidRequestError: If the workers that train it together have nothing to share.
        NasError: If the training fails, with the reason.
    """
    if spec.evaluator.name == "table":
        raise table_error(spec.name)
    _check_shares(spec)
    started = start_job(store, spec, artifacts, kind="train")
    job, plan = started.job, started.networks
    architecture = for_data(architecture, plan)
    candidate = plan.candidate(architecture, spec.full_recipe, seed=seed)
    end: Finished | None = None

    def resources() -> ExecutionSpec:
        return find_resources(store, job, plan, lambda: architecture, reporter, print)

    pack_luggage = partial(luggage_of, spec.data, plan.data)
    with driving(store, job, resources, spec.budget, pack_luggage) as evaluations:
        on_end = log_study(store, job.id, "train", [({}, architecture_row(architecture))])
        reporter.progress(Snapshot(stage="training", done=0, total=1))
        (end,) = evaluate_all(evaluations, [candidate], on_end)
    if end is None:
        raise NasError(f"Training was {store.find_job(job.id).message}.")
    if end.evaluation is None or end.evaluation.val_accuracy is None:
        raise NasError(f"Training ended {end.status.value}: {end.reason}")
    return end.evaluation


def _check_shares(spec: JobSpec) -> None:
    together, batch = spec.execution.workers_together, spec.full_recipe.batch_size
    if together > 1 and spec.evaluator.name != "training":
        raise InvalidRequestError(
            "`execution.workers_together` is for the evaluator 'training', "
            f"but this job's is {spec.evaluator.name!r}."
        )
    if batch < together:
        raise InvalidRequestError(
            f"`execution.workers_together` must be at most the {batch} images of a batch, "
            f"which they share, but got {together}."
        )
