"""What a trial reserves by a measurement: the arithmetic, what is kept, and what is refused.

The measurement itself is taken on a real worker in `test_on_ray.py`, on a CPU; memory of a GPU is
made up here, since none was lent while this was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.errors import ClusterError
from cluster.executor import InlineExecutor, OnReport, Result, Work
from cluster.sharing import share_of_gpu
from nas.cost import count
from nas.errors import InvalidRequestError, NasError
from nas.evaluation import on_gpu, training
from nas.evaluation.training import CUDA_CONTEXT_BYTES, TrainingEvaluator
from nas.jobs import measured, run
from nas.jobs.accounts import accounts_of
from nas.jobs.largest import largest_network
from nas.jobs.reporter import SilentReporter
from nas.jobs.spec import ExecutionSpec, job_from_dict
from nas.jobs.start import start_job
from nas.store import Store
from nas.training import rehearsal
from nas.training.rehearsal import Rehearsed
from tests.nas.evaluation.test_on_gpu import USE

GIB = 2**30
MEASURE = {"execution": {"resources": "measure", "device": "cpu"}, "scaling": None}


def rehearsed(**fields: Any) -> Rehearsed:
    usual: dict[str, Any] = {
        "memory_bytes": 400 * 2**20,
        "cpus": 0.98,
        "gpu_memory_bytes": None,
        "gpu_bytes": None,
        "steps": 4,
    }
    return Rehearsed(**{**usual, **fields})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


@pytest.mark.parametrize(
    ("peak", "share"),
    [(2.0, 0.1), (2.1, 0.1111), (9.0, 0.5), (10.1, 1.0), (24.0, 1.0)],
)
def test_as_many_share_a_gpu_as_have_their_peak_and_a_margin(peak: float, share: float) -> None:
    found = share_of_gpu(int(peak * GIB), 24 * GIB, 0.2)
    assert found == share
    fitting = int(1 / found)
    assert fitting == 1 or fitting * peak * 1.2 <= 24.0


def test_a_trial_that_no_gpu_holds_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"needs 25 GiB of a GPU that has 24 GiB"):
        share_of_gpu(25 * GIB, 24 * GIB, 0.2)


def test_memory_has_a_margin_and_cpus_are_whole() -> None:
    kept = measured.describe(rehearsed(), "host:1")
    assert kept["memory_per_trial"] == "512Mi"  # 480 in steps of 64
    assert (kept["cpus_per_trial"], kept["gpus_per_trial"]) == (1.0, 0.0)
    assert measured.describe(rehearsed(cpus=1.05), "")["cpus_per_trial"] == 1.0
    assert measured.describe(rehearsed(cpus=1.5), "")["cpus_per_trial"] == 2.0
    assert measured.describe(rehearsed(cpus=0.2), "")["cpus_per_trial"] == 1.0
    assert measured.sentence(kept) == (
        "resources: the largest network took 1.0 CPUs and 400 MiB in 4 steps on host:1; with a "
        "margin of 20% a trial reserves 1 CPU, 512 MiB"
    )


def test_on_a_gpu_its_share_is_said_too() -> None:
    kept = measured.describe(rehearsed(gpu_memory_bytes=2 * GIB, gpu_bytes=24 * GIB), "host:1")
    assert kept["gpus_per_trial"] == 0.1
    assert "400 MiB, 2 of a GPU's 24 GiB in" in measured.sentence(kept)
    assert "reserves 1 CPU, 0.1 GPU, 512 MiB" in measured.sentence(kept)


@pytest.mark.parametrize(
    ("by_driver", "peak"),
    [(3 * GIB, 3 * GIB), (None, GIB + CUDA_CONTEXT_BYTES)],
)
def test_memory_on_a_gpu_is_what_its_driver_tells_or_torch_and_a_context(
    monkeypatch: pytest.MonkeyPatch, by_driver: int | None, peak: int
) -> None:
    stay = on_gpu.Stay(device="a GPU", uuid="GPU-1", use=replace(USE, peak_memory_bytes=by_driver))

    class Staying:
        def __init__(self, device: Any, share: float, alone: bool) -> None:
            assert share == 1.0

        def __enter__(self) -> on_gpu.Stay:
            return stay

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(training, "staying", Staying)
    monkeypatch.setattr(training, "choose_device", lambda name: None)
    monkeypatch.setattr(
        rehearsal, "rehearse", lambda *_: rehearsed(gpu_memory_bytes=GIB, gpu_bytes=8 * GIB)
    )
    evaluator = TrainingEvaluator(
        data=job_from_dict({}).data, recipe=job_from_dict({}).recipe, artifacts="unused"
    )
    monkeypatch.setattr(TrainingEvaluator, "_load", lambda self: None)
    assert evaluator.rehearse(None).gpu_memory_bytes == peak  # type: ignore[arg-type]


def test_what_was_measured_holds_for_the_job_its_accounts_and_later_drivers(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    started_with: list[ExecutionSpec] = []

    def on_ray(*_: Any) -> Result:
        asked.append(1)
        return Result(key="rehearsal", value=rehearsed(cpus=2.0), worker="host:1")

    def start(spec: ExecutionSpec, work: Work, on_report: OnReport, *_: Any) -> InlineExecutor:
        started_with.append(spec)
        return InlineExecutor(work, on_report)

    monkeypatch.setattr(measured, "_rehearse_on_ray", on_ray)
    monkeypatch.setattr(run, "_start_workers", start)
    search = {"trials": 1, "sampler": "random"}
    spec = job_from_dict({**MEASURE, "resolution": 8, "recipe": {"epochs": 1}, "search": search})
    started = start_job(store, spec, str(tmp_path / "artifacts"))
    job = run.run_job(store, started.job, started.plan, SilentReporter(), (run.SEARCH,))
    assert started_with[0].cpus_per_trial == 2.0
    assert started_with[0].memory_per_trial == "512Mi"
    (attempt,) = store.attempts(job.id)
    assert attempt.cpus == 2.0
    used = accounts_of(job, store.usage(job.id)[job.id])
    assert used.cpu_hours == pytest.approx(2.0 * attempt.seconds / 3600.0)
    run.run_job(store, job, started.plan, SilentReporter(), (run.SEARCH,))
    assert len(asked) == 1


def test_a_measurement_that_failed_says_what_to_do(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Result(key="rehearsal", error="Traceback ...\nOutOfMemory: 3 GiB were wanted.")
    monkeypatch.setattr(measured, "_rehearse_on_ray", lambda *_: failed)
    started = start_job(store, job_from_dict(MEASURE), str(tmp_path / "artifacts"))
    with pytest.raises(NasError, match=r"3 GiB were wanted.*Leave `execution.resources` out"):
        run.run_job(store, started.job, started.plan, SilentReporter())
    assert store.find_job(started.job.id).state == "failed"


def test_the_largest_network_is_larger_than_a_thousand_others_and_within_the_bounds(
    store: Store, tmp_path: Path
) -> None:
    def size(network: Any, batch: int) -> float:
        costs = count(network)
        return batch * costs.activations + 4.0 * costs.parameters

    for constraints in ((), ("macs <= 3M",)):
        spec = job_from_dict({"search": {"constraints": constraints}})
        plan = start_job(store, spec, str(tmp_path / "artifacts")).networks
        found, batch = largest_network(plan), plan.spec.recipe.batch_size
        if constraints:
            assert count(found).macs <= 3e6
        rng = np.random.default_rng(1)
        for _ in range(1_000):
            other = plan.space.sample(rng)
            if not constraints or count(other).macs <= 3e6:
                assert size(other, batch) <= size(found, batch)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"execution": {"resources": "measure", "cpus_per_trial": 2}}, "finds cpus_per_trial"),
        ({"execution": {"resources": "guess"}}, "'given' or 'measure'"),
    ],
)
def test_resources_that_contradict_are_refused(document: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        job_from_dict(document)


def test_only_trainings_on_ray_are_measured(store: Store, tmp_path: Path) -> None:
    for change in ({"evaluator": "tests.nas.jobs.toy:accuracy"}, {}):
        execution = {"resources": "measure"} | ({} if change else {"executor": "inline"})
        spec = job_from_dict({"execution": execution, **change})
        with pytest.raises(InvalidRequestError, match="needs the evaluator 'training' and the"):
            start_job(store, spec, str(tmp_path))
