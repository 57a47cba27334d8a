"""nas scale: a family of any network, for any target, before or after training it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.jobs import drive
from nas.cli.options import (
    DEFAULT_STORE,
    Json,
    StoreUrl,
    artifact_location,
    job_settings,
    open_store,
)
from nas.cli.output import errors
from nas.cli.preview import show_preview
from nas.errors import InvalidRequestError

if TYPE_CHECKING:
    from nas.jobs.spec import JobSpec
    from nas.store import JobRow

COMPARED = "compound,width,depth,resolution"


def register(app: typer.Typer) -> None:
    app.command()(scale)


def scale(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A job (its front holds the baseline), or a network: efficientnet_b0, JOB/12, a "
            "fingerprint, a file.json. The latest job if left out."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="As 'macs<=1.2G', 'latency_ms<=20', 2x; a list '2x,4x' makes a member each; "
            "repeated, targets hold together."
        ),
    ] = None,
    phi: Annotated[str | None, typer.Option(help="As 0,1,2 or 0..4.")] = None,
    rule: Annotated[
        str | None, typer.Option(help="compound, width, ...; several by commas with --compare.")
    ] = None,
    coefficients: Annotated[
        str | None, typer.Option(help="Of compound: search, paper, or alpha,beta,gamma.")
    ] = None,
    grid_cost: Annotated[
        str | None, typer.Option(help="What the search of coefficients doubles: macs, ...")
    ] = None,
    depth: Annotated[str | None, typer.Option(help="Factors, as 0.5,1; instead of phi.")] = None,
    width: Annotated[str | None, typer.Option(help="Factors, as 0.5,0.75,1.")] = None,
    resolution: Annotated[str | None, typer.Option(help="Pixels or factors, as 160,224.")] = None,
    factors: Annotated[
        list[str] | None, typer.Option(help="One member, as 'depth=1.4,width=1.2,resolution=291'.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="From a job's front: best-reward, knee, nearest:400M, trial:12, family."),
    ] = None,
    latency: Annotated[
        str | None, typer.Option(help="Table of block latencies, as FILE.csv:COLUMN.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only what it would cost; nothing is trained.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Rules against each other at equal cost.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings a network, with --compare.")] = 3,
    job: Annotated[str | None, typer.Option("--job", help="Train as this job does.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Train as this job file says.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="digits, a .npz file or a folder.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    executor: Annotated[str | None, typer.Option(help="ray or inline.")] = None,
    workers: Annotated[int | None, typer.Option(help="Trainings side by side.")] = None,
    store: StoreUrl = DEFAULT_STORE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder.")] = None,
    as_json: Json = False,
) -> None:
    """Scale a baseline to any target or by any rule; tells what it costs, then trains it."""
    grids = {"depth": depth, "width": width, "resolution": resolution}
    changes: dict[str, Any] = {
        "targets": target,
        "phi": None if phi is None else _phis(phi),
        "coefficients": None if coefficients is None else _coefficients(coefficients),
        "grid": None if grid_cost is None else {"cost": grid_cost},
        "factors": [*(factors or ()), *_factor_texts(grids)] or None,
        "baseline": baseline,
        "latency": None if latency is None else _latency(latency),
    }
    if compare:
        changes["compare"] = {"rules": (rule or COMPARED).split(","), "seeds": seeds}
    else:
        changes["rule"] = rule
    changes = {key: value for key, value in changes.items() if value is not None}
    settings = job_settings(job, file, data, epochs, store, executor, workers)
    row = None if settings is not None and name is None else _job(name, store)
    if row is not None and settings is not None:
        raise InvalidRequestError(
            f"{name} is a job with data and recipes of its own; leave --file, --job, --data and "
            f"--epochs out, or name a network of it, such as {row.id}/0."
        )
    if row is not None:
        from nas.jobs.start import job_spec

        place = {"executor": executor, "workers": workers}
        execution = {key: value for key, value in place.items() if value is not None}
        spec = _changed(job_spec(row), changes, execution=execution)
        _scale_job(row, spec, store, output, as_json, dry_run)
        return
    if name is None:
        raise InvalidRequestError("`nas scale` needs a baseline: a job, or a network's name.")
    network = str(Path(name).absolute()) if name.endswith(".json") else name
    spec = _changed(settings, {"baseline": network, **changes}, fresh=True)
    if settings is None or dry_run:
        _preview(spec, network, store, output, as_json, measured=settings is not None)
        return
    from nas.jobs.start import start_job

    opened = open_store(store, create=True)
    started = start_job(opened, spec, artifact_location(store), kind="scale")
    drive(opened, started, output, as_json, ("scale",), store)


def _job(name: str | None, store: str) -> JobRow | None:
    """The job that a name means; None for a network's."""
    try:
        return open_store(store).find_job(name)
    except InvalidRequestError:
        if name is None:
            raise
        return None


def _scale_job(
    row: JobRow, spec: JobSpec, store: str, output: Path | None, as_json: bool, dry: bool
) -> None:
    from nas.jobs.start import change_scaling, check_scaling, take_up_job

    opened = open_store(store)
    started = take_up_job(opened, row, spec)
    assert spec.scaling is not None
    check_scaling(started.networks, opened, spec.scaling)
    if dry:
        from nas.jobs.scale import preview_baseline

        network = preview_baseline(opened, row, started.networks, spec.scaling)
        show_preview(
            spec, network, output, as_json, measured=True, images=len(started.networks.data.train)
        )
        return
    change_scaling(opened, row, spec)
    drive(opened, started, output, as_json, ("scale",), store)


def _changed(
    spec: JobSpec | None,
    changes: dict[str, Any],
    *,
    fresh: bool = False,
    execution: dict[str, Any] | None = None,
) -> JobSpec:
    """A job's specification with other scaling; members asked for replace those it had."""
    from nas.jobs.spec import JobSpec, job_from_dict

    spec = spec or JobSpec(name="scale")
    document = spec.model_dump(mode="json", exclude_defaults=True)
    scaling = (
        {} if spec.scaling is None else spec.scaling.model_dump(mode="json", exclude_defaults=True)
    )
    scaling.pop("compare", None)
    if {"targets", "factors", "phi"} & set(changes):
        for key in ("targets", "factors", "phi"):
            scaling.pop(key, None)
    if fresh:  # a network alone: no search is asked for
        document.pop("search", None)
    document["scaling"] = {**scaling, **changes}
    document["execution"] = {**document.get("execution", {}), **(execution or {})}
    return job_from_dict(document, "The flags")


def _preview(
    spec: JobSpec, name: str, store: str, output: Path | None, as_json: bool, measured: bool
) -> None:
    from nas.jobs.naming import find_architecture

    network, images = find_architecture(name, store), None
    if measured:
        from nas.jobs.members import named_baseline
        from nas.jobs.start import network_plan

        plan = network_plan(spec, artifact_location(store))
        network = named_baseline(store, plan, name)
        images = len(plan.data.train)
    show_preview(spec, network, output, as_json, measured=measured, images=images)
    if not measured and not as_json:
        errors.print(
            "Nothing is trained without data: give --data, --file JOB.yaml or --job for that."
        )


def _factor_texts(grids: dict[str, str | None]) -> list[str]:
    """Every combination of the lists that were given, as the job file says them."""
    axes = [[f"{key}={v.strip()}" for v in text.split(",")] for key, text in grids.items() if text]
    return [",".join(chosen) for chosen in itertools.product(*axes)] if axes else []


def _phis(text: str) -> list[float]:
    from nas.scaling import parse_phis

    return list(parse_phis(text))


def _latency(text: str) -> dict[str, str]:
    table, _, column = text.rpartition(":")
    if not table or not column:
        raise InvalidRequestError(f"`--latency` must be FILE.csv:COLUMN, but got {text!r}.")
    return {"table": str(Path(table).absolute()), "column": column}


def _coefficients(text: str) -> Any:
    if text in ("search", "paper"):
        return text
    parts = text.split(",")
    try:
        return dict(zip(("alpha", "beta", "gamma"), map(float, parts), strict=True))
    except ValueError:
        raise InvalidRequestError(
            f"`--coefficients` must be search, paper, or alpha,beta,gamma, but got {text!r}."
        ) from None
