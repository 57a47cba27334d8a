"""Evaluators as a user writes them, for the tests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from nas.evaluation.contract import Request


def width(request: Request) -> dict[str, float]:
    """One number, from the architecture."""
    assert request.architecture is not None, "no architecture"
    return {"val_accuracy": 1 / request.architecture.stem.channels, "val_samples": 50}


def epochs(request: Request) -> Generator[dict[str, float], None, dict[str, Any]]:
    """Reports on the way."""
    assert request.architecture is not None, "no architecture"
    for accuracy in (0.5, 0.6):
        yield {"val_accuracy": accuracy}
    return {"val_accuracy": np.float32(0.75), "energy": float("nan")}


def goes_on(request: Request) -> Generator[dict[str, float], None, dict[str, float]]:
    """As an attempt that found a checkpoint of two epochs."""
    for epoch in (3, 4):
        yield {"val_accuracy": epoch / 5, "epoch": epoch, "checkpoint": epoch}
    return {"val_accuracy": 0.8}


def by_choice(request: Request) -> Any:
    """Returns whatever the choice says."""
    return RETURNS[str(request.choices["what"])]


def quits(request: Request) -> Generator[Any, None, dict[str, float]]:
    """Yields what it must not."""
    yield "half way"
    return {"val_accuracy": 1.0}


RETURNS: dict[str, Any] = {
    "nothing": None,
    "number": 0.5,
    "empty": {},
    "nan": {"val_accuracy": float("nan")},
    "text": {"val_accuracy": "0.5"},
    "flag": {"val_accuracy": True},
    "list": [("val_accuracy", 0.5)],
    "numbered": {1: 0.5},
    "array": {"val_accuracy": np.zeros(3)},
}
not_a_function = 3
