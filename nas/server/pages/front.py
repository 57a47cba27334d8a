"""The front of everything comparable: as a plot to ask questions of, and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from nas.cost import COST_METRICS as COSTS
from nas.errors import InvalidRequestError
from nas.jobs.front import front_axes, is_over_table, job_front, value_of
from nas.plots.metrics import Metric, metric
from nas.quantity import Bound, parse_quantity
from nas.server.api.common import job_named
from nas.server.errors import Problem
from nas.server.pages.jobs import store_of
from nas.server.pages.names import Kind, is_imagenet, kinds_of, model_name, model_path
from nas.server.pages.references import references
from nas.server.pages.render import PageRoute, Reader, page, shown
from nas.store import Filter, JobRow, Measured, ModelRow, Store
from nas.store.asking import ACCURACIES, is_maximized
from nas.store.measuring import WAYS

router = APIRouter(route_class=PageRoute, include_in_schema=False)

USUAL = (*COSTS, "val_accuracy", "test_accuracy", "seconds")
GROUPS = ("none", "job", "family")
MOST_ROWS = 200
COUNT_TO = 10_000
OTHERS = 2_000
NO_BOUND = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What front is asked for.

    Args:
        names: The metrics of the axes, x and y.
        bounds: By metric: at most for what is minimized, at least for accuracies.
        color: 'none', 'job', 'family', or a metric.
        measured: What can be an axis because it was measured on a device, by its name.
        ways: Of the measured metrics asked about, what they were measured with where that
            differs, such as several precisions; `way` is the one that is looked at.
    """

    kind: Kind | None
    job: JobRow | None
    is_imagenet: bool
    names: tuple[str, str]
    maximize: tuple[bool, bool]
    bounds: Mapping[str, Bound]
    texts: Mapping[str, str]
    color: str
    log: bool
    ties: bool
    measured: Mapping[str, Measured]
    ways: Mapping[str, Sequence[str | int]]
    way: Mapping[str, str | int]

    def where(self) -> Filter:
        """The same as the store takes it."""
        narrowed = Filter(
            job=self.job.id if self.job else None,
            comparable=self.kind.id if self.kind and not self.job else None,
        )
        return replace(narrowed, **self.way).within(self.bounds.values())  # type: ignore[arg-type]

    @property
    def shades(self) -> bool:
        """Whether the colour is a metric's value."""
        return self.color not in GROUPS

    @property
    def named(self) -> tuple[str, ...]:
        """The metrics of both axes, and of the colour."""
        return (*self.names, self.color) if self.shades else self.names

    @property
    def also(self) -> list[str]:
        """What the store is to bring along for the colour."""
        return [self.color] if self.color in self.measured else []

    def shown(self, name: str) -> Metric:
        """How a metric is shown, with its device's name."""
        if name not in self.measured:
            return metric(name)
        known = self.measured[name]
        return metric(f"{known.metric}@{known.device_name}")


@router.get("/front")
def front(
    request: Request,
    reader: Reader,
    kind: str = "",
    job: str = "",
    x: str = "",
    y: str = "",
    color: str = "",
    scale: str = "",
) -> Response:
    """The front, the form that asks for it, and a table of its models."""
    store = store_of(request)
    kinds = kinds_of(store, store.groups(count_to=COUNT_TO))
    question = _question(request, store, kinds, kind, job, (x, y), color, scale)
    models = _front(store, question) if question.kind or question.job else []
    free = replace(question, bounds={}, ties=False)
    unbound = _front(store, free) if question.bounds else models
    document = _document(store, question, [m for m in models if not m.tied])
    return page(
        request,
        "front.html",
        question=question,
        kinds=kinds,
        count_to=COUNT_TO,
        jobs=store.list_jobs(limit=100),
        axes=_axes(question),
        ranges=_ranges(question, unbound),
        rows=[_row(m, question) for m in models[:MOST_ROWS]],
        tied=sum(m.tied for m in models),
        left_out=max(0, len(models) - MOST_ROWS),
        document=document,
        query=str(request.url.query),
    )


@router.get("/front/others")
def others(
    request: Request,
    reader: Reader,
    kind: str = "",
    job: str = "",
    x: str = "",
    y: str = "",
    color: str = "",
) -> Response:
    """Dominated models for the plot, the best of them first, as plain numbers."""
    store = store_of(request)
    kinds = kinds_of(store, store.groups(count_to=COUNT_TO)) if not job else []
    question = _question(request, store, kinds, kind, job, (x, y), color, "")
    if question.job and is_over_table(question.job):
        models = store.models(question.where(), limit=OTHERS)
    else:
        # by what is a column of its own: measurements are looked up for those that are shown
        name, maximize = next(
            (
                (n, m)
                for n, m in zip(question.names[::-1], question.maximize[::-1])
                if n not in question.measured
            ),
            ("val_accuracy", True),
        )
        also = [n for n in question.named if n in question.measured]
        models = store.models(question.where(), name, maximize, limit=OTHERS, also=also)
    return JSONResponse(_points(models, question, _families(store, question)))


def _question(
    request: Request,
    store: Store,
    kinds: Sequence[Kind],
    kind: str,
    job: str,
    axes: tuple[str, str],
    color: str,
    scale: str,
) -> Question:
    row = job_named(store, job) if job else None
    chosen = None
    if row is None:
        chosen = next((k for k in kinds if k.id == kind), None)
        if kind and chosen is None:
            raise Problem(404, f"There are no evaluations of the kind {kind!r:.80}.")
        chosen = chosen or (kinds[0] if kinds else None)
    own, directions = front_axes(row) if row else (("macs", "val_accuracy"), (False, True))
    known = dict(zip(own, directions))
    names = (axes[0] or own[0], axes[1] or own[-1])
    measured = {} if row and is_over_table(row) else {m.name: m for m in store.measured()}
    color = color or GROUPS[0]
    for name in (*names, color):
        if name not in (*known, *USUAL, *measured, *(GROUPS if name == color else ())):
            raise InvalidRequestError(
                f"An axis must be one of {', '.join((*USUAL, *known, *measured))}, but got "
                f"{name!r:.80}."
            )
    maximize = tuple(known.get(name, is_maximized(name) or False) for name in names)
    bounded = (*USUAL, *measured)
    texts = {n: request.query_params.get(f"bound_{n}", NO_BOUND).strip() for n in bounded}
    bounds = {n: _bound(n, text) for n, text in texts.items() if text}
    asked = [measured[n] for n in (*names, color, *bounds) if n in measured]
    ways = _ways(store, asked)
    return Question(
        kind=chosen,
        job=row,
        is_imagenet=is_imagenet(store, str(row.attributes.get("data_hash", "")))
        if row
        else bool(chosen and chosen.is_imagenet),
        names=names,
        maximize=(maximize[0], maximize[1]),
        bounds=bounds,
        texts=texts,
        color=color,
        log=scale != "linear",
        ties=request.query_params.get("ties") == "yes",
        measured=measured,
        ways=ways,
        way={part: _chosen(request, part, values) for part, values in ways.items()},
    )


def _ways(store: Store, asked: Sequence[Measured]) -> dict[str, list[str | int]]:
    """What differs in how metrics were measured, with its values."""
    found = [way for one in asked for way in store.ways(one.metric, one.device)]
    values = {
        part: [v for v in dict.fromkeys(getattr(way, part) for way in found) if v not in (None, "")]
        for part in WAYS
    }
    return {part: several for part, several in values.items() if len(several) > 1}


def _chosen(request: Request, part: str, values: Sequence[str | int]) -> str | int:
    """The way that is asked for, or else the first."""
    given = request.query_params.get(part, "")
    return next((value for value in values if str(value) == given), values[0])


def _bound(name: str, text: str) -> Bound:
    limit = parse_quantity(text.removesuffix("%").strip())
    if name in ACCURACIES:
        return Bound(name, limit / 100, at_most=False)
    return Bound(name, limit)


def _front(store: Store, question: Question) -> list[ModelRow]:
    if question.job is not None and is_over_table(question.job):
        return job_front(store, question.job, question.names, list(question.bounds.values()))
    if question.names[0] == question.names[1]:
        raise InvalidRequestError("The two axes of a front must differ.")
    return store.front(
        question.where(),
        question.names,
        question.maximize,
        ties=question.ties,
        also=question.also,
    )


def _axes(question: Question) -> dict[str, list[tuple[str, str]]]:
    """Metrics to choose from with their titles, under headings."""
    own = front_axes(question.job)[0] if question.job else ()
    costs = ("seconds", *COSTS)
    groups = {
        "The job's own": [n for n in own if n not in USUAL],
        "Accuracy": list(ACCURACIES),
        "Costs": [n for n in USUAL if n in costs],
    }
    for one in question.measured.values():
        groups.setdefault(f"Measured on {one.device_name}", []).append(one.name)
    titles = {n: metric(n.partition("@")[0]).title for names in groups.values() for n in names}
    return {k: [(n, titles[n]) for n in names] for k, names in groups.items() if names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A constraint as a slider and a text field.

    Args:
        low, high: The slider's ends: of a cost by logarithm, of an accuracy linear.
        position: Where it stands between them, in thousandths; at its end it is no constraint.
    """

    name: str
    label: str
    low: float
    high: float
    position: int
    text: str
    shown: str
    percent: bool


def _ranges(question: Question, models: Sequence[ModelRow]) -> list[Range]:
    """Sliders over what the front without constraints has, for costs and accuracy."""
    ranges = []
    named = (n for n in (*question.named, *question.bounds) if n in question.measured)
    for name in dict.fromkeys(("macs", "parameters", "memory_bytes", "val_accuracy", *named)):
        is_share, bound = name in ACCURACIES, question.bounds.get(name)
        values = [v for m in models if math.isfinite(v := value_of(m, name)) and v > 0]
        if not values or (is_share and not _is_share(models, name)):
            continue
        low, high = (0.0, 1.0) if is_share else (min(values), max(values))
        if low == high:
            low, high = low / 2, high * 2
        place = 0.0 if is_share else 1.0
        if bound is not None:
            limit = min(max(bound.limit, low), high)
            place = limit if is_share else math.log(limit / low) / math.log(high / low)
        ranges.append(
            Range(
                name=name,
                label=question.shown(name).title,
                low=low,
                high=high,
                position=round(1000 * place),
                text=question.texts[name],
                shown=shown(bound.limit, name) if bound else "any",
                percent=is_share,
            )
        )
    return ranges


def _row(model: ModelRow, question: Question) -> dict[str, Any]:
    extra = [n for n in question.named if n not in ("macs", "parameters", *ACCURACIES)]
    return {
        "name": model_name(model),
        "path": model_path(model),
        "model": model,
        "extra": [
            (question.shown(n).title, shown(value_of(model, n), n)) for n in dict.fromkeys(extra)
        ],
    }


def _families(store: Store, question: Question) -> dict[str, str]:
    """Which family a network is of, where they are to be told apart by it."""
    if question.color != "family":
        return {}
    found = store.families(question.job.id if question.job else None)
    return {m.architecture: f"{f.name or f.rule} {f.id[:4]}" for f in found for m in f.members}


def _document(store: Store, question: Question, models: Sequence[ModelRow]) -> dict[str, Any]:
    """What the plot is drawn from."""
    named = question.named
    metrics = [question.shown(name) for name in named]
    percent = [n in ACCURACIES and _is_share(models, n) for n in named]
    titles = [
        f"{m.title} ({m.unit})" if m.unit and (m.unit != "%" or is_share) else m.title
        for m, is_share in zip(metrics, percent)
    ]
    return {
        "front": _points(models, question, _families(store, question)),
        "titles": titles,
        "names": [m.title for m in metrics],
        "units": [
            "" if is_share or m.unit == "%" else m.unit for m, is_share in zip(metrics, percent)
        ],
        "percent": percent,
        "si": [m.si for m in metrics],
        "shades": question.shades,
        "log": question.log and question.names[0] not in ACCURACIES,
        "maximize": list(question.maximize),
        "references": references(question.names) if _with_references(question) else [],
    }


def _is_share(models: Sequence[ModelRow], name: str) -> bool:
    return all(value_of(m, name) <= 1 for m in models if math.isfinite(value_of(m, name)))


def _points(
    models: Sequence[ModelRow], question: Question, families: Mapping[str, str]
) -> dict[str, list[Any]]:
    parts = ("x", "y", "error", "name", "path", "group", "shade")
    columns: dict[str, list[Any]] = {n: [] for n in parts}
    for model in models:
        values = [value_of(model, name) for name in question.names]
        if not all(map(math.isfinite, values)):
            continue
        error = getattr(model, f"{question.names[1]}_se", None)
        group = {
            "job": model.job or "no job",
            "family": families.get(model.architecture or "", "no family"),
        }
        columns["x"].append(values[0])
        columns["y"].append(values[1])
        columns["error"].append(error or 0.0)
        columns["name"].append(model_name(model))
        columns["path"].append(model_path(model))
        columns["group"].append(group.get(question.color, ""))
        shade = value_of(model, question.color) if question.shades else math.nan
        columns["shade"].append(shade if math.isfinite(shade) else None)
    return columns


def _with_references(question: Question) -> bool:
    return bool(
        question.is_imagenet and question.names[0] in COSTS and question.names[1] in ACCURACIES
    )
