"""What models, data sets and recipes are called on a page, and where their pages are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nas.server.pages.render import path_to
from nas.store import Comparable, ModelRow, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of comparable evaluations, in words."""

    id: str
    label: str
    dataset: str
    is_imagenet: bool
    count: int


def model_name(row: ModelRow) -> str:
    """JOB/12 where a trial used it, else the beginning of its fingerprint."""
    if row.job is not None and row.trial is not None:
        return f"{row.job}/{row.trial}"
    return (row.architecture or row.subject)[:12]


def model_path(row: ModelRow) -> str:
    """A model's card; a trial's page where it has choices alone."""
    if row.architecture is not None:
        return path_to("models", row.architecture)
    return path_to("jobs", row.job or "", "trials", row.trial if row.trial is not None else 0)


def kinds_of(store: Store, found: Sequence[Comparable]) -> list[Kind]:
    """Kinds with names that tell them apart."""
    kinds = []
    for group in found:
        name, classes = _dataset(store, group.dataset)
        part = "" if group.train_on == "train" else f", trained on {group.train_on}"
        label = (
            f"{name}, {group.fidelity:g} epochs, recipe {group.recipe[:6]}, "
            f"{group.evaluator.split(':')[0]}{part}"
        )
        kinds.append(
            Kind(
                id=group.id,
                label=label,
                dataset=name,
                is_imagenet=_is_imagenet(name, classes),
                count=group.count,
            )
        )
    return kinds


def is_imagenet(store: Store, content_hash: str) -> bool:
    """Whether published accuracies are of this data: ImageNet by its name and 1,000 classes."""
    return _is_imagenet(*_dataset(store, content_hash))


def _is_imagenet(name: str, classes: int) -> bool:
    return bool(re.search("imagenet|ilsvrc", name, re.I)) and classes == 1000


def dataset_name(store: Store, content_hash: str) -> str:
    """A data set's name, or the beginning of its hash."""
    return _dataset(store, content_hash)[0]


def _dataset(store: Store, content_hash: str) -> tuple[str, int]:
    row = store.dataset(content_hash)
    if row is None:
        return content_hash[:12], 0
    return (row.name.rstrip("/").rpartition("/")[2] or content_hash[:12]), len(row.classes)
