"""What a family will cost, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.output import console, duration, errors, print_json, print_table, quantity

if TYPE_CHECKING:
    from nas.jobs.spec import JobSpec, ScalingSpec
    from nas.scaling import Member, PreviewRow
    from search_spaces.architecture import Architecture


def show_preview(
    spec: JobSpec,
    network: Architecture,
    output: Path | None,
    as_json: bool,
    *,
    measured: bool,
    images: int | None,
) -> None:
    """Print every member's costs; with data, also how long training it takes on this machine."""
    from nas.jobs.compare import comparison_entries
    from nas.jobs.members import fixed_rule, make_latency_model, wanted_members
    from nas.scaling import preview

    assert spec.scaling is not None
    scaling = spec.scaling
    latency_model = make_latency_model(scaling)
    if scaling.compare is not None:
        entries = comparison_entries(network, scaling, scaling.compare, latency_model)
        found = [(entry.rule, entry.member) for entry in entries if entry.member is not None]
        for entry in entries:
            if entry.member is None:
                errors.print(f"left out: {entry.reason}")
    else:
        members = wanted_members(network, fixed_rule(scaling), scaling, latency_model)
        _say_coefficients(scaling)
        found = [(member.rule, member) for member in members]
    recipe, throughput = spec.full_recipe, None
    if measured and spec.evaluator.name == "training":
        from nas.training.throughput import measure_throughput

        device = spec.execution.device
        throughput = measure_throughput(
            network, recipe.batch_size, None if device == "auto" else device
        )
        errors.print(f"measured: {throughput.images_per_second:,.0f} images a second in training")
    rows = preview(
        [member for _, member in found],
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        images=images,
        throughput=throughput,
    )
    paths = _write_networks(found, output)
    if as_json:
        print_json([_document(rule, m, row) for (rule, m), row in zip(found, rows)])
        return
    _print_preview(found, rows)
    for path in paths:
        console.print(str(path))


def _say_coefficients(scaling: ScalingSpec) -> None:
    if scaling.rule == "compound" and scaling.coefficients == "search":
        errors.print(
            "coefficients: the paper's (1.2, 1.1, 1.15) stand in; a search needs training."
        )


def _print_preview(found: Sequence[tuple[str, Member]], rows: Sequence[PreviewRow]) -> None:
    timed = any(row.training_seconds is not None for row in rows)
    with_latency = any(member.latency_ms is not None for _, member in found)
    columns = ["member", "rule", "depth", "width", "px", "MACs", "under target", "parameters"]
    columns += ["latency"] * with_latency + ["memory", "training memory"]
    columns += ["training time", "device-hours"] * timed
    cells = []
    for (rule, m), row in zip(found, rows):
        line: list[Any] = [m.label, rule, m.coefficients.depth, m.coefficients.width]
        line += [row.resolution, quantity(m.costs.macs)]
        line += ["-" if m.gap is None else f"{m.gap:.2%}", quantity(m.costs.parameters)]
        if with_latency:
            line.append("-" if m.latency_ms is None else f"{m.latency_ms:.2f} ms")
        line += [_mib(m.costs.memory_bytes), _mib(row.training_memory_bytes)]
        if timed:
            line += [duration(row.training_seconds), row.gpu_hours]
        cells.append(line)
    print_table(columns, cells)
    for _, m in found:
        if m.note:
            console.print(f"{m.label}: {m.note}")


def _document(rule: str, member: Member, row: PreviewRow) -> dict[str, Any]:
    return {
        "member": member.label,
        "rule": rule,
        "phi": member.phi,
        "coefficients": asdict(member.coefficients),
        "resolution": row.resolution,
        "costs": asdict(row.costs),
        "latency_ms": member.latency_ms,
        "gap": member.gap,
        "adjusted": list(member.adjusted),
        "note": member.note,
        "training_memory_bytes": row.training_memory_bytes,
        "training_seconds": row.training_seconds,
        "gpu_hours": row.gpu_hours,
        "fingerprint": member.architecture.fingerprint,
        "architecture": member.architecture.to_dict(),
    }


def _write_networks(found: Sequence[tuple[str, Member]], output: Path | None) -> list[Path]:
    """Each member as a file that every command takes as a network's name."""
    if output is None:
        return []
    output.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (rule, member) in enumerate(found):
        path = output / f"{number:02d}-{rule.replace('=', '-').replace(',', '-')}.json"
        path.write_text(member.architecture.to_json() + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _mib(value: float) -> str:
    return f"{value / 2**20:,.1f} MiB"
