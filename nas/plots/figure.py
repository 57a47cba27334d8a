"""Figure: what a picture shows, as plain data that either backend draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.plots.metrics import Metric

# Okabe and Ito's palette, told apart with every kind of colour blindness; yellow is left out
# (too light on white).
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
PALETTE = (BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK)
GREY = "#8C8C8C"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a series looks. marker: circle, diamond, square, star or none; line: straight, step
    (each value holds until the next x) or none."""

    color: str
    marker: str = "circle"
    line: str = "none"
    size: float = 6.0
    opacity: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One point, in the axes' units; `label` stands beside it, `hover` shows under the pointer
    (its first line is a name)."""

    x: float
    y: float
    y_error: float = 0.0
    label: str = ""
    hover: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Marks that belong together, one entry of the legend (none where the label is empty)."""

    label: str
    marks: tuple[Mark, ...]
    style: Style
    labels_above: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A title, and how ticks read; `limits` cut the picture, in place of showing all."""

    title: str
    si: bool = False
    log: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes; the message stands in it where there is nothing to draw."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One or more panels over each other, with the same x axis."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""


def axis(metric: Metric, values: Iterable[float] = ()) -> Axis:
    """The axis of a metric; logarithmic where the values are above zero and span over 10x.

    >>> from nas.plots.metrics import metric
    >>> axis(metric("macs"), (1e6, 2e7)).log, axis(metric("macs"), (1e6, 2e6)).log
    (True, False)
    """
    known = list(values)
    wide = bool(known) and min(known) > 0 and max(known) > 10 * min(known)
    unit = f" ({metric.unit})" if metric.unit else ""
    return Axis(title=metric.title + unit, si=metric.si, log=wide)


def is_drawable(x: float, y: float) -> bool:
    return math.isfinite(x) and math.isfinite(y)


def error_or_zero(y_error: float) -> float:
    """An unknown error is not drawn."""
    return y_error if math.isfinite(y_error) and y_error > 0 else 0.0


def sentences(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "point"), counted(1200, "point")
    ('1 point', '1,200 points')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
