"""A stand-in for NVML's functions, at the boundary of `pynvml`.

Its values are made up: no GPU was lent while it was written, so no real recording could be
taken. The calls, their units (millijoules, milliwatts, bytes) and their errors are NVML's.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest


def refuse(code: int) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise pynvml.NVMLError(code)

    return function


class StandIn:
    """NVML of a machine with these GPUs; their values are made up, the calls are NVML's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.gpus: list[dict[str, Any]] = []
        self.is_shut_down = False
        for name in (
            "nvmlInit",
            "nvmlShutdown",
            "nvmlSystemGetDriverVersion",
            "nvmlDeviceGetCount",
            "nvmlDeviceGetHandleByIndex",
            "nvmlDeviceGetName",
            "nvmlDeviceGetUUID",
            "nvmlDeviceGetMemoryInfo",
            "nvmlDeviceGetUtilizationRates",
            "nvmlDeviceGetMigMode",
            "nvmlDeviceGetMaxMigDeviceCount",
            "nvmlDeviceGetMigDeviceHandleByIndex",
            "nvmlDeviceGetHandleByUUID",
            "nvmlDeviceGetTotalEnergyConsumption",
            "nvmlDeviceGetPowerUsage",
            "nvmlDeviceGetComputeRunningProcesses",
        ):
            patch.setattr(pynvml, name, getattr(self, name))

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        self.is_shut_down = True

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.124.06"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self._read(self.gpus[index], "handle", self.gpus[index])

    def nvmlDeviceGetName(self, gpu: dict[str, Any]) -> Any:
        return self._read(gpu, "name")

    def nvmlDeviceGetUUID(self, gpu: dict[str, Any]) -> Any:
        return self._read(gpu, "uuid")

    def nvmlDeviceGetMemoryInfo(self, gpu: dict[str, Any]) -> Any:
        total, free = self._read(gpu, "memory")
        return SimpleNamespace(total=total, free=free, used=total - free)

    def nvmlDeviceGetUtilizationRates(self, gpu: dict[str, Any]) -> Any:
        return SimpleNamespace(gpu=self._read(gpu, "utilisation"), memory=0)

    def nvmlDeviceGetMigMode(self, gpu: dict[str, Any]) -> Any:
        return self._read(gpu, "mig mode")

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: dict[str, Any]) -> int:
        return len(gpu["slices"])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: dict[str, Any], index: int) -> Any:
        found = gpu["slices"][index]
        if found is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return found

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> dict[str, Any]:
        for gpu in self.gpus:
            for device in (gpu, *filter(None, gpu.get("slices", ()))):
                if device["uuid"] == uuid:
                    return device
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: dict[str, Any]) -> int:
        """Millijoules since the driver was loaded."""
        return self._next(gpu, "energy")

    def nvmlDeviceGetPowerUsage(self, gpu: dict[str, Any]) -> int:
        """Milliwatts."""
        return self._next(gpu, "power")

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: dict[str, Any]) -> list[Any]:
        found = self._next(gpu, "processes")
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in found.items()]

    def _next(self, gpu: dict[str, Any], name: str) -> Any:
        """What a list says next; its last value from then on."""
        values = self._read(gpu, name)
        if not isinstance(values, list):
            return values
        return values.pop(0) if len(values) > 1 else values[0]

    @staticmethod
    def _read(gpu: dict[str, Any], name: str, default: Any = None) -> Any:
        value = gpu.get(name, default)
        if isinstance(value, pynvml.NVMLError):
            raise value
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value
