"""Figures as one HTML file that holds everything it needs, for a browser without a network."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from plotly import graph_objects
from plotly.subplots import make_subplots

from nas.plots.figure import Axis, Figure, Series

MARKERS = {"circle": "circle", "diamond": "diamond", "square": "square", "star": "star"}
MOST_VECTOR_MARKS = 2_000


def write_html(path: Path, figure: Figure) -> None:
    """Write the figure as one page, plotly.js inlined."""
    drawn = draw(figure)
    drawn.write_html(
        path,
        include_plotlyjs=True,
        full_html=True,
        div_id="figure",
        default_height="92vh",
        config={
            "displaylogo": False,
            "responsive": True,
            "modeBarButtonsToRemove": ["sendChartToCloud"],  # nothing leaves the page
        },
    )


def draw(figure: Figure) -> Any:
    """Draw the figure as a `plotly.graph_objects.Figure` (its `to_json` suits a page, too)."""
    rows = len(figure.panels)
    canvas = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    # one kind in a figure: WebGL's lie over all others, whatever the order
    many = any(len(s.marks) > MOST_VECTOR_MARKS for panel in figure.panels for s in panel.series)
    kind = graph_objects.Scattergl if many else graph_objects.Scatter
    for row, panel in enumerate(figure.panels, start=1):
        for series in panel.series:
            canvas.add_trace(kind(**_trace(series)), row=row, col=1)
        canvas.update_yaxes(_axis(panel.y, empty=bool(panel.message)), row=row, col=1)
        canvas.update_xaxes(_axis(panel.x, empty=bool(panel.message)), row=row, col=1)
        if row < rows:
            canvas.update_xaxes(title=None, row=row, col=1)
        if panel.message:
            place = {"xref": "x domain", "yref": "y domain", "x": 0.5, "y": 0.5}
            canvas.add_annotation(
                text=panel.message, showarrow=False, font_size=16, row=row, col=1, **place
            )
    title = html.escape(figure.title)
    if figure.note:
        title += f"<br><sup>{html.escape(figure.note)}</sup>"
    canvas.update_layout(
        template="plotly_white",
        title={"text": title, "x": 0.5},
        margin={"t": 80, "b": 110, "l": 80, "r": 40},
        legend={
            "orientation": "h",
            "x": 0.5,
            "xanchor": "center",
            "yref": "container",
            "y": 0.01,
            "yanchor": "bottom",
        },
        hoverlabel={"align": "left"},
    )
    return canvas


def _trace(series: Series) -> dict[str, Any]:
    style, marks = series.style, series.marks
    parts = ["markers"] * (style.marker != "none") + ["lines"] * (style.line != "none")
    parts += ["text"] * any(m.label for m in marks)
    star = style.marker == "star"
    return {
        "x": [m.x for m in marks],
        "y": [m.y for m in marks],
        "error_y": {
            "array": [m.y_error for m in marks],
            "visible": any(m.y_error > 0 for m in marks),
            "thickness": 1,
            "width": 3,
        },
        "name": html.escape(series.label),
        "showlegend": bool(series.label),
        "mode": "+".join(parts),
        "text": [html.escape(m.label) for m in marks],
        "textposition": "top left" if series.labels_above else "bottom right",
        "textfont": {"color": style.color},
        "hovertext": [_hover(m.hover) for m in marks],
        "hoverinfo": "text",
        "marker": {
            "color": style.color,
            "symbol": MARKERS.get(style.marker, "circle"),
            "size": style.size + 2,
            "opacity": style.opacity,
            "line": {"width": 1, "color": "#000000" if star else "#FFFFFF"},
        },
        "line": {
            "color": style.color,
            "shape": "hv" if style.line == "step" else "linear",
            "dash": "dash" if style.dashed else "solid",
        },
    }


def _hover(lines: tuple[str, ...]) -> str:
    name, *rest = [html.escape(line) for line in lines] or [""]
    return "<br>".join((f"<b>{name}</b>", *rest))


def _axis(axis: Axis, empty: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {"title": html.escape(axis.title), "zeroline": False}
    if empty:
        settings |= {"showticklabels": False, "showgrid": False}
    if axis.log:
        settings |= {"type": "log", "dtick": "D2"}
    if axis.si:
        settings["tickformat"] = "~s"
    if axis.limits:
        settings["range"] = axis.limits
    return settings
