"""Recipe: everything that decides how a network is trained."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ExtraMetric = Literal["top5", "balanced_accuracy", "macro_f1", "per_class"]

TrainOn = Literal["train", "train+val"]
"""Which part a network is trained on: the second for a final model."""


class Augmentation(BaseModel):
    """What is done to training images, in batch, on the device; 0 or false leaves a step out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: bool = False
    crop_padding: float = Field(0.0, ge=0.0, le=0.5, description="share of the side")
    cutout: float = Field(0.0, ge=0.0, le=0.9, description="side of the hole, share of the image")
    brightness: float = Field(0.0, ge=0.0, le=1.0)
    contrast: float = Field(0.0, ge=0.0, le=1.0)
    rotation_degrees: float = Field(0.0, ge=0.0, le=180.0)
    mixup: float = Field(0.0, ge=0.0, le=10.0, description="alpha of the beta distribution")


class Recipe(BaseModel):
    """How a network is trained; its hash is part of every evaluation key.

    >>> Recipe(epochs=5).digest == Recipe(epochs=5).digest != Recipe(epochs=6).digest
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(10, ge=1, le=10_000)
    batch_size: int = Field(64, ge=1, le=65_536)
    optimizer: Literal["sgd", "adamw", "rmsprop"] = "sgd"
    learning_rate: float = Field(0.1, gt=0.0, le=100.0, description="at the schedule's peak")
    momentum: float = Field(0.9, ge=0.0, lt=1.0)
    weight_decay: float = Field(5e-4, ge=0.0, le=1.0, description="not on batch-norm and biases")
    schedule: Literal["cosine", "constant", "step", "one_cycle"] = "cosine"
    warmup_epochs: float = Field(1.0, ge=0.0, description="not in one_cycle")
    step_epochs: float = Field(2.4, gt=0.0, description="`step`: epochs between two drops")
    step_factor: float = Field(0.97, gt=0.0, le=1.0, description="`step`: what a drop leaves")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    average_decay: float = Field(0.0, ge=0.0, lt=1.0, description="of the weights' average; 0: off")
    clip_norm: float = Field(0.0, ge=0.0, description="of the gradient; 0: off")
    augmentation: Augmentation = Augmentation()
    resolution: int | None = Field(None, ge=1, le=8192, description="in place of the network's")
    initial_weights: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 of stored weights to start from"
    )
    precision: Literal["float32", "bfloat16"] = "float32"
    time_limit_s: float | None = Field(None, gt=0.0, description="longer is infeasible")
    metrics: tuple[ExtraMetric, ...] = Field((), description="beside accuracy and loss")

    @property
    def digest(self) -> str:
        """32 hexadecimal digits; fields at their default are left out, so that a later field
        changes no hash."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]
