"""Jobs: the list, one job as it goes, its trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from nas.errors import InvalidRequestError
from nas.jobs.front import SEARCHED, front_axes, is_over_table, job_front, value_of
from nas.jobs.truth import LIVE, find_truth
from nas.plots.figure import axis
from nas.plots.metrics import metric
from nas.server.api.common import job_named
from nas.server.errors import Problem
from nas.server.pages import charts
from nas.server.pages.names import dataset_name, model_name, model_path
from nas.server.pages.render import PageRoute, Reader, page, path_to
from nas.store import JobRow, ModelRow, Store, TrialRow

router = APIRouter(route_class=PageRoute, include_in_schema=False)

JOBS, TRIALS = 25, 50
STATES = ("completed", "running", "waiting", "pruned", "infeasible", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as a line of the list, or the head of its page.

    Args:
        total: Trials that it was asked for; None where that is not how it ends.
    """

    job: JobRow
    state: str
    message: str
    counts: Mapping[str, int]
    total: int | None
    live: bool

    @property
    def path(self) -> str:
        return path_to("jobs", self.job.id)

    @property
    def space(self) -> str:
        if is_over_table(self.job):
            return "a table"
        name = self.job.spec.get("space", self.job.space.get("name", "small_images"))
        return str(name) if isinstance(name, str) else "its own"

    @property
    def done(self) -> int:
        return self.counts.get("completed", 0) + self.counts.get("pruned", 0)

    @property
    def seconds_left(self) -> float | None:
        """What the other trials take at the speed so far; the stages after them are not in it."""
        if self.state != "running" or not (self.total and self.done and self.seconds):
            return None
        return self.seconds / self.done * max(0, self.total - self.done)

    @property
    def seconds(self) -> float | None:
        if self.job.started_at is None:
            return None
        end = self.job.ended_at or (datetime.now(UTC) if self.live else self.job.heartbeat_at)
        return (end - self.job.started_at).total_seconds() if end else None


def store_of(request: Request) -> Store:
    """The store that the server is over."""
    store: Store = request.app.state.store
    return store


@router.get("/")
def list_jobs(request: Request, reader: Reader, after: str = "") -> Response:
    """The jobs, the latest first."""
    store = store_of(request)
    last = _last_before(store, after)
    place = None if last is None else (last.created_at, last.id)
    jobs = store.list_jobs(limit=JOBS + 1, after=place)
    views = [view_of(store, job) for job in jobs[:JOBS]]
    more = len(jobs) > JOBS
    return page(
        request,
        "jobs.html",
        jobs=views,
        next_page=path_to("", after=views[-1].job.id) if more else "",
        first=last is None,
        live=any(view.live for view in views),
    )


@router.get("/jobs/{name}")
def show_job(request: Request, reader: Reader, name: str) -> Response:
    """One job: how it stands, its front, its families, what it was asked."""
    store = store_of(request)
    job = job_named(store, name)
    view = view_of(store, job)
    families = store.families(job.id)
    return page(
        request,
        "job.html",
        view=view,
        front=front_view(store, job, view),
        families=families,
        dataset=dataset_name(store, str(job.attributes.get("data_hash", ""))),
        spec=job_file(job),
        may_stop=reader.may("submit"),
        over_table=is_over_table(job),
    )


@router.get("/jobs/{name}/progress")
def progress(request: Request, reader: Reader, name: str) -> Response:
    """The hypervolume of the front over time, by itself: it is read after the page is there."""
    store = store_of(request)
    job = job_named(store, name)
    return page(request, "progress.html", view=view_of(store, job), chart=_volumes(store, job))


@router.get("/jobs/{name}/trials")
def list_trials(
    request: Request,
    reader: Reader,
    name: str,
    after: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
    state: str = "",
) -> Response:
    """Trials by their numbers."""
    store = store_of(request)
    job = job_named(store, name)
    rows = store.trials(job.id, after=after, limit=TRIALS + 1, state=state or None)
    shown = rows[:TRIALS]
    more = len(rows) > TRIALS
    return page(
        request,
        "trials.html",
        job=job,
        trials=shown,
        objectives=[str(o["metric"]) for o in job.objectives],
        state_asked=state,
        states=STATES,
        next_page=_trials_path(job, shown[-1].number, state) if more else "",
        first=after < 0,
    )


@router.get("/jobs/{name}/trials/{number}")
def show_trial(
    request: Request, reader: Reader, name: str, number: Annotated[int, Path(ge=0, lt=2**31)]
) -> Response:
    """One trial: what was chosen, and what came of it."""
    store = store_of(request)
    job = job_named(store, name)
    trial = store.trial(job.id, number)
    if trial is None:
        raise Problem(404, f"Job {job.name} has no trial {number}.")
    evaluation = store.evaluation(trial.evaluation) if trial.evaluation else None
    named = zip([str(o["metric"]) for o in job.objectives], trial.values or ())
    return page(
        request,
        "trial.html",
        job=job,
        trial=trial,
        evaluation=evaluation,
        values=dict(named),
        errors=trial.errors,
    )


def _last_before(store: Store, job_id: str) -> JobRow | None:
    """The last job of the page before, if it is still there."""
    try:
        found = store.find_job(job_id) if job_id else None
    except InvalidRequestError:
        return None
    return found if found is not None and found.id == job_id else None


def view_of(store: Store, job: JobRow) -> JobView:
    """A job with where it really stands."""
    truth = find_truth(store, job)
    total = job.spec.get("search", {}).get("trials", 50) if job.kind != "scale" else None
    return JobView(
        job=job,
        state=truth.state,
        message=truth.message,
        counts=store.count_trials(job.id, SEARCHED if total is not None else None),
        total=total,
        live=truth.state in LIVE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontView:
    """A front as a chart and a table of the same models."""

    rows: Sequence[tuple[str, str, ModelRow, tuple[tuple[str, float], ...]]]
    names: tuple[str, ...]
    titles: tuple[str, ...]
    best: float | None
    chart: Markup
    left_out: int


MOST_ROWS = 60


def front_view(store: Store, job: JobRow, view: JobView) -> FrontView | None:
    """The front of a job's search by its own objectives."""
    if not view.counts.get("completed"):
        return None
    names, _ = front_axes(job)
    models = job_front(store, job)
    rows = [
        (model_name(m), model_path(m), m, tuple((n, value_of(m, n)) for n in names))
        for m in models[:MOST_ROWS]
    ]
    chart = _front_chart(models, names) if len(names) > 1 else Markup("")
    titles = tuple(metric(n).title for n in names)
    left_out = len(models) - len(rows)
    best = max((m.val_accuracy for m in models if m.val_accuracy is not None), default=None)
    return FrontView(
        rows=rows, names=names, titles=titles, best=best, chart=chart, left_out=left_out
    )


def _front_chart(models: Sequence[ModelRow], names: Sequence[str]) -> Markup:
    x, y = metric(names[0]), metric(names[-1])
    values = [(value_of(m, names[0]), value_of(m, names[-1]), m) for m in models]
    values = [v for v in values if math.isfinite(v[0]) and math.isfinite(v[1])]
    own_scale = any(v[1] > 1 for v in values)
    scale = 1.0 if own_scale else y.scale
    points = sorted(
        (
            charts.Point(
                x=cost * x.scale,
                y=value * scale,
                error=_error(m, names[-1]) * scale,
                title=f"{model_name(m)}: {y.title} {value * scale:.4g}, {x.title} {x.format(cost)}",
                href=model_path(m),
            )
            for cost, value, m in values
        ),
        key=lambda p: p.x,
    )
    if len(names) > 2:
        line = charts.Line(label="Front", points=points, kind="marks")
    else:
        line = charts.Line(label="Front", points=points, kind="stairs")
    axes = (
        axis(x, [p.x for p in points]),
        replace(axis(y), title=y.title if own_scale else _named(y)),
    )
    return charts.line_chart([line], *axes, f"{y.title} against {x.title}")


def _named(shown: Any) -> str:
    return f"{shown.title} ({shown.unit})" if shown.unit else str(shown.title)


def _error(model: ModelRow, name: str) -> float:
    return float(getattr(model, f"{name}_se", None) or 0.0)


def _volumes(store: Store, job: JobRow) -> Markup:
    """Hypervolume by seconds since the job began; one point a trial that raised it."""
    from nas.search.progress import RunningFront
    from nas.search.samplers.contract import ObjectiveSpec

    if job.reference is None or not job.objectives:
        return Markup("")
    front = RunningFront([ObjectiveSpec(**objective) for objective in job.objectives])
    begin = job.started_at or job.created_at
    points: list[charts.Point] = []
    ended = [t for t in store.trials(job.id, ("search", "known")) if t.ended_at and t.values]
    last = 0.0
    for trial in sorted(ended, key=_end):
        assert trial.values is not None
        last = (_end(trial)[0] - begin).total_seconds()
        if front.add(trial.values):
            volume = front.hypervolume(job.reference)
            points.append(
                charts.Point(x=last, y=volume, title=f"trial {trial.number}: {volume:.4g}")
            )
    if not points:
        return Markup("")
    if last > points[-1].x:
        points.append(charts.Point(x=last, y=points[-1].y))
    unit, size = ("hours", 3600.0) if last > 7200 else ("minutes", 60.0) if last > 120 else ("s", 1)
    points = [replace(p, x=p.x / size) for p in points]
    line = charts.Line(label="Hypervolume", points=points, kind="step")
    title = f"Time since the start ({unit})"
    x = replace(axis(metric("hypervolume")), title=title, limits=(0.0, last / size))
    y = replace(axis(metric("hypervolume")), title="Hypervolume")
    return charts.line_chart([line], x, y, "Hypervolume of the front over time")


def _end(trial: TrialRow) -> tuple[datetime, int]:
    assert trial.ended_at is not None
    return trial.ended_at, trial.number


def job_file(job: JobRow) -> str:
    """What a job was asked, as the text of a job file."""
    import yaml

    return yaml.safe_dump(dict(job.spec), sort_keys=False, allow_unicode=True)


def _trials_path(job: JobRow, after: int, state: str) -> str:
    return path_to("jobs", job.id, "trials", after=after, state=state)
