"""Commands about models: pareto, models, show, plot, train, export, predict."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.options import (
    DEFAULT_STORE,
    JobName,
    Json,
    StoreUrl,
    artifact_location,
    job_settings,
    open_store,
)
from nas.cli.output import console, duration, errors, percent, print_json, print_table, quantity
from nas.errors import InvalidRequestError

if TYPE_CHECKING:
    from nas.quantity import Bound
    from nas.store import JobRow, Store
    from search_spaces.architecture import Architecture

ModelName = Annotated[
    str, typer.Argument(help="JOB/12, a fingerprint, efficientnet_b0, a file.json, or a job.")
]
ORIGINS = {
    "search": ("search", "known"),
    "family": ("family",),
    "both": ("search", "known", "family"),
}
"""Trials that a front is asked of, by their origin."""
Where = Annotated[
    list[str] | None, typer.Option("--where", help="A bound, as 'macs <= 3M'; may be repeated.")
]

WAYS = {"runtime": str, "precision": str, "batch_size": int, "threads": int}
Measured = Annotated[
    list[str] | None,
    typer.Option("--measured", help="How, where that differs, as precision=fp16; may be repeated."),
]


def register(app: typer.Typer) -> None:
    app.command()(pareto)
    app.command(name="models")(list_models)
    app.command()(show)
    app.command()(plot)
    app.command()(train)
    app.command()(export)
    app.command()(predict)


def pareto(
    job: JobName = None,
    x: Annotated[
        str | None, typer.Option(help="Metric, usually a cost; default: by the job's objectives.")
    ] = None,
    y: Annotated[
        str | None, typer.Option(help="Metric, such as val_accuracy or test_accuracy.")
    ] = None,
    where: Where = None,
    measured: Measured = None,
    of: Annotated[str, typer.Option(help="search, family, or both.")] = "search",
    ties: Annotated[
        bool, typer.Option("--ties", help="Show dominated models within the errors.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """The Pareto front of a job's search, of its family, or of both where they compare."""
    from nas.cli.report import front_title, print_models
    from nas.jobs.front import front_axes, job_front

    if of not in ORIGINS:
        raise InvalidRequestError(f"`--of` must be one of {', '.join(ORIGINS)}, but got {of!r}.")
    opened = open_store(store)
    row = opened.find_job(job)
    names, _ = front_axes(row)
    axes = None if x is None and y is None else (x or names[0], y or names[-1])
    bounds = _bounds(row, where)
    origins, mixed = ORIGINS[of], of == "both"
    way = _way(measured)
    rows = job_front(opened, row, axes, bounds, ties=ties, origins=origins, mixed=mixed, way=way)
    if as_json:
        print_json([asdict(model) for model in rows])
        return
    if not rows:
        console.print(
            f"Job {row.name} ({row.id}) has no completed trial yet. See: nas status {row.id}"
        )
        return
    title = front_title(row) if axes is None else f"{axes[1]} against {axes[0]}"
    whose = "" if of == "search" else f" ({of})"
    if len({model.recipe for model in rows}) > 1:
        errors.print("These networks were trained by different recipes: the longer has it easier.")
    print_models(
        opened, row, rows, f"Pareto front of {row.name} ({row.id}){whose}, {title}", axes or ()
    )


def list_models(
    job: JobName = None,
    sort: Annotated[
        str | None, typer.Option(help="Metric; the best come first. Default: the job's first.")
    ] = None,
    where: Where = None,
    measured: Measured = None,
    limit: Annotated[int, typer.Option(min=1)] = 20,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """A job's evaluated models, the best first."""
    from nas.cli.report import print_models
    from nas.jobs.front import job_models

    opened = open_store(store)
    row = opened.find_job(job)
    rows = job_models(opened, row, sort, _bounds(row, where), limit, _way(measured))
    if as_json:
        print_json([asdict(model) for model in rows])
        return
    by = f"the best {sort} first" if sort else "the best first"
    title = f"Models of {row.name} ({row.id}), {by}"
    print_models(opened, row, rows, title, () if sort is None else (sort,))


def show(
    name: ModelName,
    as_timm: Annotated[
        bool, typer.Option("--timm", help="As timm's arch_def and arguments, in JSON.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """A network: its blocks stage by stage, costs, and what was measured."""
    from nas.cli.shown import print_blocks, show_choices
    from nas.jobs.naming import find_architecture, find_trial
    from nas.store import Filter

    if "/" in name and not name.endswith(".json"):
        trial = find_trial(name, store)
        if trial.architecture is None:
            show_choices(open_store(store), name, trial, as_json)
            return
    architecture = find_architecture(name, store)
    if as_timm:
        from nas.models.timm_strings import to_timm

        print_json(asdict(to_timm(architecture)))
        return
    rows = []
    if _store_exists(store):
        rows = open_store(store).models(Filter(architecture=architecture.fingerprint))
    if as_json:
        document: dict[str, Any] = {"fingerprint": architecture.fingerprint}
        document["architecture"] = architecture.to_dict()
        document["evaluations"] = [asdict(row) for row in rows]
        print_json(document)
        return
    print_blocks(name, architecture)
    if rows:
        print_table(
            ("val accuracy", "test accuracy", "epochs", "seed", "data", "recipe", "time"),
            [
                (
                    percent(r.val_accuracy, r.val_accuracy_se),
                    percent(r.test_accuracy, r.test_accuracy_se),
                    f"{r.fidelity:g}",
                    r.seed,
                    r.dataset[:8],
                    r.recipe[:8],
                    duration(r.seconds),
                )
                for r in rows
            ],
            title="\nEvaluations",
        )


def plot(
    kind: Annotated[str, typer.Argument(help="front, family or progress.")] = "front",
    job: Annotated[
        str | None, typer.Option("--job", help="Job id or name; the latest if left out.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A .png, .svg or .html file.")
    ] = Path("front.png"),
    x: Annotated[
        str | None,
        typer.Option(help="Metric on the horizontal axis; default: the job's own, or MACs."),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Draw the front, the family or the progress of a job."""
    from nas.jobs.pictures import KINDS, job_figure
    from nas.jobs.summary import summarise
    from nas.plots import write_plot

    if kind not in KINDS:
        raise InvalidRequestError(f"A plot must be one of {', '.join(KINDS)}, but got {kind!r}.")
    opened = open_store(store)
    summary = summarise(opened, opened.find_job(job))
    if kind == "family" and summary.family is None:
        raise InvalidRequestError(
            f"Job {summary.job.name} has no family yet. Make one: nas scale {summary.job.id}"
        )
    write_plot(output, job_figure(opened, summary, kind, x))
    console.print(str(output))


def train(
    name: ModelName,
    job: Annotated[str | None, typer.Option("--job", help="Train as this job does.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Train as this job file says.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, a .npz file or a folder of images.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Train on so many GPUs, or CPUs, at once; batches are shared."),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Train one network by the full recipe, and measure it."""
    from nas.cli.live import LiveReporter
    from nas.jobs.naming import find_architecture
    from nas.jobs.spec import JobSpec
    from nas.jobs.train import train_one

    spec = job_settings(job, file, data, epochs, store) or JobSpec(name="train")
    if workers is not None:
        together = spec.execution.model_copy(
            update={"workers_together": workers, "executor": "ray"}
        )
        spec = spec.model_copy(update={"execution": together})
    architecture = find_architecture(name, store)
    opened = open_store(store, create=True)
    with LiveReporter() as reporter:
        row = train_one(opened, spec, artifact_location(store), architecture, seed, reporter)
    if as_json:
        print_json(asdict(row))
        return
    console.print(
        f"{name}: validation {percent(row.val_accuracy, row.val_accuracy_se)}, "
        f"test {percent(row.test_accuracy, row.test_accuracy_se)}, "
        f"{row.fidelity:g} epochs in {duration(row.seconds)}, {quantity(row.macs)} MACs"
    )


def export(
    name: ModelName,
    format: Annotated[
        str, typer.Option("--format", help="safetensors, torch or onnx; or several, by commas.")
    ] = "onnx",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path(),
    job: Annotated[
        str | None, typer.Option("--job", help="Whose data and recipe; the latest if left out.")
    ] = None,
    no_train: Annotated[
        bool, typer.Option("--no-train", help="Refuse where there are no weights.")
    ] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Write a trained model in a deployable format, verified against the network itself."""
    from nas.cli.live import LiveReporter
    from nas.export import get_format
    from nas.jobs.deliver import deliver
    from nas.jobs.start import take_up_job

    formats = [part.strip() for part in format.split(",")]
    for part in formats:
        get_format(part)
    opened = open_store(store)
    row, architecture = _to_export(opened, name, job)
    with LiveReporter(quiet=as_json) as reporter:
        deliveries = deliver(
            opened,
            row,
            take_up_job(opened, row).networks,
            architecture,
            formats,
            output,
            reporter,
            train=not no_train,
        )
    if as_json:
        print_json(
            [
                {**asdict(d.exported), "format": d.format, "evaluation": d.evaluation.key}
                for d in deliveries
            ]
        )
        return
    for delivery in deliveries:
        exported = delivery.exported
        console.print(
            f"{exported.path}  {exported.size_bytes:,} bytes  sha256 {exported.sha256[:16]}\n"
            f"  verified on {exported.images} real images: largest relative difference "
            f"{exported.largest_relative_difference:.1e}; test accuracy "
            f"{percent(delivery.evaluation.test_accuracy, delivery.evaluation.test_accuracy_se)}"
        )


def predict(
    file: Annotated[Path, typer.Argument(help="An exported file.")],
    images: Annotated[list[Path], typer.Argument(help="Images.")],
    as_json: Json = False,
) -> None:
    """Classify images with nothing but an exported file."""
    from nas.export import load_predictor

    predictions = load_predictor(file).predict(images)
    if as_json:
        print_json([asdict(prediction) for prediction in predictions])
        return
    print_table(
        ("image", "class", "probability"),
        [(str(p.path), p.class_name, percent(p.probability)) for p in predictions],
    )


def _bounds(job: JobRow, where: list[str] | None) -> list[Bound]:
    if not where:
        return []  # without numpy, which the costs' names would bring
    from nas.cost import COST_METRICS
    from nas.quantity import parse_bound

    own = [str(objective["metric"]) for objective in job.objectives]
    metrics = {*COST_METRICS, "val_accuracy", "test_accuracy", "seconds", *own}
    # latency_ms@DEVICE is a measurement; the store says whether there is such a device
    named = [text.partition("<")[0].partition(">")[0].strip() for text in where]
    metrics |= {name for name in named if "@" in name}
    return [parse_bound(text, metrics) for text in where]


def _way(texts: list[str] | None) -> dict[str, str | int]:
    """How metrics were measured, as `precision=fp16` says it."""
    found: dict[str, str | int] = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        if not value or name not in WAYS or (WAYS[name] is int and not value.isdecimal()):
            raise InvalidRequestError(
                f"`--measured` must be NAME=VALUE with one of {', '.join(WAYS)}, but got "
                f"{text!r:.80}."
            )
        found[name] = WAYS[name](value)
    return found


def _store_exists(url: str) -> bool:
    path = url.removeprefix("sqlite:///")
    return not url.startswith("sqlite:///") or Path(path).exists()


def _to_export(store: Store, name: str, job: str | None) -> tuple[JobRow, Architecture]:
    from nas.jobs.deliver import network_to_export

    row, architecture = network_to_export(store, name, job)
    if name in (row.name, row.id):
        member = architecture.fingerprint[:12]
        errors.print(f"{name}: the family member that is best on validation, {member}")
    return row, architecture
