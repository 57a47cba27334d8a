"""How a search went: hypervolume of the front and best accuracy, trial by trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas.plots.figure import (
    BLUE,
    VERMILLION,
    Axis,
    Figure,
    Mark,
    Panel,
    Series,
    Style,
)
from nas.plots.metrics import Metric, metric


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressPoint:
    """The search after that many trials.

    Args:
        hypervolume: Of the front so far, against the reference point stored with the job.
        best: Best accuracy so far, as a share (0 to 1).
    """

    trials: int
    hypervolume: float
    best: float


def progress_figure(
    points: Sequence[ProgressPoint],
    *,
    best_metric: str = "val_accuracy",
    title: str = "Progress of the search",
) -> Figure:
    """Describe a search's progress: two panels over one axis of trials."""
    best = metric(best_metric)
    ordered = sorted(points, key=lambda p: p.trials)
    curves = (
        (metric("hypervolume"), [(p.trials, p.hypervolume) for p in ordered], BLUE),
        (best, [(p.trials, p.best) for p in ordered], VERMILLION),
    )
    return Figure(title=title, panels=tuple(_panel(*curve) for curve in curves))


def _panel(shown: Metric, values: list[tuple[int, float]], color: str) -> Panel:
    marks = tuple(
        Mark(
            x=trials,
            y=value * shown.scale,
            hover=(f"After {trials:,} trials", f"{shown.title}: {shown.format(value)}"),
        )
        for trials, value in values
        if math.isfinite(value)
    )
    single = len(marks) == 1  # a line of one point cannot be seen
    style = Style(color=color, marker="circle" if single else "none", line="step")
    title = shown.title
    if title != "Hypervolume":
        title = f"Best {title[:1].lower()}{title[1:]}" + (f" ({shown.unit})" if shown.unit else "")
    return Panel(
        x=Axis(title="Trials completed"),
        y=Axis(title=title),
        series=(Series(label="", marks=marks, style=style),) if marks else (),
        message="" if marks else "No trial has been completed yet.",
    )
