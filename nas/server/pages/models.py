"""Models: the list, one model's card, several side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from nas.cost import COST_METRICS, Costs, count
from nas.errors import InvalidRequestError
from nas.jobs.front import is_over_table
from nas.plots.figure import Axis
from nas.plots.metrics import metric
from nas.server.api.common import network_named
from nas.server.auth import Principal
from nas.server.exporting import export_documents
from nas.server.pages import charts
from nas.server.pages.drawing import Part, bar, draw, parts_of
from nas.server.pages.jobs import store_of
from nas.server.pages.names import dataset_name
from nas.server.pages.render import PageRoute, Reader, page, path_to
from nas.store import EvaluationRow, Filter, MeasurementRow, Store
from nas.store.exports import RUNNING, WAITING
from search_spaces.architecture import Architecture

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MOST_COMPARED = 4
ACCURACIES = ("val_accuracy", "test_accuracy")
FORMATS = ("onnx", "safetensors", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What there is to say of a network by itself."""

    name: str
    fingerprint: str
    architecture: Architecture
    costs: Costs
    parts: Sequence[Part]
    drawing: Markup
    evaluations: Sequence[tuple[EvaluationRow, str]]
    is_stored: bool

    @property
    def path(self) -> str:
        return path_to("models", self.key)

    @property
    def key(self) -> str:
        """What finds it again: a published network may not be in the store."""
        return self.fingerprint if self.is_stored else self.name

    @property
    def best(self) -> EvaluationRow | None:
        """The evaluation of the longest training, and of those the best on validation."""
        found = [e for e, _ in self.evaluations if e.val_accuracy is not None]
        return max(found, key=lambda e: (e.fidelity, e.val_accuracy or 0.0), default=None)


def make_card(store: Store, name: str) -> Card:
    """The card of a network by fingerprint, published name or JOB/12; 404 if there is none."""
    architecture = network_named(store, name)
    fingerprint = architecture.fingerprint
    rows = store.models(Filter(architecture=fingerprint), "seconds", True, limit=50)
    found = store.evaluations(row.evaluation for row in rows)
    parts = parts_of(architecture)
    is_stored = bool(rows) or store.find_architecture(fingerprint) is not None
    title = published_as(fingerprint) or (fingerprint[:12] if is_stored else name)
    return Card(
        name=title,
        fingerprint=fingerprint,
        architecture=architecture,
        costs=count(architecture),
        parts=parts,
        drawing=draw(architecture, parts, title),
        is_stored=is_stored,
        evaluations=[
            (found[row.evaluation], dataset_name(store, row.dataset))
            for row in rows
            if row.evaluation in found
        ],
    )


@cache
def _published() -> dict[str, str]:
    from search_spaces.published import PUBLISHED

    return {entry.architecture.fingerprint: entry.name for entry in PUBLISHED.values()}


def published_as(fingerprint: str) -> str | None:
    """What the papers call a network."""
    return _published().get(fingerprint)


@router.get("/models/{name}")
def show_model(request: Request, reader: Reader, name: str) -> Response:
    """A model's card."""
    return model_page(request, reader, make_card(store_of(request), name))


def model_page(
    request: Request, asking: Principal, card: Card, message: str = "", status: int = 200
) -> Response:
    """A card as a page, with what was wrong with an export that was asked for, if something was."""
    store = store_of(request)
    suggested = store.suggested(card.fingerprint)
    measurements = store.measurements_about(card.fingerprint)
    rows = store.list_exports(limit=50, latest=True, architecture=card.fingerprint)
    written = {row.artifact for row in rows}
    artifacts = store.artifacts_of(architecture=card.fingerprint)
    jobs = [(s.job, s.job_name) for s in suggested] or [
        (job.id, job.name) for job in store.list_jobs(limit=20) if not is_over_table(job)
    ]
    return page(
        request,
        "model.html",
        status=status,
        message=message,
        card=card,
        cost_names=COST_METRICS,
        bar=bar,
        suggested=suggested,
        memberships=store.memberships(card.fingerprint),
        measurements=measurements,
        devices={d: _device_name(store, d) for d in {m.device for m in measurements} if d},
        fidelities={row.key: row.fidelity for row, _ in card.evaluations},
        artifacts=[a for a in artifacts if a.kind != "weights" and a.id not in written],
        exports=export_documents(store, rows),
        pending=any(row.state in (WAITING, RUNNING) for row in rows),
        curves=_curves(card),
        formats=FORMATS,
        jobs=list(dict.fromkeys(jobs)),
        may_export=asking.may("submit"),
    )


def _device_name(store: Store, device: str) -> str:
    known = store.device(device)
    return known.name if known and known.name else device


@router.get("/models/{job}/{number}")
def show_trial_model(request: Request, reader: Reader, job: str, number: int) -> Response:
    """The card of a trial's network, as JOB/12 names it."""
    return RedirectResponse(make_card(store_of(request), f"{job}/{number}").path, 303)


@router.get("/compare")
def compare(
    request: Request,
    reader: Reader,
    m: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Two to four models side by side."""
    names = list(dict.fromkeys(m or ()))
    if len(names) > MOST_COMPARED:
        raise InvalidRequestError(
            f"At most {MOST_COMPARED} models stand side by side, but got {len(names)}."
        )
    store = store_of(request)
    cards = [make_card(store, name) for name in names]
    return page(
        request,
        "compare.html",
        cards=cards,
        cost_names=COST_METRICS,
        lowest={n: min((getattr(c.costs, n) for c in cards), default=0) for n in COST_METRICS},
        largest={n: max((getattr(c.costs, n) for c in cards), default=1) for n in COST_METRICS},
        bar=bar,
        stages=_stages(cards),
        kinds=_common_kinds(cards),
        measured=_common_measurements(store, cards),
    )


def _stages(cards: Sequence[Card]) -> list[tuple[str, list[Part | None]]]:
    """Stem with stem, stage with stage of that number, head with head."""
    most = max((len(card.parts) for card in cards), default=1) - 1
    rows: list[tuple[str, list[Part | None]]] = []
    for i in range(most):
        parts = [card.parts[i] if i < len(card.parts) - 1 else None for card in cards]
        rows.append((next(part.name for part in parts if part), parts))
    return [*rows, ("Head", [card.parts[-1] for card in cards])] if cards else []


def _common_kinds(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Accuracies by what they may be compared under, the longest training first."""
    by_kind: dict[tuple[Any, ...], dict[str, EvaluationRow]] = {}
    names: dict[tuple[Any, ...], str] = {}
    for card in cards:
        for row, dataset in card.evaluations:
            key = (row.dataset, row.split, row.recipe, row.evaluator, row.train_on, row.fidelity)
            names[key] = f"{dataset}, {row.fidelity:g} epochs, recipe {row.recipe[:6]}"
            if row.train_on != "train":
                names[key] += f", trained on {row.train_on}"
            by_kind.setdefault(key, {}).setdefault(card.fingerprint, row)
    ordered = sorted(by_kind.items(), key=lambda item: (-len(item[1]), -float(item[0][5])))
    return [
        {
            "name": names[key],
            "rows": rows,
            "has": {
                n: any(getattr(row, n) is not None for row in rows.values()) for n in ACCURACIES
            },
        }
        for key, rows in ordered[:8]
    ]


def _common_measurements(store: Store, cards: Sequence[Card]) -> list[dict[str, Any]]:
    """The latest values by what was measured and how, of networks and not of one training."""
    found: dict[tuple[Any, ...], dict[str, MeasurementRow]] = {}
    for card in cards:
        for m in store.measurements_of(architecture=card.fingerprint):
            if m.value is not None and m.artifact is None:
                how = (m.device, m.runtime, m.precision, m.batch_size, m.threads)
                found.setdefault((m.metric, *how), {})[card.fingerprint] = m
    return [
        {"name": metric(name).title, "how": _how(store, *how), "rows": rows}
        for (name, *how), rows in found.items()
    ]


def _how(
    store: Store, device: str | None, runtime: str, precision: str, batch: Any, threads: Any
) -> str:
    parts = [
        _device_name(store, device) if device else "",
        *(runtime, precision),
        f"batch {batch}" if batch else "",
        f"{threads} thread{'s' * (threads > 1)}" if threads else "",
    ]
    return ", ".join(part for part in parts if part)


def _curves(card: Card) -> list[dict[str, Any]]:
    """Learning curves, one chart an evaluation that has one."""
    found = []
    for row, dataset in card.evaluations[:6]:
        lines = _curve_lines(row)
        if any(len(line.points) > 1 for line in lines):
            x, y = Axis(title="Epoch"), Axis(title="Accuracy (%)")
            title = f"Learning curve on {dataset}, {row.fidelity:g} epochs, seed {row.seed}"
            found.append(
                {
                    "title": title,
                    "chart": charts.line_chart(lines, x, y, title),
                    "legend": charts.legend(lines),
                }
            )
    return found


def _curve_lines(row: EvaluationRow) -> list[charts.Line]:
    lines = []
    names = [("val_accuracy", "Validation"), ("train_accuracy", "Training")]
    for color, (name, label) in enumerate(names):
        points = [
            charts.Point(
                x=float(epoch.get("epoch", i + 1)),
                y=100 * float(epoch[name]),
                title=f"epoch {epoch.get('epoch', i + 1):g}: {100 * float(epoch[name]):.1f} %",
            )
            for i, epoch in enumerate(row.curve)
            if math.isfinite(epoch.get(name) or math.nan)
        ]
        if points:
            lines.append(charts.Line(label=label, points=points, color=color))
    return lines
