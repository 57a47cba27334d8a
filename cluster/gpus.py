"""The GPUs of this machine as NVML sees them; without GPU or driver it says so and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MigSlice:
    """One slice of a GPU that is split by MIG."""

    name: str
    uuid: str
    memory_bytes: int | None
    free_memory_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; what its driver doesn't tell is None.

    Args:
        utilisation_percent: Share of the last moments in which a kernel ran.
        mig_slices: Empty if the GPU isn't split.
    """

    index: int
    name: str
    uuid: str | None
    memory_bytes: int | None
    free_memory_bytes: int | None
    utilisation_percent: int | None
    mig_slices: tuple[MigSlice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReport:
    """What there is, or why there is nothing.

    Args:
        driver: Version of NVIDIA's driver.
        reason: Why `gpus` is empty; None if it isn't.
    """

    driver: str | None = None
    gpus: tuple[Gpu, ...] = ()
    reason: str | None = None


def inventory() -> GpuReport:
    """Look at every GPU of this machine; never raises for want of one.

    Source: NVML, through nvidia-ml-py.
    """
    try:
        import pynvml
    except ImportError:
        return GpuReport(reason="nvidia-ml-py isn't installed: pip install nvidia-ml-py")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return GpuReport(reason=f"no NVIDIA driver answers: {error}")
    try:
        driver = _ask(pynvml.nvmlSystemGetDriverVersion)
        gpus = tuple(_describe(index) for index in range(_ask(pynvml.nvmlDeviceGetCount) or 0))
    finally:
        pynvml.nvmlShutdown()
    return GpuReport(
        driver=driver, gpus=gpus, reason=None if gpus else "the NVIDIA driver sees no GPU"
    )


def _describe(index: int) -> Gpu:
    import pynvml

    try:
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
    except pynvml.NVMLError as error:  # one lost GPU doesn't hide the others
        return Gpu(
            index=index,
            name=f"unreadable: {error}",
            uuid=None,
            memory_bytes=None,
            free_memory_bytes=None,
            utilisation_percent=None,
        )
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, gpu)
    utilisation = _ask(pynvml.nvmlDeviceGetUtilizationRates, gpu)
    return Gpu(
        index=index,
        name=_ask(pynvml.nvmlDeviceGetName, gpu) or "unnamed",
        uuid=_ask(pynvml.nvmlDeviceGetUUID, gpu),
        memory_bytes=memory.total if memory else None,
        free_memory_bytes=memory.free if memory else None,
        utilisation_percent=utilisation.gpu if utilisation else None,
        mig_slices=_describe_slices(gpu),
    )


def _describe_slices(gpu: Any) -> tuple[MigSlice, ...]:
    import pynvml

    mode = _ask(pynvml.nvmlDeviceGetMigMode, gpu)
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return ()
    places = range(_ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, gpu) or 0)
    handles = [_ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, gpu, place) for place in places]
    slices = []
    for handle in handles:
        if handle is None:  # NVML counts the places, not the slices
            continue
        memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
        slices.append(
            MigSlice(
                name=_ask(pynvml.nvmlDeviceGetName, handle) or "unnamed",
                uuid=_ask(pynvml.nvmlDeviceGetUUID, handle) or "",
                memory_bytes=memory.total if memory else None,
                free_memory_bytes=memory.free if memory else None,
            )
        )
    return tuple(slices)


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or None where this GPU or driver has none (split GPUs, laptops, WSL)."""
    import pynvml

    try:
        answer = function(*arguments)
    except pynvml.NVMLError:
        return None
    return answer.decode() if isinstance(answer, bytes) else answer  # bytes before release 11.5
