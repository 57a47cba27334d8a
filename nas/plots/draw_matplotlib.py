"""Figures as PNG and SVG; without pyplot, so no window, no global figure, safe in a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from nas.plots.figure import Axis, Figure, Panel, Series
from nas.plots.metrics import si

MARKERS = {"circle": "o", "diamond": "D", "square": "s", "star": "*", "none": "none"}
MOST_VECTOR_MARKS = 2_000
DOTS_PER_INCH = 160
LETTERS_A_ROW = 96
STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture everywhere
    "font.size": 10.5,
    "axes.titlesize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "text.parse_math": False,  # a name may hold any sign
    "svg.hashsalt": "nas",  # with no date: the same data give the same file
}


def write_image(path: Path, figure: Figure, format: str) -> None:
    """Write the figure as `png` or `svg`."""
    with matplotlib.style.context(["default", STYLE]):
        canvas = draw(figure)
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        canvas.savefig(path, format=format, dpi=DOTS_PER_INCH, metadata=metadata)


def draw(figure: Figure) -> Canvas:
    """Draw the figure with matplotlib, in the style that is current."""
    rows = len(figure.panels)
    canvas = Canvas(figsize=(8.0, 5.2 if rows == 1 else 2.7 * rows + 0.4), layout="constrained")
    grid: Any = canvas.subplots(rows, 1, sharex=True, squeeze=False)
    for row, panel in enumerate(figure.panels):
        _draw_panel(grid[row, 0], panel, last=row == rows - 1)
    canvas.suptitle(figure.title, fontsize=13, fontweight="bold")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if labels:
        fitting = LETTERS_A_ROW // (max(map(len, labels)) + 7)
        columns = max(1, min(fitting, len(labels)))
        canvas.legend(handles, labels, loc="outside lower center", ncols=columns)
    if figure.note:
        grid[0, 0].set_title(figure.note, fontsize=9, color="#666666")
    return canvas


def _draw_panel(axes: Axes, panel: Panel, last: bool) -> None:
    for order, series in enumerate(panel.series):
        _draw_series(axes, series, order)
    if panel.message:
        axes.text(
            0.5, 0.5, panel.message, transform=axes.transAxes, ha="center", color="#666666", size=12
        )
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        _set_axis(axes, "x", panel.x, [m.x for s in panel.series for m in s.marks])
        _set_axis(axes, "y", panel.y, [m.y for s in panel.series for m in s.marks])
    axes.set_ylabel(panel.y.title)
    if last:
        axes.set_xlabel(panel.x.title)


def _draw_series(axes: Axes, series: Series, order: int) -> None:
    style = series.style
    star = style.marker == "star"
    x, y = [m.x for m in series.marks], [m.y for m in series.marks]
    axes.plot(
        x,
        y,
        label=series.label or "_",
        color=style.color,
        alpha=style.opacity,
        marker=MARKERS[style.marker],
        markersize=style.size,
        markeredgecolor="#000000" if star else "#FFFFFF",
        markeredgewidth=0.9 if star else 0.6,
        linestyle="none" if style.line == "none" else "--" if style.dashed else "-",
        linewidth=1.7,
        drawstyle="steps-post" if style.line == "step" else "default",
        zorder=2 + order,
        rasterized=len(x) > MOST_VECTOR_MARKS,
    )
    bars = [m for m in series.marks if m.y_error > 0]
    if bars:
        axes.errorbar(
            [m.x for m in bars],
            [m.y for m in bars],
            [m.y_error for m in bars],
            fmt="none",
            ecolor=style.color,
            elinewidth=1.0,
            capsize=2.5,
            alpha=0.75,
            zorder=1.9 + order,
        )
    for mark in series.marks:
        if mark.label:
            axes.annotate(
                mark.label,
                (mark.x, mark.y),
                xytext=(-6, 4) if series.labels_above else (7, -4),
                textcoords="offset points",
                ha="right" if series.labels_above else "left",
                va="bottom" if series.labels_above else "top",
                color=style.color,
                fontsize=9.5,
                zorder=20,
            )


def _set_axis(axes: Axes, which: str, axis: Axis, values: list[float]) -> None:
    ticks = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        wide = max(values) > 500 * min(values)
        ticks.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        ticks.set_minor_formatter(NullFormatter())
        if not wide:
            ticks.set_minor_locator(NullLocator())
    else:
        ticks.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    write = si if axis.si else "{:,.6g}".format
    ticks.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    if axis.limits:
        (axes.set_xlim if which == "x" else axes.set_ylim)(axis.limits)
