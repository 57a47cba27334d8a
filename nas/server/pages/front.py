"""The front of everything comparable: as a plot to ask questions of, and as a table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from nas.cost import COST_METRICS as COSTS
from nas.errors import InvalidRequestError
from nas.jobs.front import front_axes, is_over_table, job_front, value_of
from nas.plots.metrics import metric
from nas.quantity import Bound, parse_quantity
from nas.server.api.common import job_named
from nas.server.errors import Problem
from nas.server.pages.jobs import store_of
from nas.server.pages.names import Kind, is_imagenet, kinds_of, model_name, model_path
from nas.server.pages.render import PageRoute, Reader, page, shown
from nas.store import Filter, JobRow, ModelRow, Store

router = APIRouter(route_class=PageRoute, include_in_schema=False)

USUAL = (*COSTS, "val_accuracy", "test_accuracy", "seconds")
ACCURACIES = ("val_accuracy", "test_accuracy")
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

    def where(self) -> Filter:
        """The same as the store takes it."""
        return Filter(
            job=self.job.id if self.job else None,
            comparable=self.kind.id if self.kind and not self.job else None,
        ).within(self.bounds.values())


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
    unbound = _front(store, replace(question, bounds={}, ties=False)) if question.bounds else models
    document = _document(store, question, [m for m in models if not m.tied])
    return page(
        request,
        "front.html",
        question=question,
        kinds=kinds,
        count_to=COUNT_TO,
        jobs=store.list_jobs(limit=100),
        metrics=_metrics(question),
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
        models = store.models(
            question.where(), question.names[1], question.maximize[1], limit=OTHERS
        )
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
    for name in names:
        if name not in known and name not in USUAL:
            raise InvalidRequestError(
                f"An axis must be one of {', '.join((*USUAL, *known))}, but got {name!r:.80}."
            )
    maximize = tuple(known.get(name, name in ACCURACIES) for name in names)
    texts = {n: request.query_params.get(f"bound_{n}", NO_BOUND).strip() for n in USUAL}
    bounds = {n: _bound(n, text) for n, text in texts.items() if text}
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
        color=color if color in ("job", "family") else "none",
        log=scale != "linear",
        ties=request.query_params.get("ties") == "yes",
    )


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
    where = question.where()
    return store.front(where, question.names, question.maximize, ties=question.ties)


def _metrics(question: Question) -> list[tuple[str, str]]:
    own = front_axes(question.job)[0] if question.job else ()
    return [(name, metric(name).title) for name in dict.fromkeys((*own, *USUAL))]


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
    for name in ("macs", "parameters", "memory_bytes", "val_accuracy"):
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
                label=metric(name).title,
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
    extra = [n for n in question.names if n not in ("macs", "parameters", *ACCURACIES)]
    return {
        "name": model_name(model),
        "path": model_path(model),
        "model": model,
        "extra": [(n, shown(value_of(model, n), n)) for n in extra],
    }


def _families(store: Store, question: Question) -> dict[str, str]:
    """Which family a network is of, where they are to be told apart by it."""
    if question.color != "family":
        return {}
    found = store.families(question.job.id if question.job else None)
    return {m.architecture: f"{f.name or f.rule} {f.id[:4]}" for f in found for m in f.members}


def _document(store: Store, question: Question, models: Sequence[ModelRow]) -> dict[str, Any]:
    """What the plot is drawn from."""
    x, y = (metric(name) for name in question.names)
    percent = {n: n in ACCURACIES and _is_share(models, n) for n in question.names}
    titles = {
        axis: f"{m.title} ({m.unit})" if m.unit and (m.unit != "%" or percent[n]) else m.title
        for axis, m, n in zip("xy", (x, y), question.names)
    }
    return {
        "front": _points(models, question, _families(store, question)),
        "titles": titles,
        "names": [x.title, y.title],
        "percent": [percent[n] for n in question.names],
        "si": [x.si, y.si],
        "log": question.log and question.names[0] not in ACCURACIES,
        "maximize": list(question.maximize),
        "references": references(question.names) if _with_references(question) else [],
    }


def _is_share(models: Sequence[ModelRow], name: str) -> bool:
    return all(value_of(m, name) <= 1 for m in models if math.isfinite(value_of(m, name)))


def _points(
    models: Sequence[ModelRow], question: Question, families: Mapping[str, str]
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {n: [] for n in ("x", "y", "error", "name", "path", "group")}
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
    return columns


def _with_references(question: Question) -> bool:
    return bool(
        question.is_imagenet and question.names[0] in COSTS and question.names[1] in ACCURACIES
    )


def references(names: tuple[str, str]) -> list[dict[str, Any]]:
    """The papers' families as curves: published ImageNet accuracy against our exact costs."""
    return [
        {
            "name": family,
            "x": [getattr(costs, names[0]) for _, costs, _ in members],
            "y": [top1 / 100 for _, _, top1 in members],
            "labels": [name for name, _, _ in members],
        }
        for family, members in _published().items()
        if len(members) > 1
    ]


@cache
def _published() -> dict[str, list[tuple[str, Any, float]]]:
    from nas.cost import count
    from search_spaces.published import PUBLISHED

    found: dict[str, list[tuple[str, Any, float]]] = {}
    for entry in PUBLISHED.values():
        if entry.top1 is not None:
            found.setdefault(_family(entry.name), []).append(
                (entry.name, count(entry.architecture), entry.top1)
            )
    return {f: sorted(m, key=lambda item: item[1].macs) for f, m in found.items()}


def _family(name: str) -> str:
    """The family of a published network: members differ in size, or in one multiplier.

    >>> [_family(n) for n in ("efficientnet_b0", "efficientnet_v2_s", "mobilenet_v1_0.5_160")]
    ['efficientnet', 'efficientnet_v2 (S, M, L)', 'mobilenet_v1 0.5']
    """
    if name.startswith("mobilenet_v1_") and not re.match(r"mobilenet_v1_[\d.]+", name):
        return name  # the paper's networks beside the family
    if re.fullmatch("efficientnet_v2_[sml]", name):
        return "efficientnet_v2 (S, M, L)"
    if width := re.fullmatch(r"(mobilenet_v1)(?:_([\d.]+))?(?:_\d{3})?", name):
        return f"{width[1]} {float(width[2] or 1):g}"
    found = re.match(r"[a-z]+(_nas|_v\d|_lite)?(_large|_small|_a1|_b1)?", name)
    return found[0] if found else name
