"""What this machine offers to a process: cores and memory, as the container allows them."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Cores and memory that this process may use, and the Ray that is installed.

    Args:
        memory_bytes: What the container or machine has in all; None where it can't be told.
        free_memory_bytes: What could be had now without swapping; None likewise.
        ray_version: None if Ray isn't installed.
    """

    cores: int
    memory_bytes: int | None
    free_memory_bytes: int | None
    ray_version: str | None


def machine() -> Machine:
    """Look at this machine; nothing is started and nothing heavy imported.

    >>> machine().cores >= 1
    True
    """
    memory, free = _read_memory()
    limit, used = _read_memory_limit(CGROUP)
    if limit is not None and (memory is None or limit < memory):
        memory = limit
        free = min(limit - used, limit if free is None else free)
    try:
        ray_version = metadata.version("ray")
    except metadata.PackageNotFoundError:
        ray_version = None
    return Machine(
        cores=count_usable_cores(),
        memory_bytes=memory,
        free_memory_bytes=free,
        ray_version=ray_version,
    )


def count_usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores by this process's affinity and its container's CPU quota, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _read_cpu_quota(cgroup)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _read_cpu_quota(cgroup: Path) -> float | None:
    """Cores' worth of time, from cgroup v2's `cpu.max` or v1's `cpu.cfs_*`."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no cgroup, or "max": no limit
        return None


def _read_memory_limit(cgroup: Path) -> tuple[int | None, int]:
    """Limit and use in bytes, from cgroup v2 or v1."""
    for limit, use in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return int((cgroup / limit).read_text()), int((cgroup / use).read_text())
        except (OSError, ValueError):
            continue
    return None, 0


def _read_memory() -> tuple[int | None, int | None]:
    """Total and available bytes, from Linux's /proc/meminfo."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None, None
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
    return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
