"""A family of scaled networks: accuracy against cost, one line a scaling rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nas.plots.figure import (
    PALETTE,
    VERMILLION,
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

MARKERS = ("diamond", "square", "circle")


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPoint:
    """One member of a family.

    Args:
        phi: Its compound coefficient; the baseline has 0. None for a member without one, which
            then has no label.
        x: Its cost, in the unit of the figure's `x_metric`.
        y, y_error: Its accuracy and one standard error of it, as shares (0 to 1).
        group: The scaling rule that made it; a figure has one line a group.
        details: More metrics for the hover text, by name.
    """

    name: str
    phi: float | None
    x: float
    y: float
    y_error: float = 0.0
    group: str = "Family"
    details: Mapping[str, float] = field(default_factory=dict)


def family_figure(
    points: Sequence[FamilyPoint],
    *,
    x_metric: str = "macs",
    y_metric: str = "test_accuracy",
    title: str = "Accuracy and cost of the scaled family",
) -> Figure:
    """Describe a family's accuracy against its cost; members are labelled with their phi."""
    cost, accuracy = metric(x_metric), metric(y_metric)
    shown = [p for p in points if is_drawable(p.x, p.y)]
    missing = len(points) - len(shown)
    return Figure(
        title=title,
        panels=(
            Panel(
                x=axis(cost, [p.x for p in shown]),
                y=axis(accuracy),
                series=family_series(shown, cost, accuracy, labels_above=True),
                message="" if shown else "No member of the family has been measured yet.",
            ),
        ),
        note=sentences(
            (
                "Bars: one standard error." if any(error_or_zero(p.y_error) for p in shown) else "",
                f"{counted(missing, 'member')} without a value not shown." if missing else "",
            )
        ),
    )


def family_series(
    points: Sequence[FamilyPoint], cost: Metric, accuracy: Metric, *, labels_above: bool
) -> tuple[Series, ...]:
    """One connected series a group, in the order of the groups' first members; the labels of
    the first stand above it or below, those of the others below."""
    groups = list(dict.fromkeys(p.group for p in points))
    colors = (VERMILLION, *PALETTE)
    return tuple(
        Series(
            label=group,
            marks=tuple(
                _mark(p, cost, accuracy)
                for p in sorted((p for p in points if p.group == group), key=lambda p: p.x)
            ),
            style=Style(
                color=colors[i % len(colors)],
                marker=MARKERS[i % len(MARKERS)],
                line="straight",
                size=7,
                dashed=i > 0,
            ),
            labels_above=labels_above and i == 0,
        )
        for i, group in enumerate(groups)
    )


def _mark(point: FamilyPoint, cost: Metric, accuracy: Metric) -> Mark:
    label = "" if point.phi is None else f"φ {point.phi:g}"
    return Mark(
        x=point.x * cost.scale,
        y=point.y * accuracy.scale,
        y_error=error_or_zero(point.y_error) * accuracy.scale,
        label=label,
        hover=hover_text(point, f"{point.name} ({label})" if label else point.name, cost, accuracy),
    )


class Measured(Protocol):
    """What the hover text tells of a point."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def y_error(self) -> float: ...
    @property
    def details(self) -> Mapping[str, float]: ...


def hover_text(point: Measured, name: str, cost: Metric, accuracy: Metric) -> tuple[str, ...]:
    """Name, accuracy, cost and details, a line each."""
    return (
        name,
        f"{accuracy.title}: {accuracy.format(point.y, error_or_zero(point.y_error))}",
        f"{cost.title}: {cost.format(point.x)}",
        *(f"{metric(key).title}: {metric(key).format(v)}" for key, v in point.details.items()),
    )
