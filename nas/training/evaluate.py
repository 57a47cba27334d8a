"""Measuring a trained network on a part of the data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data.batches import BatchSource, Preprocessing
from nas.training.recipe import ExtraMetric


def evaluate_model(
    model: nn.Module,
    source: BatchSource,
    preprocessing: Preprocessing,
    *,
    extra: Sequence[ExtraMetric] = (),
    classes: Sequence[str] = (),
    batch_size: int = 256,
) -> dict[str, float]:
    """Measure `accuracy` and `loss` (cross-entropy, no smoothing), and what `extra` asks for.

    - top5: share of images whose class is among the five best (all, where there are fewer).
    - balanced_accuracy: mean recall of the classes that the part has.
    - macro_f1: mean F1 of the classes that the part has or the model answered.
    - per_class: recall of each class that the part has, as `recall.<class>`.

    Args:
        source: Batches on the model's device; without images the result is empty.
        classes: Names for per_class; their numbers where left out.

    Returns:
        Metric to value; all but the loss are shares from 0 to 1.
    """
    if source.samples == 0:
        return {}
    was_training = model.training
    model.eval()
    loss, top5 = 0.0, 0
    answers: list[Tensor] = []
    truths: list[Tensor] = []
    with torch.inference_mode():
        for images, labels in source.in_order(batch_size):
            logits = model(preprocessing(images)).float()
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            answers.append(logits.argmax(1))
            truths.append(labels)
            if "top5" in extra:
                best = logits.topk(min(5, logits.shape[1]), 1).indices
                top5 += int((best == labels[:, None]).sum())
            num_classes = logits.shape[1]
    model.train(was_training)
    answer, truth = torch.cat(answers).cpu(), torch.cat(truths).cpu()
    metrics = {
        "accuracy": float((answer == truth).double().mean()),
        "loss": loss / source.samples,
    }
    if "top5" in extra:
        metrics["top5"] = top5 / source.samples
    if set(extra) - {"top5"}:
        # row: what it is; column: what it was called
        confusion = torch.bincount(truth * num_classes + answer, minlength=num_classes**2)
        metrics |= _by_class(confusion.view(num_classes, num_classes).double(), extra, classes)
    return metrics


def _by_class(
    confusion: Tensor, extra: Sequence[ExtraMetric], classes: Sequence[str]
) -> dict[str, float]:
    right, images, answers = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    recall = right / images
    metrics = {}
    if "balanced_accuracy" in extra:
        metrics["balanced_accuracy"] = float(recall[images > 0].mean())
    if "macro_f1" in extra:
        f1 = 2 * right / (images + answers)
        metrics["macro_f1"] = float(f1[images + answers > 0].mean())
    if "per_class" in extra:
        for k in torch.nonzero(images).flatten().tolist():
            metrics[f"recall.{classes[k] if classes else k}"] = float(recall[k])
    return metrics
