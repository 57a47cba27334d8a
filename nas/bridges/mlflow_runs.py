"""A job as an MLflow experiment: one run for the job, a nested run for each trial and member.

A run is found again by its tags, so writing a job twice brings the runs up to date.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nas.bridges.history import History, curve_of
from nas.errors import InvalidRequestError
from nas.store import EvaluationRow

if TYPE_CHECKING:
    from nas.bridges import Written

DEFAULT_TARGET = "sqlite:///mlflow.db"
NAME_LENGTH, VALUE_LENGTH = 250, 500
METRICS_AT_ONCE, REST_AT_ONCE = 800, 90  # MLflow takes 1,000 and 100 in one call
RUN, DIGEST, PARENT = "nas.run", "nas.digest", "mlflow.parentRunId"

_STATUS = {"completed": "FINISHED", "running": "RUNNING", "waiting": "SCHEDULED"}
_ENDED_OTHERWISE = {"stopped": "KILLED", "pruned": "KILLED", "infeasible": "FINISHED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run as it should stand.

    Args:
        id: Tells it from the other runs of its job.
        curve: (step, metric, value), the learning curve.
    """

    id: str
    name: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[tuple[int, str, float], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The same while nothing of it has changed."""
        parts = [self.status, self.params, self.metrics, self.curve, self.tags]
        text = json.dumps([*parts, str(self.ended_at)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(history: History, target: str) -> Written:
    """Write a job as an experiment of its name, or bring it up to date.

    Args:
        target: MLflow's tracking URI: an SQLite or PostgreSQL URL, or a server's address.

    Raises:
        InvalidRequestError: If MLflow is not installed, or refuses the target.
    """
    from nas.bridges import Written

    client = _client(target)
    from mlflow.exceptions import MlflowException

    job = history.job
    try:
        experiment = client.get_experiment_by_name(job.name)
        if experiment is not None and experiment.lifecycle_stage != "active":
            raise InvalidRequestError(
                f"MLflow's experiment {job.name!r} is deleted; restore it, or remove it for good."
            )
        number = experiment.experiment_id if experiment else client.create_experiment(job.name)
        there = _runs_of(client, number, job.id)
        parent, changed = _write_run(client, number, _job_run(history), there, None)
        for run in (*_trial_runs(history), *_member_runs(history)):
            changed += _write_run(client, number, run, there, parent)[1]
    except MlflowException as error:
        cause = str(error).splitlines()[0].rstrip(".")
        raise InvalidRequestError(f"MLflow refused {_shown(target)}: {cause}.") from None
    shown = shlex.quote(_shown(target))
    return Written(
        name=job.name,
        target=_shown(target),
        trials=changed,
        open_with=f"mlflow ui --backend-store-uri {shown}  (from the package mlflow)",
    )


def _client(target: str) -> Any:
    if "://" not in target and not target.startswith("databricks"):
        raise InvalidRequestError(
            f"`--tracking-uri` must be a URL, but got {target!r}; MLflow no longer writes "
            f"folders: write sqlite:///mlflow.db or a server's http://HOST:PORT."
        )
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would call home
    try:
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise InvalidRequestError(
            "The bridge to MLflow needs the package mlflow-skinny; install it with "
            "pip install 'nas-scale[mlflow]'."
        ) from None
    import logging

    for name in ("mlflow", "alembic"):  # each tells of every table that it makes
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=target)


def _shown(target: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", target)


def _job_run(history: History) -> Run:
    job = history.job
    search = job.spec.get("search", {})
    params = {f"search.{key}": _text(value) for key, value in search.items()}
    params |= {
        f"recipe.{key}": _text(value) for key, value in dict(job.spec.get("recipe", {})).items()
    }
    states: dict[str, float] = {}
    for trial in history.trials:
        states[f"trials_{trial.row.state}"] = states.get(f"trials_{trial.row.state}", 0.0) + 1.0
    accuracies = [t.metrics["val_accuracy"] for t in history.trials if "val_accuracy" in t.metrics]
    best = {"best_val_accuracy": max(accuracies)} if accuracies else {}
    tags = {"kind": job.kind, "owner": job.owner, "state": job.state, "message": job.message}
    tags["objectives"] = ", ".join(
        f"{o['metric']} ({'maximize' if o['maximize'] else 'minimize'})" for o in job.objectives
    )
    tags |= {
        f"family.{f.name}": _text({"rule": f.rule, **f.coefficients}) for f in history.families
    }
    return Run(
        id=job.id,
        name=f"{job.name} ({job.id})",
        status=_status(job.state),
        started_at=job.started_at or job.created_at,
        ended_at=job.ended_at,
        params=params,
        metrics={**states, **best},
        tags=tags,
    )


def _trial_runs(history: History) -> Iterator[Run]:
    for trial in history.trials:
        row = trial.row
        yield Run(
            id=f"{row.job}/{row.number}",
            name=f"trial {row.number}",
            status=_status(row.state),
            started_at=row.started_at or row.created_at,
            ended_at=row.ended_at,
            params={name: _text(choice) for name, choice in row.choices.items()},
            metrics=trial.metrics,
            curve=_curve(trial.evaluation),
            tags={
                "kind": row.origin,
                "state": row.state,
                "reason": row.reason,
                "architecture": row.architecture or "",
                **_about(trial.evaluation),
            },
        )


def _member_runs(history: History) -> Iterator[Run]:
    for family in history.families:
        for member in family.members:
            evaluation = history.members.get(member.evaluation or "")
            metrics = {
                name: float(value)
                for name in ("macs", "parameters", "resolution", "val_accuracy", "test_accuracy")
                if (value := getattr(member, name)) is not None
            }
            given = {"phi": member.phi, "target": member.target, **member.multipliers}
            yield Run(
                id=f"{family.job}/{family.name}/{member.number}",
                name=f"{family.name} {member.name or member.number}",
                status="FINISHED" if evaluation else "SCHEDULED",
                started_at=family.created_at,
                ended_at=evaluation.created_at if evaluation else None,
                params={name: _text(value) for name, value in given.items() if value is not None},
                metrics=metrics,
                curve=_curve(evaluation),
                tags={
                    "kind": "member",
                    "family": family.name,
                    "rule": family.rule,
                    "architecture": member.architecture,
                    **_about(evaluation),
                },
            )


def _about(evaluation: EvaluationRow | None) -> dict[str, str]:
    if evaluation is None:
        return {}
    names = ("dataset", "recipe", "evaluator", "device")
    return {"evaluation": evaluation.key, **{n: getattr(evaluation, n) for n in names}}


def _curve(evaluation: EvaluationRow | None) -> tuple[tuple[int, str, float], ...]:
    return tuple(
        (step, f"curve.{name}", value)
        for step, numbers in curve_of(evaluation)
        for name, value in numbers.items()
    )


def _status(state: str) -> str:
    return _STATUS.get(state) or _ENDED_OTHERWISE.get(state, "FAILED")


def _runs_of(client: Any, experiment: str, job: str) -> dict[str, Any]:
    """The runs of a job that are there, by what tells them apart."""
    found: dict[str, Any] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`nas.job` = '{job}'", max_results=1_000, page_token=token
        )
        found |= {run.data.tags[RUN]: run for run in page if RUN in run.data.tags}
        token = page.token
        if not token:
            return found


def _write_run(
    client: Any, experiment: str, run: Run, there: Mapping[str, Any], parent: str | None
) -> tuple[str, int]:
    """Write one run or what has changed of it; returns its id in MLflow, and 1 if it changed."""
    from mlflow.entities import Metric, Param, RunTag

    known = there.get(run.id)
    if known is not None and known.data.tags.get(DIGEST) == run.digest:
        return known.info.run_id, 0
    if known is None:
        tags = {RUN: run.id, "nas.job": run.id.partition("/")[0]}
        tags |= {PARENT: parent} if parent is not None else {}
        known = client.create_run(
            experiment, start_time=_milliseconds(run.started_at), tags=tags, run_name=run.name
        )
    number, time = known.info.run_id, _milliseconds(run.ended_at or run.started_at)
    before = known.data.metrics
    points = [
        Metric(_name(name), value, time, 0)
        for name, value in run.metrics.items()
        if before.get(_name(name)) != value
    ]
    # MLflow keeps every point that it is given: a curve is written once, when it is whole
    points += [
        Metric(_name(name), value, time, step)
        for step, name, value in run.curve
        if _name(name) not in before
    ]
    params = [
        Param(_name(name), value[:VALUE_LENGTH])
        for name, value in run.params.items()
        if _name(name) not in known.data.params
    ]
    tags_now = [
        RunTag(_name(f"nas.{name}"), value[:VALUE_LENGTH])
        for name, value in run.tags.items()
        if value
    ]
    if run.status in ("RUNNING", "SCHEDULED"):
        client.update_run(number, status=run.status)
    else:
        client.set_terminated(number, run.status, end_time=time)
    # the digest comes last: a run that was cut short is written again
    last_tags = [*tags_now[:REST_AT_ONCE], RunTag(DIGEST, run.digest)]
    points, last_points = points[:-METRICS_AT_ONCE], points[-METRICS_AT_ONCE:]
    params, last_params = params[:-REST_AT_ONCE], params[-REST_AT_ONCE:]
    for some in _chunks(points, METRICS_AT_ONCE):
        client.log_batch(number, metrics=some)
    for some in _chunks(params, REST_AT_ONCE):
        client.log_batch(number, params=some)
    client.log_batch(number, metrics=last_points, params=last_params, tags=last_tags)
    return number, 1


def _chunks(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _name(name: str) -> str:
    """A name as MLflow takes it; one that had to be changed says which it was by its end.

    >>> _name("latency_ms"), _name("latency@pixel/fp16")
    ('latency_ms', 'latency_pixel_fp16_de2e')
    """
    changed = re.sub(r"[^\w\-. :]", "_", name).lstrip(".")[: NAME_LENGTH - 5]
    if changed == name:
        return name
    return f"{changed}_{hashlib.sha256(name.encode()).hexdigest()[:4]}"
