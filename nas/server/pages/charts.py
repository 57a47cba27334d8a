"""Charts as SVG in the page: drawn here, so that they need no script; styled by the page's CSS."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from nas.plots.figure import Axis
from nas.plots.metrics import si

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 46
COLORS = 6
LETTER, NOTE = 6.2, 12
"""Pixels that a letter of a note takes, and a line of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point in the axes' units; `error` is one standard error of y."""

    x: float
    y: float
    error: float = 0.0
    title: str = ""
    href: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points that belong together. kind: marks, line, both, step (holds
    until the next x) or stairs (that with marks);
    color: 0 to 5, or -1 for what stays in the background."""

    label: str
    points: Sequence[Point]
    kind: str = "both"
    color: int = 0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """Data to pixels along one axis."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        low, high = self._bent(self.low), self._bent(self.high)
        share = (self._bent(value) - low) / ((high - low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.log else value


def element(name: str, *content: str | Markup, **attributes: object) -> Markup:
    """An element; a trailing underscore is dropped from a name, others become hyphens."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{Markup('').join(content)}</{name}>")


def line_chart(lines: Sequence[Line], x: Axis, y: Axis, title: str) -> Markup:
    """A chart with one pair of axes; nothing where there is no point."""
    drawn = [line for line in lines if line.points]
    points = [p for line in drawn for p in line.points]
    if not points:
        return Markup("")
    x_scale = _scale([p.x for p in points], x, LEFT, WIDTH - RIGHT)
    ends = [p.y + side * p.error for p in points for side in (-1, 1)]
    y_scale = _scale(ends, y, HEIGHT - BOTTOM, TOP)
    taken: list[tuple[float, float, float]] = []
    return element(
        "svg",
        *_axes(x, y, x_scale, y_scale),
        *(_line(line, x_scale, y_scale, taken) for line in drawn),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart drawn",
        role="group" if any(p.href for p in points) else "img",
        aria_label=title,
    )


def legend(lines: Sequence[Line]) -> Markup:
    """What the colours mean, where there is more than one."""
    named = [line for line in lines if line.points and line.label]
    if len(named) < 2:
        return Markup("")
    entries = []
    for line in named:
        key = element(
            "svg",
            element("path", d="M1 6h18", class_="line" + (" dashed" if line.dashed else ""))
            if line.kind in ("line", "step")
            else element("circle", cx=10, cy=6, r=4),
            viewBox="0 0 20 12",
            class_=f"key drawn {_class(line)}",
            aria_hidden="true",
        )
        entries.append(element("li", key, escape(line.label)))
    return element("ul", *entries, class_="legend")


def _class(line: Line) -> str:
    return "faint" if line.color < 0 else f"c{line.color % COLORS}"


def _line(line: Line, x: _Scale, y: _Scale, taken: list[tuple[float, float, float]]) -> Markup:
    parts: list[Markup] = []
    places = [(x(p.x), y(p.y)) for p in line.points]
    if line.kind != "marks":
        path = f"M{places[0][0]} {places[0][1]}"
        for (_, before), (px, py) in itertools.pairwise(places):
            path += (
                f"L{px} {before}L{px} {py}" if line.kind in ("step", "stairs") else f"L{px} {py}"
            )
        parts.append(element("path", d=path, class_="line" + (" dashed" if line.dashed else "")))
    if line.kind == "line" and line.points[-1].label:
        px, py = places[-1]
        name = line.points[-1].label
        at = _free(px + 4 - LETTER * len(name), px + 4, py - 6, taken)
        parts.append(element("text", escape(name), x=px + 4, y=at, class_="note end"))
    if line.kind in ("marks", "both", "stairs") or len(places) == 1:
        parts += [_mark(p, px, py, y) for p, (px, py) in zip(line.points, places)]
    return element("g", *parts, class_=_class(line))


def _free(
    start: float, end: float, wanted: float, taken: list[tuple[float, float, float]]
) -> float:
    """Where a line of text hides no other: as it is wanted, or a little higher or lower.

    >>> taken = []
    >>> [_free(0, 50, 100, taken), _free(40, 90, 103, taken), _free(60, 90, 103, taken)]
    [100, 127, 103]
    """
    for shift in (0, -NOTE, 2 * NOTE, -2 * NOTE):
        at = round(wanted + shift, 1)
        if all(end < s or e < start or abs(at - other) >= NOTE for s, e, other in taken):
            break
    taken.append((start, end, at))
    return at


def _mark(point: Point, px: float, py: float, y: _Scale) -> Markup:
    parts: list[Markup] = []
    if point.error > 0:
        low, high = y(point.y - point.error), y(point.y + point.error)
        parts.append(element("path", d=f"M{px} {low}V{high}", class_="error"))
    text = [element("title", escape(point.title))] if point.title else []
    parts.append(element("circle", *text, cx=px, cy=py, r=4))
    if point.label:
        parts.append(element("text", escape(point.label), x=px + 7, y=py - 7, class_="note"))
    if not point.href:
        return element("g", *parts)
    name = point.title or point.label or point.href
    return element("a", *parts, href=point.href, aria_label=name)


def _axes(x: Axis, y: Axis, x_scale: _Scale, y_scale: _Scale) -> list[Markup]:
    bottom, parts = HEIGHT - BOTTOM, []
    for value in ticks(y_scale.low, y_scale.high, y.log):
        at = y_scale(value)
        parts.append(element("path", d=f"M{LEFT} {at}H{WIDTH - RIGHT}", class_="grid"))
        parts.append(element("text", _tick(value, y), x=LEFT - 7, y=at + 4, class_="tick end"))
    for value in ticks(x_scale.low, x_scale.high, x.log):
        at = x_scale(value)
        parts.append(element("path", d=f"M{at} {bottom}v4", class_="grid"))
        parts.append(element("text", _tick(value, x), x=at, y=bottom + 18, class_="tick middle"))
    parts.append(element("path", d=f"M{LEFT} {bottom}H{WIDTH - RIGHT}", class_="base"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(element("text", escape(x.title), x=middle, y=HEIGHT - 8, class_="title middle"))
    turned = f"translate(13 {(TOP + bottom) / 2}) rotate(-90)"
    parts.append(element("text", escape(y.title), transform=turned, class_="title middle"))
    return parts


def _scale(values: Iterable[float], axis: Axis, start: float, end: float) -> _Scale:
    known = list(values)
    low, high = axis.limits or (min(known), max(known))
    if axis.log and low > 0:
        reach = max(1.1, (high / low) ** 0.05)
        return _Scale(low / reach, high * reach, start, end, True)
    margin = 0.06 * (high - low) or abs(high) * 0.05 or 0.5
    bottom = low - margin
    return _Scale(max(0.0, bottom) if low >= 0 else bottom, high + margin, start, end, False)


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values between the ends: four to seven where the range is not too odd.

    >>> ticks(0.0, 10.0, False)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    >>> ticks(9.0, 1100.0, True)
    [10.0, 100.0, 1000.0]
    """
    if log and low > 0 and high / low > 4:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1.0,) if high / low > 99 else (1.0, 2.0, 5.0)
        found = [s * 10.0**d for d in decades for s in steps]
        return [value for value in found if low <= value <= high]
    rough = (high - low) / 5 or 1.0
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= rough * 0.8)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick(value: float, axis: Axis) -> str:
    return si(value, 3) if axis.si or abs(value) >= 10_000 else f"{value:.4g}"
