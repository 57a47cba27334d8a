"""What a job found, as a person reads it at its end, and the files that are left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli.options import DEFAULT_STORE
from nas.cli.output import console, duration, percent, print_json, print_table, quantity

if TYPE_CHECKING:
    from nas.jobs.compare import Compared
    from nas.jobs.summary import Summary
    from nas.store import JobRow, ModelRow, Store


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
    print_summary(summary, store_url)
    _print_files(directory, pictures, exports, store_url, summary)


def print_summary(summary: Summary, store_url: str, state: str | None = None) -> None:
    """The front, the family, and the member chosen on validation."""
    job = summary.job
    counts = ", ".join(f"{n} {name}" for name, n in sorted(summary.states.items()))
    trials = f": trials {counts}" if counts else ": no search trials" * (job.kind != "scale")
    console.print(f"\nJob {job.name} ({job.id}), {state or job.state}{trials}.")
    if job.message:
        console.print(f"Reason: {job.message}")
    console.print(
        f"Networks trained: {summary.trained}; answered from the store: {summary.reused}; "
        f"time: {duration(summary.seconds)}."
    )
    if summary.front:
        print_front(
            summary.front,
            f"\nPareto front, validation accuracy against MACs "
            f"(hypervolume {summary.hypervolume:.4g})",
        )
    if summary.family is not None:
        _print_family(summary)
    if summary.comparison:
        print_comparison(summary.comparison)


def print_front(rows: Sequence[ModelRow], title: str) -> None:
    """Models, one a line, with the errors of their accuracies."""
    print_table(
        ("model", "val accuracy", "test accuracy", "MACs", "parameters", "fingerprint"),
        [
            (
                "-" if row.trial is None else f"{row.job}/{row.trial}",
                percent(row.val_accuracy, row.val_accuracy_se),
                percent(row.test_accuracy, row.test_accuracy_se),
                quantity(row.macs),
                quantity(row.parameters),
                (row.architecture or row.subject)[:12],
            )
            for row in rows
        ],
        title=title,
    )


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
    plan = take_up_job(store, summary.job).plan
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
