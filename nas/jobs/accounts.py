"""What a job cost, in hours of processors, by what its trials reserve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.store import JobRow
from nas.store.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Hours of CPUs and GPUs that trials held; what failed, and what the store saved."""

    cpu_hours: float
    gpu_hours: float
    failed_hours: float
    saved_hours: float
    retries: int


def accounts_of(job: JobRow, usage: Usage) -> Accounts:
    """Seconds of workers to hours of what each held by the job file."""
    execution: Mapping[str, float] = job.spec.get("execution", {})
    hours = usage.seconds / 3600.0
    return Accounts(
        cpu_hours=hours * float(execution.get("cpus_per_trial", 1.0)),
        gpu_hours=hours * float(execution.get("gpus_per_trial", 0.0)),
        failed_hours=usage.failed_seconds / 3600.0,
        saved_hours=usage.saved_seconds / 3600.0,
        retries=usage.retries,
    )
