"""ImageData: a data set in parts, as everything after loading sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some images with their labels.

    Args:
        images: uint8, N x H x W x C, C being 1 (grey) or 3 (RGB).
        labels: int64, N, each the index of a class.
    """

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageData:
    """A data set, ready for training.

    Args:
        mean, std: One a channel, of the training part, pixels being 0 to 1.
        content_hash: SHA-256 of what the source holds, wherever it lies.
        split: How the parts came about; with the content hash it names the data of an
            evaluation.
        notes: What the user should know: sizes cut, files left out.
    """

    train: Part
    val: Part
    test: Part
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    content_hash: str
    split: str
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return len(self.mean)

    @property
    def source_size(self) -> tuple[int, int]:
        """Height and width of the stored images, in pixels."""
        height, width = self.train.images.shape[1:3]
        return height, width

    @property
    def sizes(self) -> str:
        """The parts' numbers of images, as shown to the user."""
        return f"{len(self.train)} train, {len(self.val)} validation, {len(self.test)} test"


def join(parts: Sequence[Part]) -> Part:
    """The parts' images one after the other."""
    return Part(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def channel_statistics(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, pixels being 0 to 1; a constant one has 1.

    >>> channel_statistics(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1))
    ((0.5,), (0.5,))
    """
    means, deviations = [], []
    levels = np.arange(256) / 255.0
    for channel in range(images.shape[3]):
        # 256 levels: their counts give both exactly, without a float copy of the images
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        mean = float(counts @ levels / counts.sum())
        variance = float(counts @ (levels - mean) ** 2 / counts.sum())
        means.append(mean)
        deviations.append(variance**0.5 if variance > 0 else 1.0)
    return tuple(means), tuple(deviations)
