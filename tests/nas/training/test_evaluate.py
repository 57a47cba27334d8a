"""Metrics, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as oracle
import torch
from torch import Tensor, nn

from nas.data.batches import InMemory, Preprocessing
from nas.data.images import Part
from nas.training.evaluate import evaluate_model
from nas.training.recipe import ExtraMetric

EXTRA: tuple[ExtraMetric, ...] = ("top5", "balanced_accuracy", "macro_f1", "per_class")
PLAIN = Preprocessing(1, (0.0,), (1 / 255,))


class Answers(nn.Module):
    """Answers an image, whose one pixel is its number, with the logits of that number."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits[x[:, 0, 0, 0].round().long()]


def measure(logits: Tensor, truth: np.ndarray, **options: object) -> dict[str, float]:
    images = np.arange(len(truth), dtype=np.uint8).reshape(-1, 1, 1, 1)
    part = Part(images, truth.astype(np.int64))
    source = InMemory(part, torch.device("cpu"))
    return evaluate_model(Answers(logits), source, PLAIN, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_classes", [2, 4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_scikit_learn_s(num_classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    present = random.permutation(num_classes)[: max(1, num_classes - 2)]
    truth = random.choice(present, 100)
    logits = torch.from_numpy(random.normal(size=(100, num_classes))).float()
    logits[range(100), truth] += 1.0
    answer, scores = logits.argmax(1).numpy(), logits.softmax(1).numpy()
    measured = measure(logits, truth, extra=EXTRA, batch_size=33)
    every = np.arange(num_classes)
    assert measured["accuracy"] == pytest.approx(oracle.accuracy_score(truth, answer))
    assert measured["loss"] == pytest.approx(oracle.log_loss(truth, scores, labels=every), rel=1e-4)
    assert measured["macro_f1"] == pytest.approx(oracle.f1_score(truth, answer, average="macro"))
    recalls = oracle.recall_score(truth, answer, labels=np.unique(truth), average=None)
    assert measured["balanced_accuracy"] == pytest.approx(recalls.mean())
    assert {k: v for k, v in measured.items() if k.startswith("recall.")} == pytest.approx(
        {f"recall.{k}": recall for k, recall in zip(np.unique(truth), recalls)}
    )
    among_best = [t in np.argsort(s)[-5:] for t, s in zip(truth, scores)]
    assert measured["top5"] == pytest.approx(np.mean(among_best))


def test_only_what_is_asked_for_is_measured() -> None:
    assert set(measure(torch.eye(3), np.arange(3))) == {"accuracy", "loss"}


def test_classes_are_named() -> None:
    measured = measure(torch.eye(2), np.array([0, 0]), extra=("per_class",), classes=("a", "b"))
    assert measured["recall.a"] == 0.5
    assert "recall.b" not in measured


def test_a_part_without_images_measures_nothing() -> None:
    assert measure(torch.eye(2), np.array([]), extra=EXTRA) == {}


def test_a_part_of_one_class_has_every_metric() -> None:
    measured = measure(torch.tensor([[9.0, 0.0]] * 4), np.zeros(4), extra=EXTRA)
    assert measured["accuracy"] == measured["balanced_accuracy"] == measured["macro_f1"] == 1.0


@pytest.mark.parametrize("training", [True, False])
def test_the_model_s_mode_is_left_as_it_was(training: bool) -> None:
    model = Answers(torch.eye(2)).train(training)
    part = Part(np.zeros((2, 1, 1, 1), np.uint8), np.zeros(2, np.int64))
    evaluate_model(model, InMemory(part, torch.device("cpu")), PLAIN)
    assert model.training is training
