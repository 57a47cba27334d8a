"""What a trial reserves where the job file says `execution.resources: measure`.

A worker trains the largest network of the space for a few steps, by the job's recipe and on its
data; its peak memory with a margin, and the CPUs that it kept busy, are a trial's from then on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cluster.executor import Report, Result
from cluster.sharing import share_of_gpu
from nas.data.carried import luggage_of
from nas.errors import NasError
from nas.jobs.budget import MEASURED
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from nas.evaluation.training import TrainingEvaluator
    from nas.jobs.plan import Plan
    from nas.jobs.reporter import Reporter
    from nas.jobs.spec import ExecutionSpec
    from nas.store import JobRow, Store
    from nas.training.rehearsal import Rehearsed

MARGIN = 0.2
"""Of memory, beyond what was seen."""
MIB = 2**20
STEP_MIB = 64
SLACK_CPUS = 0.1
"""What a process may use beyond whole CPUs without getting another one."""


def find_resources(
    store: Store,
    job: JobRow,
    plan: Plan,
    network: Callable[[], Architecture],
    reporter: Reporter,
    on_wait: Callable[[str], None],
) -> ExecutionSpec:
    """What trials of a job reserve: as its file says, or as it was measured, now or earlier.

    Args:
        network: The largest that the job trains.
        on_wait: Told what a cluster lacks, while it is waited for.

    Raises:
        NasError: If it can't be measured.
    """
    execution = plan.spec.execution
    if execution.resources != "measure" or execution.workers_together > 1:
        return execution  # workers that train together have a GPU each
    known = store.find_job(job.id).attributes.get(MEASURED)
    if known is None:
        result = _rehearse_on_ray(plan, network(), on_wait)
        if result.error is not None:
            raise NasError(
                f"What a trial holds could not be measured: {result.error.splitlines()[-1]} "
                f"Leave `execution.resources` out, and say it by cpus_per_trial, gpus_per_trial "
                f"and memory_per_trial."
            )
        known = describe(result.value, result.worker)
        store.update_job(job.id, attributes={MEASURED: known})
        reporter.note(sentence(known))
    return with_resources(execution, known)


def with_resources(execution: ExecutionSpec, measured: Mapping[str, Any]) -> ExecutionSpec:
    """The execution with what was measured for it."""
    from nas.jobs.spec import PER_TRIAL

    return execution.model_copy(update={name: measured[name] for name in PER_TRIAL})


def describe(found: Rehearsed, worker: str) -> dict[str, Any]:
    """What a trial is to reserve, and what that comes from, as the job keeps it.

    Raises:
        ClusterError: If it doesn't fit on the GPU.
    """
    gpus = 0.0
    if found.gpu_memory_bytes is not None and found.gpu_bytes is not None:
        gpus = share_of_gpu(found.gpu_memory_bytes, found.gpu_bytes, MARGIN)
    steps = math.ceil(found.memory_bytes * (1.0 + MARGIN) / (STEP_MIB * MIB))
    return {
        "cpus_per_trial": float(max(1, math.ceil(found.cpus - SLACK_CPUS))),
        "gpus_per_trial": gpus,
        "memory_per_trial": f"{steps * STEP_MIB}Mi",
        "worker": worker,
        "cpus": found.cpus,
        "memory_bytes": found.memory_bytes,
        "gpu_memory_bytes": found.gpu_memory_bytes,
        "gpu_bytes": found.gpu_bytes,
        "steps": found.steps,
    }


def sentence(measured: Mapping[str, Any]) -> str:
    """The same in one line."""
    seen, held = f"{measured['memory_bytes'] / MIB:,.0f} MiB", ""
    if measured["gpu_memory_bytes"] is not None:
        card = measured["gpu_bytes"] / 2**30
        seen += f", {measured['gpu_memory_bytes'] / 2**30:.3g} of a GPU's {card:.3g} GiB"
        held = f", {measured['gpus_per_trial']:g} GPU"
    return (
        f"resources: the largest network took {measured['cpus']:.1f} CPUs and {seen} in "
        f"{measured['steps']} steps on {measured['worker']}; with a margin of {MARGIN:.0%} a "
        f"trial reserves {measured['cpus_per_trial']:g} CPU{held}, "
        f"{measured['memory_per_trial'].replace('Mi', ' MiB')}"
    )


def _rehearse_on_ray(plan: Plan, network: Architecture, on_wait: Callable[[str], None]) -> Result:
    """On a worker as trials have it, with a whole GPU where there is one and the job takes it."""
    from cluster.ray_tune import RayTuneExecutor

    execution = plan.spec.execution
    executor = RayTuneExecutor(
        _rehearse,
        slots=1,
        gpus_per_task={"auto": None, "cpu": 0.0, "cuda": 1.0}[execution.device],
        max_worker_deaths=1,
        pack_luggage=partial(luggage_of, plan.spec.data, plan.data),
        wait_s=execution.wait_for_resources_s,
        on_wait=on_wait,
    )
    try:
        executor.submit("rehearsal", (plan.evaluator(plan.spec.recipe), network))
        (result,) = executor.collect()
    finally:
        executor.close()
    return result


def _rehearse(
    payload: tuple[TrainingEvaluator, Architecture],
) -> Generator[Report, None, Rehearsed]:
    evaluator, network = payload
    return evaluator.rehearse(network)
    yield  # an executor's work is a generator; this one has nothing to report
