"""GpuMeter: what a piece of work uses of one GPU, by NVML: energy, mean power, peak memory.

Energy is of the whole device, its idle power included, so it is a value only where the work was
alone there; else it is None, with the reason.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SAMPLE_S = 0.2
COUNTER, SAMPLES = "counter", "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """What was used between a meter's start and its stop.

    Args:
        source: `counter` (the device's own total) or `samples` (power, read five times a second).
        peak_memory_bytes: Of this process, its CUDA context included; of the device where it was
            alone and the driver doesn't tell processes apart.
        alone: Whether no other process computed there; None where nobody can tell.
        reason: Why there is no energy.
    """

    seconds: float
    energy_j: float | None = None
    mean_power_w: float | None = None
    source: str = ""
    peak_memory_bytes: int | None = None
    alone: bool | None = None
    reason: str = ""


class GpuMeter:
    """Meters one GPU from when it is made until `stop`; never raises for want of a driver.

    Source: NVML through nvidia-ml-py: `nvmlDeviceGetTotalEnergyConsumption` (millijoules since
    the driver was loaded, Volta and later), else `nvmlDeviceGetPowerUsage` (milliwatts).

    Args:
        uuid: As NVML and CUDA name the device, `GPU-...` or `MIG-...`.
        is_reserved: Whether the scheduler gave the whole device to this work; believed where the
            driver doesn't tell which processes compute.
    """

    def __init__(self, uuid: str, is_reserved: bool, sample_s: float = SAMPLE_S) -> None:
        self._uuid, self._is_reserved, self._sample_s = uuid, is_reserved, sample_s
        self._pids: set[int] = set()
        self._own_peak: int | None = None
        self._device_peak: int | None = None
        self._power: list[tuple[float, float]] = []
        self._refusal, self._handle, self._nvml = "", None, None
        self._began = time.monotonic()
        self._open()
        self._counted = self._counter()
        self._stopped = threading.Event()
        self._sampler = threading.Thread(target=self._watch, name="gpu-meter", daemon=True)
        if self._handle is not None:
            self._sample()
            self._sampler.start()

    def so_far(self) -> GpuUse:
        """What was used until now."""
        seconds = time.monotonic() - self._began
        if self._handle is None:
            return GpuUse(seconds=seconds, reason=self._refusal)
        self._sample()
        energy, source = self._energy()
        alone = self._was_alone()
        reason = self._why_none(alone, energy)
        energy = None if reason else energy
        return GpuUse(
            seconds=seconds,
            energy_j=energy,
            mean_power_w=None if energy is None else energy / seconds,
            source="" if energy is None else source,
            peak_memory_bytes=self._own_peak or (self._device_peak if alone else None),
            alone=alone,
            reason=reason,
        )

    def stop(self) -> GpuUse:
        """End the metering, and say what was used."""
        self._stopped.set()
        if self._handle is None:
            return self.so_far()
        self._sampler.join()
        used = self.so_far()
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()
        return used

    def _open(self) -> None:
        try:
            import pynvml
        except ImportError:
            self._refusal = "nvidia-ml-py isn't installed: pip install nvidia-ml-py"
            return
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._refusal = f"no NVIDIA driver answers: {error}"
            return
        try:
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(self._uuid)
        except pynvml.NVMLError as error:
            self._refusal = f"NVML does not know the device {self._uuid}: {error}"
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _ask(self, name: str) -> Any:
        if self._handle is None or self._nvml is None:
            return None
        try:
            ask: Callable[[Any], Any] = getattr(self._nvml, name)
            return ask(self._handle)
        except self._nvml.NVMLError:
            return None

    def _counter(self) -> float | None:
        """Joules so far."""
        if self._uuid.startswith("MIG-"):
            return None
        total = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if total is None else total / 1000.0

    def _watch(self) -> None:
        while not self._stopped.wait(self._sample_s):
            self._sample()

    def _sample(self) -> None:
        for process in self._ask("nvmlDeviceGetComputeRunningProcesses") or ():
            self._pids.add(process.pid)
            if process.pid == os.getpid() and process.usedGpuMemory:
                self._own_peak = max(self._own_peak or 0, process.usedGpuMemory)
        memory = self._ask("nvmlDeviceGetMemoryInfo")
        if memory is not None:
            self._device_peak = max(self._device_peak or 0, memory.used)
        if self._counted is None:
            milliwatts = self._ask("nvmlDeviceGetPowerUsage")
            if milliwatts is not None:
                self._power.append((time.monotonic(), milliwatts / 1000.0))

    def _energy(self) -> tuple[float | None, str]:
        if self._counted is not None:
            now = self._counter()
            # a driver that was loaded anew counts from 0
            return (None if now is None or now < self._counted else now - self._counted), COUNTER
        if len(self._power) < 2:
            return None, SAMPLES
        pairs = zip(self._power, self._power[1:])
        return sum((t1 - t0) * (p0 + p1) / 2.0 for (t0, p0), (t1, p1) in pairs), SAMPLES

    def _was_alone(self) -> bool | None:
        """By how many were seen; in a container their ids may be the host's, unlike our own."""
        if self._pids:
            return len(self._pids) == 1
        return True if self._is_reserved else None

    def _why_none(self, alone: bool | None, energy: float | None) -> str:
        if self._uuid.startswith("MIG-"):
            return "a MIG slice: NVML tells the energy of whole GPUs only"
        if alone is False:
            return f"shared: {len(self._pids)} processes computed on this GPU meanwhile"
        if alone is None:
            return "the driver doesn't tell who computed there, and the GPU was not reserved whole"
        if energy is None:
            return "this GPU or its driver tells neither its energy nor its power"
        return ""
