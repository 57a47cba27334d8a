"""Batches: uint8 at source size on the device, resized and normalised there in batch.

`BatchSource` is what training and evaluation read from; `InMemory` is the implementation for
data that fits into memory (or is mapped from the cache), streaming from files another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas.data.images import ImageData, Part

Batch = tuple[Tensor, Tensor]
"""Images, uint8 of (n, C, H, W) in channels-last memory, and labels, int64 of (n)."""


class BatchSource(Protocol):
    """Where batches come from, already on the device."""

    @property
    def samples(self) -> int:
        """Images in all."""

    def shuffled(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """`full_batches` batches in the random order of that seed; the rest is left out."""

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Every image once; the last batch may be smaller."""


def full_batches(samples: int, batch_size: int) -> int:
    """Batches in an epoch of training: whole ones, or one of all images where none is whole.

    A small rest would give batch-norm statistics of a few images; each epoch leaves out others.

    >>> full_batches(100, 32), full_batches(10, 32)
    (3, 1)
    """
    return max(1, samples // batch_size)


class InMemory:
    """Batches of a part that lies in memory; on a GPU all of it is moved there once."""

    def __init__(self, part: Part, device: torch.device) -> None:
        self._device = device
        self._part = part
        self._on_gpu: Batch | None = None
        if device.type != "cpu":
            images, labels = _tensors(part, slice(None))
            self._on_gpu = images.to(device), labels.to(device)

    @property
    def samples(self) -> int:
        return len(self._part)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[Batch]:
        order = np.random.RandomState(seed).permutation(self.samples)
        for i in range(full_batches(self.samples, batch_size)):
            yield self._take(order[i * batch_size : (i + 1) * batch_size])

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, self.samples, batch_size):
            yield self._take(np.arange(start, min(start + batch_size, self.samples)))

    def _take(self, places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Batch:
        if self._on_gpu is None:
            return _tensors(self._part, places)
        index = torch.from_numpy(places).to(self._device)
        images, labels = self._on_gpu
        # picked by rows of n x H x W x C, so that the result is channels-last again
        return images.permute(0, 2, 3, 1)[index].permute(0, 3, 1, 2), labels[index]


def _tensors(part: Part, places: slice | np.ndarray[tuple[int], np.dtype[np.int64]]) -> Batch:
    # an array of places copies: the mapped pages of a cache are read-only, which torch refuses
    images = np.array(part.images[places], copy=None if isinstance(places, np.ndarray) else True)
    labels = np.array(part.labels[places])
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Steps 4 and 5 of the resize rule, in batch on the device.

    Args:
        resolution: Side of what the network reads, in pixels.
        mean, std: One a channel, pixels being 0 to 1.
    """

    resolution: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, data: ImageData, resolution: int) -> Preprocessing:
        """That of a data set."""
        return cls(resolution, data.mean, data.std)

    def resize(self, images: Tensor) -> Tensor:
        """uint8 (n, C, H, W) to floats from 0 to 1 of (n, C, resolution, resolution)."""
        pixels = images.float()
        if images.shape[-2:] != (self.resolution, self.resolution):
            side = (self.resolution, self.resolution)
            pixels = functional.interpolate(pixels, side, mode="bilinear", antialias=True)
        return pixels.div_(255.0)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Floats from 0 to 1 to what the network reads, channels-last in memory."""
        shape = (1, len(self.mean), 1, 1)
        mean = torch.tensor(self.mean, device=pixels.device).view(shape)
        scale = 1.0 / torch.tensor(self.std, device=pixels.device).view(shape)
        return ((pixels - mean) * scale).contiguous(memory_format=torch.channels_last)

    def __call__(self, images: Tensor) -> Tensor:
        """Both, as in evaluation and in an exported model."""
        return self.normalize(self.resize(images))
