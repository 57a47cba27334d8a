"""Evaluation by training: the contract, and what it stores and leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nas.data import DataSpec, load_data
from nas.data.batches import InMemory, Preprocessing
from nas.errors import InvalidRequestError
from nas.evaluation import get_evaluator
from nas.evaluation.contract import Request, Status
from nas.evaluation.training import TrainingEvaluator
from nas.models.network import build_model
from nas.training.evaluate import evaluate_model
from nas.training.recipe import Recipe
from search_spaces.architecture import Architecture
from tests.nas.evaluation.contract import EvaluatorContract, evaluate

RECIPE = Recipe(epochs=3, batch_size=16, average_decay=0.9)


@pytest.fixture
def evaluator(stripes: str, location: str) -> TrainingEvaluator:
    return TrainingEvaluator(
        data=DataSpec(source=stripes), recipe=RECIPE, artifacts=location, device="cpu"
    )


@pytest.fixture
def make_request(small: Architecture) -> Callable[[str], Request]:
    return lambda key: Request(key=key, architecture=small, seed=3)


@pytest.fixture
def bad_request(small: Architecture) -> Request:
    return Request(key="bad", architecture=replace(small, num_classes=7))


class TestTrainingEvaluator(EvaluatorContract):
    """The contract."""


def files_below(location: str) -> list[str]:
    return sorted(p.parent.name for p in Path(location).rglob("*") if p.is_file())


def test_it_is_in_the_table_by_name() -> None:
    assert get_evaluator("training") is TrainingEvaluator
    with pytest.raises(InvalidRequestError, match=r"'trainin'.*python, table, training"):
        get_evaluator("trainin")


def test_an_outcome_holds_what_the_store_needs(
    evaluator: TrainingEvaluator, make_request: Callable[[str], Request]
) -> None:
    _, (outcome,) = evaluate(evaluator, [make_request("a")])
    assert set(outcome.metrics) == {"val_accuracy", "val_loss", "test_accuracy", "test_loss"}
    assert outcome.metrics["val_accuracy"] > 0.8
    assert (outcome.val_samples, outcome.test_samples) == (20, 32)
    assert [point["epoch"] for point in outcome.curve] == [1.0, 2.0, 3.0]
    assert set(outcome.curve[0]) == {"epoch", "train_loss", "val_accuracy", "seconds"}
    assert outcome.curve[-1]["val_accuracy"] == outcome.metrics["val_accuracy"]
    assert outcome.fidelity == 3.0
    assert outcome.device.startswith("cpu")
    assert outcome.weights is None


def test_stored_weights_give_the_metrics_again(
    evaluator: TrainingEvaluator,
    make_request: Callable[[str], Request],
    small: Architecture,
    location: str,
) -> None:
    _, (outcome,) = evaluate(replace(evaluator, keep_weights=True), [make_request("a")])
    assert outcome.weights is not None
    name, sha256, size_bytes = outcome.weights
    assert name == f"weights/{sha256}.safetensors"
    path = Path(location) / name
    assert path.stat().st_size == size_bytes
    model = build_model(small)
    model.load_state_dict(load_file(path))
    data = load_data(evaluator.data)
    test = InMemory(data.test, torch.device("cpu"))
    measured = evaluate_model(model, test, Preprocessing.of(data, small.resolution))
    assert measured["accuracy"] == outcome.metrics["test_accuracy"]
    assert measured["loss"] == pytest.approx(outcome.metrics["test_loss"], rel=1e-5)


def test_initial_weights_come_from_the_artifacts(
    evaluator: TrainingEvaluator, make_request: Callable[[str], Request]
) -> None:
    _, (first,) = evaluate(replace(evaluator, keep_weights=True), [make_request("a")])
    assert first.weights is not None
    warm = RECIPE.model_copy(update={"initial_weights": first.weights[1]})
    _, (second,) = evaluate(replace(evaluator, recipe=warm), [make_request("b")])
    assert second.curve[0]["train_loss"] < first.curve[0]["train_loss"]
    missing = RECIPE.model_copy(update={"initial_weights": "0" * 64})
    _, (failed,) = evaluate(replace(evaluator, recipe=missing), [make_request("c")])
    assert failed.status is Status.FAILED
    assert "weights/000" in failed.reason


def test_metrics_on_request_are_measured_on_both_parts(
    evaluator: TrainingEvaluator, make_request: Callable[[str], Request]
) -> None:
    recipe = RECIPE.model_copy(update={"metrics": ("macro_f1", "per_class")})
    _, (outcome,) = evaluate(replace(evaluator, recipe=recipe), [make_request("a")])
    assert {"val_macro_f1", "test_macro_f1", "test_recall.level"} <= set(outcome.metrics)


def test_a_final_model_has_no_validation_accuracy(
    evaluator: TrainingEvaluator, make_request: Callable[[str], Request]
) -> None:
    reports, (outcome,) = evaluate(replace(evaluator, train_on="train+val"), [make_request("a")])
    assert set(outcome.metrics) == {"test_accuracy", "test_loss"}
    assert outcome.val_samples == 0
    assert all("val_accuracy" not in report.metrics for report in reports)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        # each step then multiplies the weights by -99
        ({"learning_rate": 100.0, "weight_decay": 1.0, "warmup_epochs": 0.0}, "not finite"),
        ({"time_limit_s": 1e-6}, "time limit"),
    ],
)
def test_what_can_not_be_trained_is_infeasible_with_the_reason(
    evaluator: TrainingEvaluator,
    make_request: Callable[[str], Request],
    change: dict[str, object],
    reason: str,
) -> None:
    recipe = Recipe.model_validate({"epochs": 30, "batch_size": 16, **change})
    _, (outcome,) = evaluate(replace(evaluator, recipe=recipe), [make_request("a")])
    assert outcome.status is Status.INFEASIBLE
    assert reason in outcome.reason
    assert outcome.metrics == {}


def test_a_request_without_architecture_fails_with_the_rule(
    evaluator: TrainingEvaluator,
) -> None:
    _, (outcome,) = evaluate(evaluator, [Request(key="a")])
    assert outcome.status is Status.FAILED
    assert "needs an architecture" in outcome.reason


def test_a_changed_data_set_stops_the_preparation(evaluator: TrainingEvaluator) -> None:
    with pytest.raises(InvalidRequestError, match=r"stripes\.npz.*began with"):
        replace(evaluator, content_hash="0" * 64).prepare()


def test_a_missing_device_stops_the_preparation(evaluator: TrainingEvaluator) -> None:
    with pytest.raises(InvalidRequestError, match="`device`"):
        replace(evaluator, device="tpu").prepare()


def test_only_the_prepared_data_stay_when_it_is_done(
    evaluator: TrainingEvaluator, make_request: Callable[[str], Request], location: str
) -> None:
    evaluate(evaluator, [make_request("a")])
    assert not any(name == "checkpoints" for name in files_below(location))


def test_one_stopped_early_goes_on_from_its_checkpoint(
    evaluator: TrainingEvaluator, make_request: Callable[[str], Request], location: str
) -> None:
    _, (whole,) = evaluate(evaluator, [make_request("whole")])
    running = evaluator.evaluate([make_request("a")])
    next(running)
    running.close()
    assert files_below(location).count("checkpoints") == 1
    reports, (resumed,) = evaluate(evaluator, [make_request("a")])
    assert [report.fidelity for report in reports] == [2.0, 3.0]
    assert resumed.metrics == whole.metrics
    assert len(resumed.curve) == 3
    assert "checkpoints" not in files_below(location)
