"""Evaluators that write down outside the store what they do; see `witness`.

They run on the cluster's nodes, which know `FAULTS_WITNESS` (the log) and `FAULTS_SHARED` (a folder
that stands for a shared file system).
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from faults_bench.witness import note
from nas.evaluation.contract import Request

EPOCHS = 6
SHORTEST_S, LONGEST_S = 1.0, 3.0


def steps(request: Request) -> Generator[dict[str, float], None, dict[str, float]]:
    """Takes one to three seconds, by its key, with a checkpoint at each of its epochs."""
    seconds = SHORTEST_S + (LONGEST_S - SHORTEST_S) * int(request.key[:8], 16) / 2**32
    path = Path(os.environ["FAULTS_SHARED"]) / "checkpoints" / request.key
    path.parent.mkdir(exist_ok=True)
    done = int(path.read_text()) if path.exists() else 0
    for epoch in range(done + 1, EPOCHS + 1):
        time.sleep(seconds / EPOCHS)
        note("epoch", request.key, epoch=epoch, seconds=seconds / EPOCHS)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(str(epoch))
        partial.replace(path)
        yield {"epoch": epoch, "checkpoint": epoch, "val_accuracy": epoch / (EPOCHS + 1)}
    note("end", request.key)
    return {"val_accuracy": seconds / (LONGEST_S + 1.0)}


def digits(request: Request) -> Generator[dict[str, float], None, dict[str, float]]:
    """Real training: scikit-learn's digits by the product's own evaluator."""
    running = _trainer().evaluate([request])
    began = time.monotonic()
    while True:
        try:
            report = next(running)
        except StopIteration as end:
            (outcome,) = end.value
            break
        note("epoch", request.key, epoch=report.fidelity, seconds=time.monotonic() - began)
        began = time.monotonic()
        told = {} if report.checkpoint is None else {"checkpoint": report.checkpoint}
        yield {**report.metrics, "epoch": report.fidelity, **told}
    if outcome.reason:
        raise RuntimeError(outcome.reason)
    note("end", request.key)
    return {**outcome.metrics, "val_samples": outcome.val_samples}


@functools.cache
def _trainer() -> Any:
    from nas.data import DataSpec
    from nas.evaluation.training import TrainingEvaluator
    from nas.training.recipe import Recipe

    return TrainingEvaluator(
        data=DataSpec(source="digits"),
        recipe=Recipe(epochs=2, batch_size=128),
        artifacts=os.environ["FAULTS_SHARED"],
        device="cpu",
    )
