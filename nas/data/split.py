"""Cutting a seeded, stratified part off the training images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.data.images import Labels, Part
from nas.errors import InvalidRequestError


def cut(part: Part, share: float, seed: int, name: str, source: str) -> tuple[Part, Part]:
    """Split off that share of each class; returns what stays and what was cut.

    Every class gives at least one image where it has two or more, and keeps at least one.

    Raises:
        InvalidRequestError: If no class has two images.
    """
    taken = stratified_mask(part.labels, share, seed)
    if not taken.any():
        raise InvalidRequestError(
            f"`{source}` must hold at least 2 images of some class to cut a {name} part off, "
            f"but got {len(part)} images of {len(np.unique(part.labels))} classes. "
            f"Add images, or give a {name} part."
        )
    return _select(part, ~taken), _select(part, taken)


def stratified_mask(labels: Labels, share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples are taken: that share of each class, rounded, the same on every machine."""
    # RandomState: its stream is frozen for ever, default_rng's may change with numpy
    random = np.random.RandomState(seed)
    taken = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        count = min(max(round(share * len(places)), 1), len(places) - 1)
        taken[random.permutation(places)[:count]] = True
    return taken


def _select(part: Part, mask: NDArray[np.bool_]) -> Part:
    return Part(part.images[mask], part.labels[mask])
