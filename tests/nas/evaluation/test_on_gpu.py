"""A training on a GPU that others use, with a stand-in for the device; a real one is at the end.

No GPU was lent while this was written: the device is the CPU behind a name, and what it measures
is made up. Locks, trainings and rows of the store are real.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.energy import GpuUse
from cluster.executor import InlineExecutor, Verdict
from nas.data import DataSpec
from nas.evaluation import on_gpu, training
from nas.evaluation.contract import EvaluationKey, Outcome, Request, Status
from nas.evaluation.training import TrainingEvaluator
from nas.jobs.gpu_records import energy_of_attempt, measured_on_gpu
from nas.jobs.trial_log import log_study
from nas.search.candidates import Candidate, Finished
from nas.search.evaluations import Evaluations, evaluate_all
from nas.search.records import architecture_row
from nas.store import Store
from nas.training.errors import OutOfMemory
from nas.training.recipe import Recipe
from search_spaces.architecture import Architecture
from tests.nas.store.build import evaluation_row

USE = GpuUse(
    seconds=2.0, energy_j=300.0, mean_power_w=150.0, source="counter", peak_memory_bytes=2**30
)


class Card:
    """A GPU with room for so many trainings; notes how each stayed there."""

    def __init__(self, patch: pytest.MonkeyPatch, fails: int, use: GpuUse = USE) -> None:
        self.fails, self.stays = fails, list[str]()
        self.error: Exception = OutOfMemory("Out of memory: 3 GiB were wanted.")
        real = training.train

        def train(*arguments: Any, **named: Any) -> Generator[Any, None, Any]:
            named["device"] = "cpu"
            if self.fails:
                self.fails -= 1
                raise self.error
            return (yield from real(*arguments, **named))

        @contextlib.contextmanager
        def staying(device: Any, share: float, alone: bool) -> Iterator[on_gpu.Stay]:
            self.stays.append("alone" if alone else "shared")
            meter = SimpleNamespace(so_far=lambda: use)
            stay = on_gpu.Stay(device="a GPU", uuid="GPU-1", meter=meter)  # type: ignore[arg-type]
            try:
                yield stay
            finally:
                stay.use = use

        class Device:
            type = "cuda"

        patch.setattr(training, "train", train)
        patch.setattr(training, "staying", staying)
        patch.setattr(training, "choose_device", lambda name: Device())


@pytest.fixture
def make(stripes: str, location: str) -> Callable[[float], TrainingEvaluator]:
    """Evaluators by their share of the GPU."""
    recipe = Recipe(epochs=1, batch_size=16)
    return lambda share: TrainingEvaluator(
        data=DataSpec(source=stripes), recipe=recipe, artifacts=location, gpu_share=share
    )


def evaluate(evaluator: TrainingEvaluator, network: Architecture) -> Outcome:
    running = evaluator.evaluate([Request(key="k", architecture=network)])
    try:
        while True:
            next(running)
    except StopIteration as end:
        return end.value[0]


def test_out_of_memory_among_others_is_tried_once_alone(
    make: Callable[[float], TrainingEvaluator],
    small: Architecture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch, fails=1)
    outcome = evaluate(make(0.25), small)
    assert outcome.status is Status.COMPLETED
    assert card.stays == ["shared", "alone"]
    assert outcome.details["tried_alone"] == "Out of memory: 3 GiB were wanted."
    assert outcome.details["gpu"]["energy_j"] == 300.0


def test_out_of_memory_alone_is_the_networks_own_and_not_tried_again(
    make: Callable[[float], TrainingEvaluator],
    small: Architecture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch, fails=5)
    outcome = evaluate(make(0.25), small)
    assert (outcome.status, card.stays) == (Status.INFEASIBLE, ["shared", "alone"])
    card.stays.clear()
    whole = evaluate(make(1.0), small)
    assert (whole.status, card.stays) == (Status.INFEASIBLE, ["shared"])


def test_what_was_metered_becomes_measurements_or_null_with_the_reason(
    make: Callable[[float], TrainingEvaluator],
    small: Architecture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = replace(USE, energy_j=None, mean_power_w=None, source="", reason="shared: 2 processes")
    found = {}
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        job = store.create_job("j", {}, {})
        store.set_job_state(job.id, "running")
        for seed, use in enumerate((USE, shared)):
            Card(monkeypatch, fails=0, use=use)
            key = EvaluationKey(
                subject="s", dataset="", split="", recipe="", evaluator="training", seed=seed
            )
            candidate = Candidate(key=key, evaluator=make(1.0), architecture=small)
            evaluations = Evaluations(store, InlineExecutor, owner=job.id, job=job.id)
            on_end = log_study(store, job.id, "train", [({"seed": seed}, architecture_row(small))])
            evaluate_all(evaluations, [candidate], on_end)
            evaluations.close()
            rows = store.measurements_of(evaluation=key.digest)
            found[seed] = {row.metric: row for row in rows}
        assert found[0]["energy_j"].value == 300.0
        assert found[0]["energy_j"].details["source"] == "counter"
        assert found[0]["mean_power_w"].unit == "W"
        assert store.device("GPU-1").name == "a GPU"  # type: ignore[union-attr]
        assert (found[1]["energy_j"].value, found[1]["energy_j"].reason) == (
            None,
            "shared: 2 processes",
        )
        assert found[1]["gpu_memory_bytes"].value == 2**30
        assert store.usage(job.id)[job.id].energy_j == 300.0


def test_what_pruned_and_failed_trainings_used_is_in_the_accounts_too(
    make: Callable[[float], TrainingEvaluator],
    small: Architecture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One ends whole, one is stopped, one breaks, one was out of memory among others and alone."""
    ends = [
        (0, Verdict.CONTINUE, "completed", 300.0, None),
        (0, Verdict.STOP, "pruned", 300.0, None),
        (99, Verdict.CONTINUE, "failed", 300.0, None),
        (2, Verdict.CONTINUE, "infeasible", 600.0, None),
    ]
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        job = store.create_job("j", {}, {})
        row = architecture_row(small)
        for seed, (fails, verdict, *_) in enumerate(ends):
            card = Card(monkeypatch, fails=fails)
            card.error = OutOfMemory("no memory") if fails == 2 else ZeroDivisionError("broken")
            key = EvaluationKey(
                subject="s", dataset="", split="", recipe="", evaluator="training", seed=seed
            )
            candidate = Candidate(
                key=key, evaluator=make(0.5 if fails == 2 else 1.0), architecture=small
            )
            on_end = log_study(store, job.id, "train", [({"seed": seed}, row)])
            evaluations = Evaluations(store, InlineExecutor, owner=job.id, job=job.id)
            evaluations.listen(lambda ticket, report, verdict=verdict: verdict)  # type: ignore[misc]
            evaluate_all(evaluations, [candidate], on_end)
            evaluations.close()
        attempts = store.attempts(job.id)
        assert [(a.state, a.energy_j, a.energy_note) for a in attempts] == [
            (state, energy, note) for _, _, state, energy, note in ends
        ]
        assert store.usage(job.id)[job.id].energy_j == 1500.0


def test_an_attempt_without_energy_says_why() -> None:
    card = {**asdict(USE), "name": "g", "uuid": "GPU-1"}
    shared = {**card, "energy_j": None, "reason": "shared: 2 processes"}
    assert energy_of_attempt({"gpu": card}, 1.0) == (300.0, None)
    assert energy_of_attempt({"gpu": card}, 1.0, lost=True) == (300.0, "until its last report")
    assert energy_of_attempt({"gpu": shared}, 0.5) == (None, "shared: 2 processes")
    assert energy_of_attempt({"gpu_among_others": shared, "gpu": card}, 0.5)[0] is None
    assert energy_of_attempt({}, 1.0) == (None, "it ended before it told what it used")
    assert energy_of_attempt({}, 0.0) == (None, None)


def test_energy_of_a_part_of_a_training_is_not_its_energy(tmp_path: Path) -> None:
    outcome_details = {"gpu": {**asdict(USE), "name": "g", "uuid": "GPU-1"}, "epochs_here": 2}
    row = evaluation_row(0, fidelity=5.0, details=outcome_details)
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        end = Finished(ticket=0, status=Status.COMPLETED, evaluation=row)
        energy = measured_on_gpu(store, end)[0]
        assert energy.value is None
        assert energy.reason == "went on from a checkpoint: 2 of 5 epochs were metered"
        assert energy.details["energy_j_of_the_last_attempt"] == 300.0
        assert measured_on_gpu(store, replace(end, reused=True)) == ()


@pytest.mark.gpu
def test_a_real_gpu_gives_energy_or_says_why_not(
    make: Callable[[float], TrainingEvaluator], small: Architecture
) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    outcome = evaluate(make(1.0), small)
    used = outcome.details["gpu"]
    assert (used["energy_j"] is None) == bool(used["reason"])
    assert used["peak_memory_bytes"] is None or used["peak_memory_bytes"] > 2**20
