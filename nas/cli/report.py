"""What a job found, as a person reads it at its end, and the files that are left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.options import DEFAULT_STORE
from nas.cli.output import console, duration, percent, print_json, print_table, quantity

if TYPE_CHECKING:
    from nas.jobs.compare import Compared
    from nas.jobs.summary import Summary
    from nas.store import JobRow, ModelRow, Store

USUAL = ("accuracy", "val_accuracy", "test_accuracy", "macs", "parameters")
"""Metrics that every list of networks shows."""


def finish(
    store: Store,
    store_url: str,
    job: JobRow,
    output: Path | None,
    as_json: bool,
) -> None:
    """Draw the pictures, export what the job asks for, and say what was found and where it is."""
    from nas.jobs.pictures import write_pictures
    from nas.jobs.start import job_spec
    from nas.jobs.summary import summarise

    summary = summarise(store, job)
    directory = output or Path(f"nas-{job.name}")
    pictures = write_pictures(store, summary, directory)
    spec = job_spec(job)
    exports = _export(store, summary, spec.export, directory) if spec.export else []
    if as_json:
        files = {"pictures": [str(p) for p in pictures], "exports": [str(p) for p in exports]}
        print_json({**summary.to_dict(), "files": files})
        return
    print_summary(store, summary)
    _print_files(directory, pictures, exports, store_url, summary)


def print_summary(store: Store, summary: Summary, state: str | None = None) -> None:
    """The front, the family, and the member chosen on validation."""
    from nas.jobs.front import is_over_table

    job = summary.job
    counts = ", ".join(f"{n} {name}" for name, n in sorted(summary.states.items()))
    trials = f": trials {counts}" if counts else ": no search trials" * (job.kind != "scale")
    console.print(f"\nJob {job.name} ({job.id}), {state or job.state}{trials}.")
    if job.message:
        console.print(f"Reason: {job.message}")
    what = "Rows looked up" if is_over_table(job) else "Networks trained"
    console.print(
        f"{what}: {summary.trained}; answered from the store: {summary.reused}; "
        f"time: {duration(summary.seconds)}."
    )
    used = summary.usage
    gpu = f", {used.gpu_hours:.3g} GPU-hours" if used.gpu_hours else ""
    retries = f"; {used.retries} retries" if used.retries else ""
    energy = "" if used.energy_kwh is None else f", {used.energy_kwh:.3g} kWh"
    lost = f"; {used.lost_hours:.3g} h lost to failures" if used.lost_hours else ""
    saved = f"; {used.saved_hours:.3g} h saved by the store" if used.saved_hours else ""
    console.print(f"Spent: {used.cpu_hours:.3g} CPU-hours{gpu}{energy}{retries}{lost}{saved}.")
    if summary.front:
        title = f"\nPareto front, {front_title(job)} (hypervolume {summary.hypervolume:.4g})"
        print_models(store, job, summary.front, title)
    if summary.family is not None:
        _print_family(summary)
    if summary.comparison:
        print_comparison(summary.comparison)


def front_title(job: JobRow) -> str:
    """What a job's front is of, as its axes."""
    from nas.jobs.front import front_axes

    words = {"val_accuracy": "validation accuracy", "macs": "MACs"}
    names, _ = front_axes(job)
    return " against ".join(words.get(name, name) for name in reversed(names))


def print_models(
    store: Store,
    job: JobRow,
    rows: Sequence[ModelRow],
    title: str,
    also: Sequence[str] = (),
) -> None:
    """Models, one a line: networks with the errors of their accuracies, or choices.

    Args:
        also: Metrics to show beside the job's objectives.
    """
    from nas.jobs.front import front_axes, is_over_table, value_of

    shown = list(dict.fromkeys((*reversed(front_axes(job)[0]), *also)))
    metrics = [name for name in shown if name not in USUAL]
    own = [tuple(f"{value_of(row, name):.6g}" for name in metrics) for row in rows]
    if is_over_table(job):
        choices = {trial.number: trial.choices for trial in store.trials(job.id)}
        print_table(
            ("trial", *shown, "choices"),
            [
                (
                    f"{row.job}/{row.trial}",
                    *(f"{value_of(row, name):.6g}" for name in shown),
                    shown_choices(choices.get(-1 if row.trial is None else row.trial, {})),
                )
                for row in rows
            ],
            title=title,
        )
        return
    print_table(
        (
            *("model", "val accuracy", "test accuracy", "MACs", "parameters"),
            *metrics,
            "fingerprint",
        ),
        [
            (
                "-" if row.trial is None else f"{row.job}/{row.trial}",
                percent(row.val_accuracy, row.val_accuracy_se),
                percent(row.test_accuracy, row.test_accuracy_se),
                quantity(row.macs),
                quantity(row.parameters),
                *values,
                (row.architecture or row.subject)[:12],
            )
            for row, values in zip(rows, own)
        ],
        title=title,
    )


def shown_choices(choices: Mapping[str, Any]) -> str:
    """Choices in one line.

    >>> shown_choices({"kernel": 3, "skip": "none"})
    'kernel=3 skip=none'
    """
    return " ".join(f"{name}={option}" for name, option in choices.items())


def _print_family(summary: Summary) -> None:
    family = summary.family
    assert family is not None
    how = family.details.get("baseline_rule", "")
    trial = family.details.get("baseline_trial")
    named = {"alpha": "depth", "beta": "width", "gamma": "resolution"}
    values = ", ".join(f"{n} {v:g} ({named.get(n, n)})" for n, v in family.coefficients.items())
    print_table(
        ("member", "px", "val accuracy", "test accuracy", "MACs", "parameters", "fingerprint"),
        [
            (
                member.name + (" *" if row is not None and row is summary.chosen else ""),
                member.resolution,
                percent(row.val_accuracy, row.val_accuracy_se) if row else "-",
                percent(row.test_accuracy, row.test_accuracy_se) if row else "-",
                quantity(member.macs),
                quantity(member.parameters),
                member.architecture[:12],
            )
            for member, row in zip(family.members, summary.members)
        ],
        title=f"\nFamily of {how if trial is None else f'trial {trial}'}, "
        f"rule {family.rule}{': ' if values else ''}{values}",
    )
    if summary.chosen is not None:
        console.print("* best on validation; its test accuracy was not used to choose it")


def print_comparison(compared: Sequence[Compared]) -> None:
    """Rules at equal cost: both kinds of error, of sampling and between seeds."""
    print_table(
        ("rule", "target", "depth", "width", "px", "MACs", "parameters", "val accuracy",
         "test accuracy", "sampling", "seeds", "n"),
        [
            (
                c.rule,
                c.member.name,
                c.member.multipliers.get("depth"),
                c.member.multipliers.get("width"),
                c.member.resolution,
                quantity(c.member.macs),
                quantity(c.member.parameters),
                percent(c.val.mean) if c.val else "-",
                percent(c.test.mean) if c.test else "-",
                f"±{100 * c.test.sampling_error:.2f}" if c.test else "-",
                f"±{100 * c.test.seed_error:.2f}" if c.test and c.test.seeds > 1 else "-",
                c.test.seeds if c.test else 0,
            )
            for c in compared
        ],
        title="\nScaling rules at equal cost",
    )  # fmt: skip
    console.print(
        "sampling: one standard error of a test part of this size; seeds: of the mean over n "
        "trainings. Depth and width are the rule's factors before rounding."
    )


def _export(store: Store, summary: Summary, formats: Sequence[str], directory: Path) -> list[Path]:
    from nas.cli.live import LiveReporter
    from nas.jobs.deliver import deliver
    from nas.jobs.naming import stored_architecture
    from nas.jobs.start import take_up_job

    model = summary.chosen or (summary.front[-1] if summary.front else None)
    if model is None or model.architecture is None:
        return []
    plan = take_up_job(store, summary.job).networks
    with LiveReporter() as reporter:
        deliveries = deliver(
            store,
            summary.job,
            plan,
            stored_architecture(store, model.architecture),
            formats,
            directory,
            reporter,
            name=summary.job.name,
        )
        for delivery in deliveries:
            exported = delivery.exported
            reporter.note(
                f"exported {exported.path}: answers as the network does on {exported.images} "
                f"images, largest relative difference {exported.largest_relative_difference:.1e}"
            )
    return [delivery.exported.path for delivery in deliveries]


def _print_files(
    directory: Path,
    pictures: Sequence[Path],
    exports: Sequence[Path],
    store_url: str,
    summary: Summary,
) -> None:
    option = "" if store_url == DEFAULT_STORE else f" --store {store_url}"
    console.print(f"\nFiles in {directory}/:")
    for path in (*exports, *(p for p in pictures if p.suffix == ".html")):
        console.print(f"  {path.name}")
    console.print(f"  and {', '.join(p.name for p in pictures if p.suffix == '.png')} (.svg too)")
    console.print("\nGo on with:")
    if summary.front:
        console.print(f"  nas pareto {summary.job.id}{option}")
    if summary.chosen is not None:
        console.print(f"  nas export {summary.job.id} --format onnx -o {directory}{option}")
    if exports:
        console.print(f"  nas predict {exports[0]} IMAGE.png")
