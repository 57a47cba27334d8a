"""The Pareto front: every trial, the front as a step line, the baseline and its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nas.plots.family import FamilyPoint, family_series, hover_text
from nas.plots.figure import (
    GREY,
    PALETTE,
    Figure,
    Mark,
    Panel,
    Series,
    Style,
    axis,
    counted,
    error_or_zero,
    is_drawable,
    sentences,
)
from nas.plots.metrics import Metric, metric

MANY = 1_000
"""Trials from which on they are drawn small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One trial.

    Args:
        x: Its cost, in the unit of the figure's `x_metric`.
        y, y_error: Its accuracy and one standard error of it, as shares (0 to 1).
        on_front: Whether it is on the front (of its group, where there are several).
        is_baseline: Whether it was chosen as the baseline; it gets a star.
        group: Job or evaluator, where a figure compares several; each has its own front.
        details: More metrics for the hover text, by name.
    """

    name: str
    x: float
    y: float
    y_error: float = 0.0
    on_front: bool = False
    is_baseline: bool = False
    group: str = ""
    details: Mapping[str, float] = field(default_factory=dict)


def front_figure(
    points: Sequence[FrontPoint],
    *,
    family: Sequence[FamilyPoint] = (),
    x_metric: str = "macs",
    y_metric: str = "val_accuracy",
    title: str = "Accuracy against cost",
) -> Figure:
    """Describe a front: cost to the right (less is better), accuracy upwards.

    The family is drawn over the same axes, so its accuracies should be of the same metric.
    """
    cost, accuracy = metric(x_metric), metric(y_metric)
    trials = [p for p in points if is_drawable(p.x, p.y)]
    members = [p for p in family if is_drawable(p.x, p.y)]
    missing = len(points) - len(trials) + len(family) - len(members)
    limits = _limits(trials, members)
    below = sum(p.y < limits[0] for p in trials) if limits else 0
    scaled = (limits[0] * accuracy.scale, limits[1] * accuracy.scale) if limits else None
    bars = any(error_or_zero(p.y_error) for p in trials if p.on_front or p.is_baseline)
    bars = bars or any(error_or_zero(p.y_error) for p in members)
    return Figure(
        title=title,
        panels=(
            Panel(
                x=axis(cost, [p.x for p in trials] + [p.x for p in members]),
                y=replace(axis(accuracy), limits=scaled),
                series=(
                    *_trial_series(trials, cost, accuracy),
                    *family_series(members, cost, accuracy, labels_above=False),
                    *_baseline_series(trials, cost, accuracy),
                ),
                message="" if trials or members else "No trial has been completed yet.",
            ),
        ),
        note=sentences(
            (
                "Bars: one standard error." if bars else "",
                f"{counted(below, 'weaker trial')} below the picture." if below else "",
                f"{counted(missing, 'trial')} without a value not shown." if missing else "",
            )
        ),
    )


def _trial_series(trials: Sequence[FrontPoint], cost: Metric, accuracy: Metric) -> list[Series]:
    """Per group its dominated trials, light, and its front; the light ones lie at the bottom."""
    groups = list(dict.fromkeys(p.group for p in trials))
    clouds, fronts = [], []
    for i, group in enumerate(groups):
        color = PALETTE[i % len(PALETTE)]
        cloud = [p for p in trials if p.group == group and not p.on_front]
        front = [p for p in trials if p.group == group and p.on_front]
        if cloud:
            clouds.append(
                Series(
                    label=_label(group, f"trials ({len(cloud):,})"),
                    marks=tuple(_mark(p, cost, accuracy, with_error=False) for p in cloud),
                    style=Style(
                        color=GREY if len(groups) == 1 else color,
                        size=5 if len(trials) < MANY else 3,
                        opacity=0.35,
                    ),
                )
            )
        if front:
            ordered = sorted(front, key=lambda p: (p.x, p.y))
            fronts.append(
                Series(
                    label=_label(group, f"Pareto front ({len(front):,})"),
                    marks=tuple(_mark(p, cost, accuracy) for p in ordered),
                    style=Style(color=color, line="step", size=6),
                )
            )
    return clouds + fronts


def _baseline_series(trials: Sequence[FrontPoint], cost: Metric, accuracy: Metric) -> list[Series]:
    marks = tuple(_mark(p, cost, accuracy, with_error=False) for p in trials if p.is_baseline)
    style = Style(color="#F0E442", marker="star", size=17)
    return [Series(label="Baseline", marks=marks, style=style)] if marks else []


def _mark(point: FrontPoint, cost: Metric, accuracy: Metric, with_error: bool = True) -> Mark:
    return Mark(
        x=point.x * cost.scale,
        y=point.y * accuracy.scale,
        y_error=error_or_zero(point.y_error) * accuracy.scale if with_error else 0.0,
        hover=hover_text(point, point.name, cost, accuracy),
    )


def _label(group: str, text: str) -> str:
    return f"{group}: {text}" if group else text[0].upper() + text[1:]


def _limits(
    trials: Sequence[FrontPoint], members: Sequence[FamilyPoint]
) -> tuple[float, float] | None:
    """Where to cut the picture, so that failed trainings don't press the front flat.

    The front, the baseline and the family are never cut. Nor is a trial that is near enough for
    them to fill two fifths of the height, nor any of the better three quarters of the trials.
    """
    kept: list[FrontPoint | FamilyPoint] = [p for p in trials if p.on_front or p.is_baseline]
    kept += members
    values = sorted(p.y for p in trials)
    if not values or not kept:
        return None
    bottom = min(p.y - error_or_zero(p.y_error) for p in kept)
    top = max(values[-1], *(p.y + error_or_zero(p.y_error) for p in kept))
    near = min(top - 2.5 * (top - bottom), values[len(values) // 4])
    low = min(bottom, *(value for value in values if value >= near))
    margin = 0.05 * (top - low)
    return (low - margin, top + margin) if values[0] < low - margin else None
