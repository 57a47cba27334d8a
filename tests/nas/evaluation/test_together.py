"""One network trained by two processes, over gloo, by Ray Train."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.executor import Report, Result, Verdict
from cluster.ray_train import RayTrainExecutor
from nas.data import DataSpec
from nas.errors import InvalidRequestError
from nas.evaluation import work
from nas.evaluation.contract import Outcome, Request
from nas.evaluation.training import TrainingEvaluator, work_together
from nas.jobs.reporter import SilentReporter
from nas.jobs.spec import job_from_dict
from nas.jobs.train import train_one
from nas.store import Store
from nas.training import train
from nas.training.group import current_group
from nas.training.recipe import Recipe
from search_spaces.architecture import Architecture, Block, Operator, Stage, Stem

NETWORK = Architecture(
    stem=Stem(channels=8, stride=1),
    stages=(
        Stage(blocks=(Block(operator=Operator.MBCONV, out_channels=16, expanded_channels=24),)),
        Stage(blocks=(Block(operator=Operator.CONV, out_channels=24, stride=2),)),
    ),
    resolution=8,
    input_channels=1,
    num_classes=10,
)
RECIPE = Recipe(epochs=6, batch_size=64, average_decay=0.9)


@dataclass(frozen=True, kw_only=True)
class Killed(TrainingEvaluator):
    """Training whose second process is killed after the fourth epoch, once."""

    was_here: str = ""

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        train.CHECKPOINT_INTERVAL_S = 0.0
        running = super().evaluate(requests)
        while True:
            try:
                report = next(running)
            except StopIteration as end:
                return list(end.value)
            place = Path(self.was_here)
            if current_group().rank == 1 and report.fidelity == 4 and not place.exists():
                place.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield report


def trained(evaluator: TrainingEvaluator) -> tuple[Result, list[Report]]:
    heard: list[Report] = []

    def hear(key: str, report: Report) -> Verdict:
        heard.append(report)
        return Verdict.CONTINUE

    executor = RayTrainExecutor(partial(work_together, work), hear, workers=2, gpus_per_worker=0)
    try:
        assert executor.needs == {"CPU": 2.0}  # what its hours are counted by
        executor.submit("a", (evaluator, [Request(key="a", architecture=NETWORK, seed=3)]))
        (result,) = executor.collect(timeout_s=900)
    finally:
        executor.close()
    assert result.error is None
    return result, heard


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_two_workers_train_as_well_as_one_and_go_on_after_a_death(tmp_path: Path) -> None:
    def place(name: str) -> str:
        return str(tmp_path / name)

    evaluator = TrainingEvaluator(
        data=DataSpec(), recipe=RECIPE, artifacts=place("one"), device="cpu"
    )
    alone = _alone(evaluator)
    result, heard = trained(replace(evaluator, artifacts=place("two")))
    (together,) = result.value
    assert [report.fidelity for report in heard] == [1, 2, 3, 4, 5, 6]
    assert "2 together" in together.device
    samples = alone.test_samples
    for outcome in (alone, together):
        assert outcome.metrics["test_accuracy"] > 0.9
    p = alone.metrics["test_accuracy"]
    error = (2 * p * (1 - p) / samples) ** 0.5
    assert abs(together.metrics["test_accuracy"] - p) < 3 * error

    killed = Killed(
        data=DataSpec(),
        recipe=RECIPE,
        artifacts=place("killed"),
        device="cpu",
        was_here=place("was here"),
    )
    result, heard = trained(killed)
    assert result.attempts == 2
    assert [lost.fidelity >= 3 for lost in result.lost] == [True]
    assert heard[-1].fidelity == 6
    assert 6 <= len(heard) <= 7  # what had a checkpoint was not trained again
    (resumed,) = result.value
    assert resumed.metrics == together.metrics
    assert not list(tmp_path.glob("killed/checkpoints/*"))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"recipe": {"batch_size": 2}}, "at most the 2 images of a batch"),
        ({"evaluator": {"name": "python", "function": "mine:evaluate"}}, "'training', but"),
    ],
)
def test_workers_with_nothing_to_share_are_refused(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    spec = job_from_dict({"name": "x", "execution": {"workers_together": 3}, **changes})
    with (
        Store.open(f"sqlite:///{tmp_path}/nas.db", create=True) as store,
        pytest.raises(InvalidRequestError, match=complaint),
    ):
        train_one(store, spec, str(tmp_path), NETWORK, None, SilentReporter())


def _alone(evaluator: TrainingEvaluator) -> Outcome:
    running = evaluator.evaluate([Request(key="a", architecture=NETWORK, seed=3)])
    while True:
        try:
            next(running)
        except StopIteration as end:
            outcome: Outcome = end.value[0]
            return outcome
