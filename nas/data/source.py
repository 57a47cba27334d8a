"""Source: what a data set's place holds, before anything is cut or cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.data.images import Labels, Part
from nas.errors import InvalidRequestError

PART_NAMES = ("train", "val", "test")


@dataclass(frozen=True, slots=True, eq=False)
class RawData:
    """The parts that a source has ('train' always), its classes, and notes for the user."""

    parts: Mapping[str, Part]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A source's content hash, found without decoding, and how to read the rest of it."""

    content_hash: str
    read: Callable[[], RawData]


def check_classes(raw: RawData, source: str) -> RawData:
    """Refuse a single class, a class without training images, and labels of no class."""
    if len(raw.classes) < 2:
        raise InvalidRequestError(
            f"`{source}` must have at least 2 classes, but got {_listed(raw.classes)}."
        )
    for name, part in raw.parts.items():
        _check_labels(part.labels, raw.classes, f"{name} part of {source}")
    counts = np.bincount(raw.parts["train"].labels, minlength=len(raw.classes))
    empty = [name for name, count in zip(raw.classes, counts, strict=True) if count == 0]
    if empty:
        raise InvalidRequestError(
            f"Every class of `{source}` must have training images, but got none of "
            f"{_listed(empty)}. Add some or remove the class."
        )
    return raw


def _check_labels(labels: Labels, classes: Sequence[str], place: str) -> None:
    if len(labels) == 0:
        raise InvalidRequestError(f"The {place} must hold images, but got none.")
    if labels.min() < 0 or labels.max() >= len(classes):
        wrong = labels[(labels < 0) | (labels >= len(classes))][0]
        raise InvalidRequestError(
            f"Labels in the {place} must be from 0 to {len(classes) - 1}, one for each of the "
            f"{len(classes)} classes, but got {wrong}."
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"
