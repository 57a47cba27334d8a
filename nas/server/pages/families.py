"""Families: a baseline, its rule and coefficients, and what it grew into."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from nas.plots.figure import axis
from nas.plots.metrics import metric
from nas.server.api.common import family_of_id
from nas.server.pages import charts
from nas.server.pages.jobs import store_of
from nas.server.pages.names import is_imagenet
from nas.server.pages.references import references
from nas.server.pages.render import PageRoute, Reader, page, path_to
from nas.store import EvaluationRow, FamilyRow

REACH = 4.0
router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/families")
def list_families(request: Request, reader: Reader) -> Response:
    """All families, the latest first."""
    store = store_of(request)
    return page(request, "families.html", families=store.latest_families(limit=200))


@router.get("/families/{family_id}")
def show_family(request: Request, reader: Reader, family_id: str) -> Response:
    """A family with its scaling curve."""
    store = store_of(request)
    family = family_of_id(store, family_id)
    found = store.evaluations(m.evaluation for m in family.members if m.evaluation)
    rows = [found.get(m.evaluation or "") for m in family.members]
    trained = [row for row in rows if row is not None]
    with_references = bool(trained) and is_imagenet(store, trained[0].dataset)
    lines = _lines(family, rows, with_references)
    x, y = metric("macs"), metric("test_accuracy")
    x_values = [p.x for line in lines for p in line.points]
    title = f"Accuracy of family {family.name} against MACs"
    y_axis = replace(axis(y), title="Accuracy (%)")
    return page(
        request,
        "family.html",
        family=family,
        job=store.find_job(family.job),
        rows=list(zip(family.members, rows)),
        chart=charts.line_chart(lines, axis(x, x_values), y_axis, title) if x_values else "",
        legend=charts.legend(lines),
    )


def _lines(
    family: FamilyRow, rows: list[EvaluationRow | None], with_references: bool
) -> list[charts.Line]:
    lines = []
    for color, (name, label) in enumerate(
        (("test_accuracy", "Test"), ("val_accuracy", "Validation"))
    ):
        points = [
            charts.Point(
                x=float(member.macs),
                y=100 * getattr(row, name),
                error=100 * (getattr(row, f"{name}_se") or 0.0),
                title=f"{member.name}, {label.lower()} accuracy {100 * getattr(row, name):.1f} %",
                label=member.name if not color else "",
                href=path_to("models", member.architecture) if not color else "",
            )
            for member, row in zip(family.members, rows)
            if row is not None and member.macs and getattr(row, name) is not None
        ]
        points.sort(key=lambda point: point.x)
        lines.append(charts.Line(label=label, points=points, color=color, dashed=bool(color)))
    if with_references:
        lines += _near(lines)
    return lines


def _near(lines: list[charts.Line]) -> list[charts.Line]:
    """The papers' families, as far as they cost about what this one does."""
    costs = [point.x for line in lines for point in line.points]
    found: list[charts.Line] = []
    for curve in references(("macs", "val_accuracy")) if costs else ():
        points = [
            charts.Point(x=a, y=100 * b, label=curve["name"])
            for a, b in zip(curve["x"], curve["y"])
            if min(costs) / REACH <= a <= max(costs) * REACH
        ]
        if len(points) > 1:
            label = "" if found else "Published families"
            found.append(
                charts.Line(label=label, points=points, color=-1, kind="line", dashed=True)
            )
    return found
