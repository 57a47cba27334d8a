"""ModelCard: what deploying a network needs beside its weights; every exported file holds one."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import nas
from nas.data.images import ImageData
from nas.data.resize import RESIZE_RULE
from nas.errors import InvalidRequestError
from search_spaces.architecture import MAX_CLASSES, MAX_RESOLUTION, Architecture
from search_spaces.plain import PlainError, from_plain

FORMAT_VERSION = 1
INPUT = "float32, batch x channels x height x width: (pixel / 255 - mean) / std"
OUTPUT = "float32, batch x classes: logits, in the order of `classes`"
COLOR_ORDERS = {1: "grey", 3: "rgb"}


class InvalidCardError(PlainError, InvalidRequestError):
    """A field of a model card that breaks its rule; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """How to feed a network and read its answer, and what it is.

    Args:
        classes: Names, in the order of the logits.
        mean, std: One a channel, pixels being 0 to 1; one channel is grey, three are RGB.
        stored_size: Height and width that images are stretched to first, in pixels.
        resolution: Side of the square that the network reads, in pixels.
        resize_rule: The rule of `nas.data.resize`, in words.
        fingerprint: The architecture's.
        accuracy, accuracy_error: A share (0 to 1) and one standard error; None if unknown.
        accuracy_metric: Which accuracy that is: 'test_accuracy' or 'val_accuracy'.
        package_version: That of the package which wrote the file.

    Raises:
        InvalidCardError: If a field breaks its rule.

    >>> card = ModelCard(classes=("cat", "dog"), mean=(0.5,), std=(0.25,), stored_size=(8, 8),
    ...                  resolution=16, fingerprint="0" * 32)
    >>> card.color_order, card.input_shape(4)
    ('grey', (4, 1, 16, 16))
    >>> ModelCard.from_json(card.to_json()) == card
    True
    """

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stored_size: tuple[int, ...]
    resolution: int
    fingerprint: str
    resize_rule: str = RESIZE_RULE
    accuracy: float | None = None
    accuracy_error: float | None = None
    accuracy_metric: str = "test_accuracy"
    package_version: str = nas.__version__

    def __post_init__(self) -> None:
        _require("classes", 1 <= len(self.classes) <= MAX_CLASSES, "must name a class.")
        _require("mean", len(self.mean) in COLOR_ORDERS, "must have 1 or 3 values.")
        _require("std", len(self.std) == len(self.mean), "must have as many values as `mean`.")
        _require("mean", all(map(math.isfinite, self.mean)), "must be finite.")
        _require("std", all(0 < s < math.inf for s in self.std), "must be above 0.")
        _require("stored_size", len(self.stored_size) == 2, "must be a height and a width.")
        for name, sides in (("stored_size", self.stored_size), ("resolution", (self.resolution,))):
            _require(
                name,
                all(1 <= side <= MAX_RESOLUTION for side in sides),
                f"must be from 1 to {MAX_RESOLUTION} pixels, but got {sides}.",
            )
        _require(
            "resize_rule",
            self.resize_rule == RESIZE_RULE,
            f"must be {RESIZE_RULE!r}, the only one that this version knows, "
            f"but got {self.resize_rule!r}.",
        )

    @property
    def channels(self) -> int:
        """1 or 3."""
        return len(self.mean)

    @property
    def color_order(self) -> str:
        """'grey' or 'rgb'."""
        return COLOR_ORDERS[self.channels]

    def input_shape(self, batch: int) -> tuple[int, int, int, int]:
        """batch x channels x height x width."""
        return batch, self.channels, self.resolution, self.resolution

    def to_dict(self) -> dict[str, Any]:
        """Plain values for people and programs: nothing is left out, and the input and output
        are described."""
        return {
            "version": FORMAT_VERSION,
            **dataclasses.asdict(self),
            "color_order": self.color_order,
            "input": INPUT,
            "input_shape": ["batch", *self.input_shape(1)[1:]],
            "output": OUTPUT,
        }

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read `to_dict`'s form; what it derives is read back as nothing."""
        if not isinstance(data, Mapping):
            raise InvalidCardError("", f"must be a mapping, but got {type(data).__name__}.")
        if data.get("version") != FORMAT_VERSION:
            raise InvalidCardError(
                "version",
                f"must be {FORMAT_VERSION}, but got {data.get('version')!r}. Update this package.",
            )
        derived = ("version", "color_order", "input", "input_shape", "output")
        try:
            return from_plain(cls, {k: v for k, v in data.items() if k not in derived})
        except PlainError as error:
            raise InvalidCardError(error.path, error.problem) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json`'s form."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidCardError("", f"must be JSON, but got: {error}") from None
        return cls.from_dict(data)


def make_card(
    architecture: Architecture,
    data: ImageData,
    *,
    resolution: int | None = None,
    accuracy: float | None = None,
    accuracy_error: float | None = None,
    accuracy_metric: str = "test_accuracy",
) -> ModelCard:
    """The card of a network trained on that data; `resolution` if not the architecture's own."""
    return ModelCard(
        classes=data.classes,
        mean=data.mean,
        std=data.std,
        stored_size=data.source_size,
        resolution=resolution or architecture.resolution,
        fingerprint=architecture.fingerprint,
        accuracy=accuracy,
        accuracy_error=accuracy_error,
        accuracy_metric=accuracy_metric,
    )


def _require(name: str, holds: bool, problem: str) -> None:
    if not holds:
        raise InvalidCardError(name, problem)
