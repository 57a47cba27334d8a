"""A training's stay on a GPU: shared or alone, metered, and what it measured there."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cluster.energy import GpuMeter, GpuUse
from cluster.sharing import GpuRoom

if TYPE_CHECKING:
    import torch


@dataclass(eq=False, slots=True)
class Stay:
    """One stay on a device; `use` is there when it is over, and None on a CPU."""

    device: str = ""
    uuid: str = ""
    meter: GpuMeter | None = None
    use: GpuUse | None = None

    def details(self) -> dict[str, Any] | None:
        """What it used until now or until its end, as an outcome carries it; None for a CPU."""
        use = self.meter.so_far() if self.use is None and self.meter is not None else self.use
        return None if use is None else {"name": self.device, "uuid": self.uuid, **asdict(use)}


@contextlib.contextmanager
def staying(device: torch.device, share: float, alone: bool) -> Iterator[Stay]:
    """Be on a device for a while; at once on a CPU, and with no metering.

    Args:
        share: Of the GPU, as the scheduler reserved it; from 1 on no lock is needed.
        alone: Wait until the others of this machine have left the GPU, and keep them out.
    """
    if device.type != "cuda":
        yield Stay()
        return
    import torch

    stay = Stay(device=torch.cuda.get_device_name(device), uuid=device_uuid(device))
    with _entered(stay.uuid, share, alone):
        torch.cuda.reset_peak_memory_stats(device)
        stay.meter = GpuMeter(stay.uuid, is_reserved=alone or share >= 1.0)
        try:
            yield stay
        finally:
            stay.use = stay.meter.stop()
            free_memory()


@contextlib.contextmanager
def _entered(uuid: str, share: float, alone: bool) -> Iterator[None]:
    if share >= 1.0:
        yield
        return
    room = GpuRoom(uuid)
    with room.alone() if alone else room.shared():
        yield


def free_memory() -> None:
    """Give memory back that this process keeps for later, so that others on the GPU have it."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def device_uuid(device: torch.device) -> str:
    """As NVML names it; the slice's own where CUDA_VISIBLE_DEVICES gives slices."""
    import torch

    index = device.index if device.index is not None else torch.cuda.current_device()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if index < len(visible) and visible[index].strip().startswith("MIG-"):
        return visible[index].strip()
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
