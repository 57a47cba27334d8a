"""Sums over layers: the four exact costs of a network, one at a time or for many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from nas.cost.layers import Layer, block_layers, head_layers, peak_elements, stem_layers
from search_spaces.architecture import Architecture, Block, Head, Stem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES = 4
"""A number's size in fp32."""

COST_METRICS = ("macs", "parameters", "activations", "memory_bytes")
"""Names of the exact costs, as fields of `Costs` and columns of `CostTable`."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Exact costs of one forward pass over one image.

    Args:
        macs: Multiply-accumulates of convolutions and linear layers, squeeze-excitation's
            1x1 layers included; normalisation, activations, pooling, additions and the
            squeeze-excitation's product are not counted. The papers print this as FLOPs.
        parameters: Trainable numbers; batch-norm's running statistics are not.
        activations: Elements put out by convolutions and linear layers.
        memory_bytes: Peak memory of inference: the largest sum of tensors alive at once, in
            fp32, plus the weights (parameters and running statistics). Nothing is fused: every
            convolution, batch-norm, activation, shuffle, pooling, product and addition puts out
            a new tensor while those that it reads are alive, and a tensor lives until its last
            reader has run (a block's input until the skip has read it). Blocks run before their
            skip's pooling. Padding belongs to the layer that pads; dropout is absent.
    """

    macs: int
    parameters: int
    activations: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class CostTable:
    """The costs of many networks: one int64 array of shape (n,) a metric, named as in `Costs`."""

    macs: NDArray[np.int64]
    parameters: NDArray[np.int64]
    activations: NDArray[np.int64]
    memory_bytes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.macs)

    def __getitem__(self, i: int) -> Costs:
        return Costs(*(int(getattr(self, name)[i]) for name in COST_METRICS))


class Part(NamedTuple):
    """The sums over one segment; `statistics` are batch-norm's, `peak` in numbers, not bytes."""

    macs: int
    parameters: int
    activations: int
    statistics: int
    peak: int


def count(architecture: Architecture) -> Costs:
    """Count a network's exact costs; see `Costs` for what counts and what does not.

    >>> from search_spaces.published import get_published
    >>> costs = count(get_published("mobilenet_v2"))
    >>> costs.macs, costs.parameters
    (300774272, 3504872)
    """
    return Costs(*_total(architecture))


def count_many(architectures: Iterable[Architecture]) -> CostTable:
    """Count many networks' costs into a table; equal blocks are counted once."""
    import numpy as np  # one network is counted without it

    rows = np.array([_total(architecture) for architecture in architectures], dtype=np.int64)
    return CostTable(*np.ascontiguousarray(rows.reshape(-1, len(COST_METRICS)).T))


def count_layers(architecture: Architecture) -> tuple[Layer, ...]:
    """Every layer in the order in which it runs, named as in the built model.

    >>> from search_spaces.published import get_published
    >>> layers = count_layers(get_published("mobilenet_v2"))
    >>> layers[0].name, layers[0].macs, sum(layer.macs for layer in layers)
    ('stem.conv', 10838016, 300774272)
    """
    return tuple(chain.from_iterable(layers for _, layers in _segments(architecture)))


def count_stages(architecture: Architecture) -> dict[str, Costs]:
    """The costs of stem, stages (`stages.0`, ...) and head; all but memory add up to `count`'s.

    A part's `memory_bytes` is its own peak and its own weights.
    """
    parts: dict[str, list[Part]] = {}
    channels, size = architecture.input_channels, architecture.resolution
    for name, layers in _segments(architecture):
        parts.setdefault(name, []).append(_sum(layers, channels * size * size))
        channels, size = layers[-1].out_channels, layers[-1].size
    return {name: Costs(*_combine(own)) for name, own in parts.items()}


def _segments(architecture: Architecture) -> Iterator[tuple[str, list[Layer]]]:
    """The layers of the stem, of each block and of the head, with the stage that they are in."""
    channels, size = architecture.stem.channels, architecture.resolution
    yield "stem", stem_layers(architecture.stem, architecture.input_channels, size)
    for place in architecture.walk():
        stage = f"stages.{place.stage}"
        yield (
            stage,
            block_layers(place.block, place.in_channels, place.in_size, f"{stage}.{place.index}."),
        )
        channels, size = place.block.out_channels, place.out_size
    yield "head", head_layers(architecture.head, architecture.num_classes, channels, size)


def _total(architecture: Architecture) -> tuple[int, int, int, int]:
    stem = architecture.stem
    parts = [_stem_part(stem, architecture.input_channels, architecture.resolution)]
    channels, size = stem.channels, -(-architecture.resolution // stem.stride)
    for stage in architecture.stages:
        for block in stage.blocks:
            parts.append(_block_part(block, channels, size))
            channels, size = block.out_channels, -(-size // block.stride)
    parts.append(_head_part(architecture.head, architecture.num_classes, channels, size))
    return _combine(parts)


def _combine(parts: list[Part]) -> tuple[int, int, int, int]:
    macs, parameters, activations, statistics, peaks = zip(*parts)
    memory = BYTES * (max(peaks) + sum(parameters) + sum(statistics))
    return sum(macs), sum(parameters), sum(activations), memory


def _sum(layers: list[Layer], input_elements: int) -> Part:
    macs = parameters = activations = statistics = 0
    for layer in layers:
        macs += layer.macs
        parameters += layer.parameters
        activations += layer.activations
        statistics += layer.statistics
    peak = peak_elements(layers, input_elements)
    return Part(macs, parameters, activations, statistics, peak)


@lru_cache(maxsize=65_536)
def _block_part(block: Block, in_channels: int, in_size: int) -> Part:
    return _sum(block_layers(block, in_channels, in_size), in_channels * in_size**2)


@lru_cache(maxsize=1_024)
def _stem_part(stem: Stem, input_channels: int, resolution: int) -> Part:
    return _sum(stem_layers(stem, input_channels, resolution), input_channels * resolution**2)


@lru_cache(maxsize=4_096)
def _head_part(head: Head, num_classes: int, in_channels: int, in_size: int) -> Part:
    return _sum(head_layers(head, num_classes, in_channels, in_size), in_channels * in_size**2)
