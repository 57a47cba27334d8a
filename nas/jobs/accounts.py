"""What a job cost, in hours of what its trials held, and what it lost and saved."""

from __future__ import annotations

from dataclasses import dataclass

from nas.jobs.budget import MEASURED, WALL, cut_off_seconds
from nas.store import JobRow
from nas.store.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Hours of CPUs and GPUs that trials held; what was lost, and what the store saved.

    Args:
        lost_hours: Of workers, in attempts that failed or that their driver's end cut off. A
            trial that went on from a checkpoint lost less.
        saved_hours: What evaluations had taken that were found in the store.
        energy_kwh: Of the trials that were alone on their GPU; None where none was measured.
        wall_hours: Time in which a driver worked on the job.
    """

    cpu_hours: float
    gpu_hours: float
    lost_hours: float
    saved_hours: float
    retries: int
    energy_kwh: float | None
    wall_hours: float


def accounts_of(job: JobRow, usage: Usage) -> Accounts:
    """Add up attempts, and what the driver noted of those that it could not end."""
    execution = {**job.spec.get("execution", {}), **job.attributes.get(MEASURED, {})}
    cut_off = cut_off_seconds(job.attributes)
    # rows from before reservations were kept, and what no attempt tells of
    unknown = usage.unknown_seconds + cut_off
    cpus = float(execution.get("cpus_per_trial", 1.0))
    gpus = float(execution.get("gpus_per_trial", 0.0))
    return Accounts(
        cpu_hours=(usage.cpu_seconds + unknown * cpus) / 3600.0,
        gpu_hours=(usage.gpu_seconds + unknown * gpus) / 3600.0,
        lost_hours=(usage.failed_seconds + cut_off) / 3600.0,
        saved_hours=usage.saved_seconds / 3600.0,
        retries=usage.retries,
        energy_kwh=None if usage.energy_j is None else usage.energy_j / 3.6e6,
        wall_hours=float(job.attributes.get(WALL, 0.0)) / 3600.0,
    )
