"""The job's pictures: front, family and progress, from the store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from nas.jobs.front import (
    ACCURACY,
    SEARCHED,
    front_axes,
    is_over_table,
    job_front,
    job_models,
    value_of,
)
from nas.jobs.summary import Summary
from nas.plots import (
    FamilyPoint,
    Figure,
    FrontPoint,
    ProgressPoint,
    family_figure,
    front_figure,
    progress_figure,
    write_plot,
)
from nas.search.progress import RunningFront
from nas.search.samplers.contract import ObjectiveSpec
from nas.store import Filter, ModelRow, Store
from nas.studies.comparison import BASELINE

KINDS = ("front", "family", "progress", "comparison")


def job_figure(store: Store, summary: Summary, kind: str, metric: str | None = None) -> Figure:
    """Describe one of the job's pictures; the metric, a cost, is on the horizontal axis."""
    if kind == "progress":
        return _progress(store, summary)
    if is_over_table(summary.job):
        return _front_of_choices(store, summary, metric)
    metric = metric or "macs"
    if kind == "comparison":
        return _comparison(summary, metric)
    if kind == "family":
        return family_figure(_family(summary, metric, "test_accuracy"), x_metric=metric)
    searched = store.models(Filter(job=summary.job.id, origins=SEARCHED))
    front = {
        row.evaluation for row in store.front(Filter(job=summary.job.id), (metric, "val_accuracy"))
    }
    baseline = summary.family.details.get("baseline_trial") if summary.family else None
    points = [
        FrontPoint(
            name=f"{summary.job.name}/{row.trial}",
            x=_number(getattr(row, metric)),
            y=_number(row.val_accuracy),
            y_error=_number(row.val_accuracy_se),
            on_front=row.evaluation in front,
            is_baseline=row.trial == baseline,
            details={"parameters": _number(row.parameters), "macs": _number(row.macs)},
        )
        for row in searched
    ]
    return front_figure(
        points,
        family=_family(summary, metric, "val_accuracy"),
        x_metric=metric,
        title=f"{summary.job.name}: accuracy against cost",
    )


def _front_of_choices(store: Store, summary: Summary, metric: str | None) -> Figure:
    """The front of a job over a table, by two of its objectives."""
    job = summary.job
    names, _ = front_axes(job)
    x, y = metric or names[0], names[-1]
    front = {row.evaluation for row in job_front(store, job, (x, y) if x != y else (y,))}
    rows = job_models(store, job, x) if summary.states.get("completed") else []
    values = [value_of(row, y) for row in rows]
    return front_figure(
        [
            FrontPoint(
                name=f"{job.name}/{row.trial}",
                x=value_of(row, x),
                y=value,
                on_front=row.evaluation in front,
            )
            for row, value in zip(rows, values)
        ],
        x_metric=x,
        y_metric=_scaled(y, values),
        title=f"{job.name}: {y} against {x}",
    )


def _scaled(metric: str, values: Sequence[float]) -> str:
    """An accuracy on a scale of its own, as tables have it, is no share."""
    if metric.endswith("accuracy") and any(value > 1.0 for value in values):
        return f"{metric} (own scale)"
    return metric


def write_pictures(
    store: Store,
    summary: Summary,
    directory: Path,
    suffixes: Sequence[str] = ("png", "svg", "html"),
) -> list[Path]:
    """Write every picture of a job in every format."""
    paths = []
    for kind in KINDS:
        if not _has(summary, kind):
            continue
        figure = job_figure(store, summary, kind)
        for suffix in suffixes:
            path = directory / f"{kind}.{suffix}"
            directory.mkdir(parents=True, exist_ok=True)
            write_plot(path, figure)
            paths.append(path)
    return paths


def _has(summary: Summary, kind: str) -> bool:
    if kind == "family":
        return summary.family is not None
    if kind == "comparison":
        return bool(summary.comparison)
    return bool(summary.states)


def _comparison(summary: Summary, metric: str) -> Figure:
    """One line a rule, each beginning at the baseline; Figure 8 of arXiv 1905.11946."""
    rules = list(dict.fromkeys(c.rule for c in summary.comparison if c.rule != BASELINE))
    points = [
        FamilyPoint(
            name=f"{compared.rule}, {compared.member.name}",
            phi=None,
            x=_number(getattr(compared.member, metric)),
            y=compared.test.mean,
            y_error=compared.test.sampling_error
            if math.isnan(compared.test.seed_error)
            else compared.test.seed_error,
            group=rule,
        )
        for rule in rules
        for compared in summary.comparison
        if compared.rule in (rule, BASELINE) and compared.test is not None
    ]
    return family_figure(
        points,
        x_metric=metric,
        title=f"{summary.job.name}: scaling rules at equal cost",
    )


def _family(summary: Summary, metric: str, accuracy: str) -> list[FamilyPoint]:
    if summary.family is None:
        return []
    return [
        FamilyPoint(
            name=member.name,
            phi=member.phi,
            x=_number(getattr(row, metric)),
            y=_number(getattr(row, accuracy)),
            y_error=_number(getattr(row, f"{accuracy}_se")),
            details={"parameters": _number(row.parameters)},
        )
        for member, row in zip(summary.family.members, summary.members)
        if row is not None
    ]


def _progress(store: Store, summary: Summary) -> Figure:
    objectives = [ObjectiveSpec(**o) for o in summary.job.objectives]
    front = RunningFront(objectives)
    measured = [o for o in objectives if not o.known and o.metric != "reward"]
    shown = measured[0] if measured else ObjectiveSpec("val_accuracy", True)
    better = max if shown.maximize else min
    models: dict[str, ModelRow] = {
        row.evaluation: row for row in store.models(Filter(job=summary.job.id, origins=SEARCHED))
    }
    points, best, done = [], math.nan, 0
    trials = [t for t in store.trials(summary.job.id, origins=SEARCHED) if t.ended_at]
    for trial in sorted(trials, key=lambda t: (t.ended_at, t.number)):
        done += 1
        if trial.values is None:
            continue
        front.add(trial.values)
        model = models.get(trial.evaluation or "")
        value = value_of(model, shown.metric) if model else math.nan
        best = value if math.isnan(best) else best if math.isnan(value) else better(best, value)
        volume = front.hypervolume(summary.job.reference) if summary.job.reference else math.nan
        points.append(ProgressPoint(trials=done, hypervolume=volume, best=best))
    name = ACCURACY.get(shown.metric, shown.metric)
    return progress_figure(points, best_metric=_scaled(name, [p.best for p in points]))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
