"""What a family will cost to train, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nas.cost import Costs, count, count_layers
from nas.errors import InvalidRequestError
from nas.scaling.member import Member
from search_spaces.architecture import Architecture

BYTES = 4
"""A number's size in fp32."""

_KEPT = ("conv", "linear", "norm", "activation", "pool", "multiply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """A measured speed of training: images a second of one device, by a network of known MACs.

    Time is taken to grow as MACs do. Small networks, which are bound by memory or by launching
    kernels, are faster in reality than a prediction from a large one, and slower than one from
    a smaller; measure on the baseline.
    """

    images_per_second: float
    macs: int

    def __post_init__(self) -> None:
        for name in ("images_per_second", "macs"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise InvalidRequestError(f"`{name}` must be above 0, but got {value!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """One member's costs and what training it is expected to take.

    Args:
        training_memory_bytes: As `estimate_training_memory` gives it.
        training_seconds: Of the whole training, on all devices together; None without a
            throughput. `gpu_hours` is the same times the devices.
    """

    label: str
    resolution: int
    costs: Costs
    training_memory_bytes: int
    training_seconds: float | None
    gpu_hours: float | None


def preview(
    members: Sequence[Member],
    *,
    batch_size: int,
    epochs: float | None = None,
    images: int | None = None,
    throughput: Throughput | None = None,
    devices: int = 1,
) -> list[PreviewRow]:
    """What every member costs to run and to train, in the members' order.

    Args:
        epochs, images: Passes over the training part, and its size; needed for times.
        throughput: Measured on one device; None leaves the times out.
        devices: Devices that share one training, each with its own batch.
    """
    return list(_rows(members, batch_size, epochs, images, throughput, devices))


def _rows(
    members: Sequence[Member],
    batch_size: int,
    epochs: float | None,
    images: int | None,
    throughput: Throughput | None,
    devices: int,
) -> Iterator[PreviewRow]:
    timed = throughput is not None and epochs is not None and images is not None
    for member in members:
        seconds = None
        if timed:
            assert throughput is not None
            assert epochs is not None
            assert images is not None
            seconds = predict_training_seconds(
                member.costs.macs, epochs=epochs, images=images, throughput=throughput,
                devices=devices,
            )  # fmt: skip
        yield PreviewRow(
            label=member.label,
            resolution=member.architecture.resolution,
            costs=member.costs,
            training_memory_bytes=estimate_training_memory(member.architecture, batch_size),
            training_seconds=seconds,
            gpu_hours=None if seconds is None else seconds * devices / 3600.0,
        )


def predict_training_seconds(
    macs: int, *, epochs: float, images: int, throughput: Throughput, devices: int = 1
) -> float:
    """Seconds to train a network of those MACs: images seen, over images a second.

    >>> speed = Throughput(images_per_second=1000.0, macs=400_000_000)
    >>> predict_training_seconds(800_000_000, epochs=10, images=50_000, throughput=speed)
    1000.0
    """
    for name, value in (("epochs", epochs), ("images", images), ("devices", devices)):
        if not 0 < value < math.inf:
            raise InvalidRequestError(f"`{name}` must be above 0, but got {value!r}.")
    images_per_second = throughput.images_per_second * throughput.macs / macs * devices
    return epochs * images / images_per_second


def estimate_training_memory(
    architecture: Architecture, batch_size: int, *, optimizer_slots: int = 2
) -> int:
    """Bytes that one training step holds at the start of the backward pass, in fp32.

    For every image: the input and what every convolution, linear layer, batch-norm, activation,
    pooling and gating product puts out, all kept for the backward pass; nothing is fused or
    computed again. Once: weights, their gradients, and `optimizer_slots` numbers for each (2 for
    RMSProp with momentum or Adam, 1 for SGD with momentum), and batch-norm's statistics. Work
    space of the kernels and the allocator's slack come on top; mixed precision takes about half.

    >>> from search_spaces.published import get_published
    >>> round(estimate_training_memory(get_published("efficientnet_b0"), 64) / 2**30, 1)
    5.4
    """
    if batch_size < 1 or optimizer_slots < 0:
        raise InvalidRequestError(
            f"`batch_size` must be at least 1 and `optimizer_slots` 0 or more, "
            f"but got {batch_size!r} and {optimizer_slots!r}."
        )
    layers = count_layers(architecture)
    kept = architecture.input_channels * architecture.resolution**2
    kept += sum(layer.elements for layer in layers if layer.kind in _KEPT)
    weights = count(architecture).parameters * (2 + optimizer_slots)
    weights += sum(layer.statistics for layer in layers)
    return BYTES * (batch_size * kept + weights)
