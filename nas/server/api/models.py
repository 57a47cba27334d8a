"""Models: the front, the best under bounds, lists, and one set against others."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from nas.documents import ModelPage
from nas.errors import InvalidRequestError
from nas.jobs.front import (
    ACCURACY,
    front_axes,
    is_over_table,
    job_front,
    job_models,
    job_reference,
)
from nas.quantity import Bound, parse_bound
from nas.server.api.architectures import evaluation_document
from nas.server.api.common import JobName, Reader, TheSettings, TheStore, job_named
from nas.server.errors import Problem
from nas.server.together import Together
from nas.store import (
    Added,
    Comparable,
    EvaluationRow,
    Filter,
    JobRow,
    Measured,
    ModelRow,
    Store,
    VolumePoint,
)
from nas.store.models import USUAL

router = APIRouter(tags=["models"])
_ROWS = TypeAdapter(list[ModelRow])
ORIGINS: dict[str, tuple[str, ...] | None] = {
    "search": ("search", "known"),
    "family": ("family",),
    "both": ("search", "known", "family"),
    "all": None,
}
NARROWING = (
    *("dataset", "split", "recipe", "evaluator", "train_on", "fidelity", "architecture"),
    *("space", "family", "since", "until"),
    *("device", "runtime", "precision", "batch_size", "threads"),
)
"""Fields of a query that a `Filter` has by the same name."""
Part = Literal["dataset", "split", "recipe", "evaluator", "train_on", "fidelity"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
EvaluationKey = Annotated[str, Path(max_length=100, description="`evaluation` of a model.")]


class Narrowed(BaseModel):
    """Which models a question is about; what is left out doesn't narrow it."""

    model_config = ConfigDict(extra="forbid")

    job: Name | None = Field(None, description="Id, the beginning of one, or a name.")
    of: Literal["search", "family", "both", "all"] = Field(
        "search", description="With `job`: of which of its trials."
    )
    kind: Name | None = Field(None, description="`id` of one of `/v1/kinds`.")
    dataset: Name | None = Field(None, description="Name, content hash, or its beginning.")
    split: Name | None = None
    recipe: Name | None = Field(None, description="Digest or its beginning.")
    evaluator: Name | None = None
    train_on: Name | None = None
    fidelity: float | None = Field(None, allow_inf_nan=False)
    architecture: Name | None = Field(None, description="Fingerprint.")
    space: Name | None = Field(None, description="Name of the space that was searched.")
    family: Name | None = Field(None, description="Id, or a name with `job`.")
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    device: Name | None = Field(None, description="That metrics such as latency_ms are of.")
    runtime: Name | None = None
    precision: Name | None = None
    batch_size: int | None = Field(None, ge=1, lt=2**31)
    threads: int | None = Field(None, ge=1, lt=2**31)
    where: list[Name] = Field(
        default_factory=list, max_length=20, description="Bounds, as `macs <= 300M`."
    )
    mixed: list[Part] = Field(
        default_factory=list, description="Compare what differs in these all the same."
    )


class FrontQuery(Narrowed):
    """A front of two metrics."""

    x: Name | None = Field(None, description="Such as macs, or `score: maximize`.")
    y: Name | None = Field(None, description="Such as val_accuracy.")
    ties: bool = Field(False, description="Add dominated models within the errors, as `tied`.")


class ListQuery(Narrowed):
    """A list, the best first."""

    sort: Name | None = Field(None, description="Metric; default the job's first, or accuracy.")
    limit: int = Field(50, ge=1, le=10_000)
    after: str | None = Field(None, max_length=600, description="`after` of the page before.")


class BestQuery(Narrowed):
    """The best by one metric within bounds."""

    metric: Name = "val_accuracy"
    limit: int = Field(1, ge=1, le=100)


class AgainstQuery(FrontQuery):
    """What is set against a model."""

    limit: int = Field(10, ge=1, le=100)


@router.get("/kinds")
def kinds(reader: Reader, store: TheStore) -> list[Comparable]:
    """What may be compared with each other: data set, recipe and fidelity, the largest first."""
    return store.comparables()


@router.get("/measured")
def measured(reader: Reader, store: TheStore) -> list[Measured]:
    """Metrics that were measured on devices; as `METRIC@DEVICE` they are axes and bounds."""
    return store.measured()


@router.get("/front", response_model=list[ModelRow], responses={404: {}})
async def front(
    reader: Reader, request: Request, store: TheStore, query: Annotated[FrontQuery, Query()]
) -> Response:
    """The models that no other beats in both metrics, the best by the first of them first.

    Without `x` and `y` a job's own objectives, else MACs and validation accuracy.
    """
    together: Together = request.app.state.together
    key = ("front", query.model_dump_json())
    body = await together.ask(key, lambda: _ROWS.dump_json(_front(store, query)))
    return Response(body, media_type="application/json")


def _front(store: Store, query: FrontQuery) -> list[ModelRow]:
    job = _job(store, query)
    names, maximize = _axes(query, job)
    if job is not None and is_over_table(job):
        _check_of_table(query)
        return job_front(store, job, names, _bounds(query))
    return store.front(_filter(query, job), names, maximize, ties=query.ties)


@router.get("/models", responses={404: {}})
def models(
    reader: Reader, store: TheStore, settings: TheSettings, query: Annotated[ListQuery, Query()]
) -> ModelPage:
    """Evaluated models, the best by one metric first; those without it come last."""
    job, limit = _job(store, query), min(query.limit, settings.limits.rows)
    name, maximize = _metric(query.sort) if query.sort else (None, None)
    if job is not None and is_over_table(job):
        _check_of_table(query)
        return ModelPage(
            rows=tuple(job_models(store, job, name, _bounds(query), limit)), after=None
        )
    where, name = _filter(query, job), name or "val_accuracy"
    page = store.page(where, name, _direction(name, maximize, job), limit=limit, after=query.after)
    return ModelPage(rows=page.rows, after=page.after)


@router.get("/models/best", responses={404: {}})
def best(reader: Reader, store: TheStore, query: Annotated[BestQuery, Query()]) -> list[ModelRow]:
    """The best within bounds, as under 300 M MACs and 10 ms; of equals the cheaper."""
    job = _job(store, query)
    name, maximize = _metric(query.metric)
    direction = _direction(name, maximize, job)
    return store.best(_filter(query, job), name, direction, limit=query.limit)


@router.get("/models/{evaluation}", responses={404: {}})
def model(reader: Reader, store: TheStore, evaluation: EvaluationKey) -> EvaluationRow:
    """One evaluation with everything that was measured in it."""
    row = store.evaluation(evaluation)
    if row is None:
        raise Problem(404, f"There is no evaluation {evaluation!r:.110}.")
    return evaluation_document(row)


@router.get("/models/{evaluation}/nearest", responses={404: {}})
def nearest(
    reader: Reader,
    store: TheStore,
    evaluation: EvaluationKey,
    query: Annotated[AgainstQuery, Query()],
) -> list[ModelRow]:
    """The models nearest to one that are cheaper by the first metric."""
    job, names, maximize = _against(store, evaluation, query)
    return store.nearest(evaluation, _filter(query, job), names, maximize, limit=query.limit)


@router.get("/models/{evaluation}/dominating", responses={404: {}})
def dominating(
    reader: Reader,
    store: TheStore,
    evaluation: EvaluationKey,
    query: Annotated[AgainstQuery, Query()],
) -> list[ModelRow]:
    """The models that are at least as good as one in both metrics, and better in one."""
    job, names, maximize = _against(store, evaluation, query)
    return store.dominating(evaluation, _filter(query, job), names, maximize, limit=query.limit)


@router.get("/jobs/{job}/added", responses={404: {}})
def added(
    reader: Reader,
    store: TheStore,
    job: JobName,
    to: Annotated[str, Query(max_length=64, description="The job that was there first.")],
) -> Added:
    """What a job added to another's front: models, and those of the other that they displace."""
    second, first = job_named(store, job), job_named(store, to)
    _check_networks(second)
    _check_networks(first)
    names, maximize = front_axes(first)
    return store.added(first.id, second.id, Filter(), names, maximize)


@router.get("/jobs/{job}/hypervolume", responses={404: {}})
def hypervolume(reader: Reader, store: TheStore, job: JobName) -> list[VolumePoint]:
    """How the hypervolume of a job's front grew, a point for each trial that changed it."""
    row = job_named(store, job)
    _check_networks(row)
    names, maximize = front_axes(row)
    reference = job_reference(row)
    if reference is None:
        raise Problem(422, f"Job {row.name} ({row.id}) has no reference point yet.", "job")
    return store.hypervolume_over_time(row.id, reference, names, maximize)


def _job(store: Store, query: Narrowed) -> JobRow | None:
    return None if query.job is None else job_named(store, query.job)


def _filter(query: Narrowed, job: JobRow | None) -> Filter:
    return Filter(
        job=None if job is None else job.id,
        origins=ORIGINS[query.of],
        comparable=query.kind,
        mixed=tuple(query.mixed) or (query.of == "both"),
        **{name: getattr(query, name) for name in NARROWING},
    ).within(_bounds(query))


def _bounds(query: Narrowed) -> list[Bound]:
    found = []
    for number, text in enumerate(query.where):
        metric = re.split("<=|>=", text)[0].strip()
        try:
            found.append(parse_bound(text, {metric}))
        except InvalidRequestError as error:
            raise Problem(422, str(error), f"where.{number}") from None
    return found


def _metric(text: str) -> tuple[str, bool | None]:
    """A metric, and its direction where it has one: `score: maximize`."""
    name, _, direction = (part.strip() for part in text.partition(":"))
    if direction not in ("", "maximize", "minimize"):
        raise Problem(422, f"A direction is maximize or minimize, but got {text!r:.80}.", "x")
    return ACCURACY.get(name, name), direction == "maximize" if direction else None


def _direction(name: str, maximize: bool | None, job: JobRow | None) -> bool | None:
    if maximize is not None or job is None:
        return maximize
    return dict(zip(*front_axes(job))).get(name)


def _axes(query: FrontQuery, job: JobRow | None) -> tuple[tuple[str, ...], Any]:
    """Metrics of a front and their directions; None leaves a direction to the store."""
    own, directions = front_axes(job) if job is not None else (USUAL, (False, True))
    if query.x is None and query.y is None:
        return own, directions
    axes = [_metric(query.x or own[0]), _metric(query.y or own[-1])]
    if axes[0][0] == axes[1][0]:
        raise Problem(422, "The two metrics of a front must differ.", "y")
    known = dict(zip(own, directions))
    names = tuple(name for name, _ in axes)
    return names, tuple(known.get(name) if given is None else given for name, given in axes)


def _against(
    store: Store, evaluation: str, query: AgainstQuery
) -> tuple[JobRow | None, tuple[str, ...], Any]:
    if store.model(evaluation) is None:
        raise Problem(404, f"There is no completed evaluation {evaluation!r:.110}.")
    job = _job(store, query)
    if job is not None:
        _check_networks(job)
    return job, *_axes(query, job)


def _check_networks(job: JobRow) -> None:
    if is_over_table(job):
        raise Problem(422, f"Job {job.name} ({job.id}) is over a table: it has no networks.", "job")


def _check_of_table(query: Narrowed) -> None:
    """A table's rows have no data set, device and the like."""
    narrowed = query.model_fields_set - {"job", "where", "x", "y", "sort", "limit", "of", "ties"}
    if narrowed:
        name = min(narrowed)
        raise Problem(422, f"A job over a table is narrowed by `where` only, not {name}.", name)
