"""What a training used of its GPU, as measurements in the store, and what each attempt used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.search.candidates import Finished
from nas.store import EvaluationRow, MeasurementRow, Store
from nas.store.rows import DeviceRow


def measured_on_gpu(store: Store, finished: Finished | None) -> tuple[MeasurementRow, ...]:
    """Energy, mean power and peak memory of an evaluation that was computed just now, on a GPU.

    Energy and power are None, with the reason, where the GPU was shared, where NVML tells
    neither, or where earlier epochs were trained in another attempt.
    """
    evaluation = finished.evaluation if finished and not finished.reused else None
    used = evaluation.details.get("gpu") if evaluation else None
    if evaluation is None or used is None:
        return ()
    store.save_device(DeviceRow(id=used["uuid"], kind="gpu", name=used["name"]))
    reason = str(used["reason"]) or _why_partial(evaluation)
    details = {"source": used["source"], "seconds": used["seconds"]}
    if reason and used["energy_j"] is not None:
        details["energy_j_of_the_last_attempt"] = used["energy_j"]

    def row(metric: str, unit: str, value: Any, why: str) -> MeasurementRow:
        return MeasurementRow(
            metric=metric,
            value=None if why else value,
            unit=unit,
            evaluation=evaluation.key,
            device=used["uuid"],
            runtime="torch",
            reason=why,
            details=details,
        )

    memory = used["peak_memory_bytes"]
    unseen = "" if memory is not None else "the driver doesn't tell this process's memory"
    return (
        row("energy_j", "J", used["energy_j"], reason),
        row("mean_power_w", "W", used["mean_power_w"], str(used["reason"])),
        row("gpu_memory_bytes", "B", memory, unseen),
    )


def energy_of_attempt(
    details: Mapping[str, Any], gpus: float | None, lost: bool = False
) -> tuple[float | None, str | None]:
    """Joules that an attempt used of its GPU, or None and why, by what it said of itself.

    Args:
        gpus: What it held of them.
        lost: It ended with its worker, and what it said last is not of its end.
    """
    used = [details[name] for name in ("gpu_among_others", "gpu") if details.get(name)]
    if not used:
        return None, "it ended before it told what it used" if gpus else None
    for one in used:
        if one["energy_j"] is None:
            return None, str(one["reason"])
    return sum(one["energy_j"] for one in used), "until its last report" if lost else None


def _why_partial(evaluation: EvaluationRow) -> str:
    details: Mapping[str, Any] = evaluation.details
    here = details.get("epochs_here")
    if here is None or here >= evaluation.fidelity:
        return ""
    return f"went on from a checkpoint: {here} of {evaluation.fidelity:g} epochs were metered"
