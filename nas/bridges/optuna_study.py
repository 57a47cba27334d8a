"""A job as an Optuna study: a journal, or an SQLite file, that Optuna Dashboard opens.

Optuna's own way into SQLite takes 18 ms of processor time a trial (20 parameters), a journal
0.5 ms. So Optuna makes the SQLite file and its study, and the trials go into its tables in bulk.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.bridges.history import History, TrialHistory, curve_of
from nas.errors import InvalidRequestError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

    from nas.bridges import Written

DEFAULT_TARGET = "optuna.db"
JOURNALS = (".journal", ".log", ".jsonl")
JOB = "nas_job"
SQLITE_HEADER = b"SQLite format 3\0"

_STATES = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    # an infeasible trial has no value of what was never measured, and Optuna's COMPLETE needs all
    "infeasible": TrialState.FAIL,
}


def write(history: History, target: str) -> Written:
    """Write a job as a study; the file may hold other studies, and the job's own is replaced.

    Args:
        target: A file: a journal if its name ends in .journal, .log or .jsonl, else SQLite.

    Raises:
        InvalidRequestError: If the file is something else, or has another study of that name.
    """
    from nas.bridges import Written

    path = Path(target)
    is_journal = path.suffix in JOURNALS
    _check_file(path, is_journal)
    name = f"{history.job.name} ({history.job.id})"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = _open(path, is_journal)
        study = _make_study(storage, history, name)
        trials = [as_optuna(history, trial) for trial in history.trials]
        if is_journal:
            study.add_trials(trials)
        else:
            _insert(storage, name, trials)
    finally:
        optuna.logging.set_verbosity(verbosity)
    url = str(path) if is_journal else f"sqlite:///{path}"
    return Written(
        name=name,
        target=target,
        trials=len(trials),
        open_with=f"optuna-dashboard {shlex.quote(url)}",
    )


def as_optuna(history: History, trial: TrialHistory) -> FrozenTrial:
    """One trial in Optuna's form: categorical parameters, constraints, the curve as its steps."""
    row = trial.row
    state = _STATES[row.state]
    is_done = state is TrialState.COMPLETE
    made = create_trial(
        state=state,
        values=list(row.values) if is_done and row.values is not None else None,
        params=dict(row.choices),
        distributions={name: _distribution(history, name) for name in row.choices},
        user_attrs=_user_attributes(trial),
        # the form that Optuna 3 to 5 and its dashboard read alike
        system_attrs={"constraints": history.violations(trial)} if history.bounds else {},
        intermediate_values={
            step: numbers["val_accuracy"]
            for step, numbers in curve_of(trial.evaluation)
            if "val_accuracy" in numbers
        },
    )
    started = row.started_at or row.created_at
    made.datetime_start = None if state is TrialState.WAITING else _local(started)
    made.datetime_complete = _local(row.ended_at or started) if state.is_finished() else None
    return made


def _local(time: datetime) -> datetime:
    """Optuna's times are local and without a zone."""
    return time.astimezone().replace(tzinfo=None)


def _distribution(history: History, name: str) -> BaseDistribution:
    return CategoricalDistribution(history.options[name])


def _user_attributes(trial: TrialHistory) -> dict[str, Any]:
    row = trial.row
    about = {
        "nas_trial": f"{row.job}/{row.number}",
        "nas_state": row.state,
        "architecture": row.architecture,
        "evaluation": row.evaluation,
        "reason": row.reason or None,
        "reused": row.reused or None,
        "fidelity": trial.evaluation.fidelity if trial.evaluation else None,
        "device": (trial.evaluation.device or None) if trial.evaluation else None,
    }
    return {k: v for k, v in about.items() if v is not None} | trial.metrics


def _check_file(path: Path, is_journal: bool) -> None:
    if not path.parent.is_dir():
        raise InvalidRequestError(
            f"The file {path} can't be made: the folder {path.parent} does not exist."
        )
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return
    if path.is_dir():
        raise InvalidRequestError(f"The target must be a file, but {path} is a folder.")
    with path.open("rb") as file:
        start = file.read(len(SQLITE_HEADER))
    fits = start[:1] == b"{" if is_journal else start == SQLITE_HEADER and _has_studies(path)
    if not fits:
        kind = "journal" if is_journal else "SQLite storage"
        raise InvalidRequestError(
            f"{path} is there and is not an Optuna {kind}; name another file "
            f"(a journal's ends in {', '.join(JOURNALS)})."
        )


def _has_studies(path: Path) -> bool:
    with sqlite3.connect(path) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE name IN ('studies', 'version_info')"
        return bool(connection.execute(query).fetchone()[0] == 2)


def _open(path: Path, is_journal: bool) -> BaseStorage:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if is_journal:
        return JournalStorage(JournalFileBackend(str(path)))
    return RDBStorage(f"sqlite:///{path}")


def _make_study(storage: BaseStorage, history: History, name: str) -> optuna.Study:
    job = history.job
    for summary in optuna.get_all_study_summaries(storage, include_best_trial=False):
        if summary.study_name == name:
            if summary.user_attrs.get(JOB) != job.id:
                raise InvalidRequestError(
                    f"The storage has a study {name!r} that is not this job's; name another file."
                )
            optuna.delete_study(study_name=name, storage=storage)
    objectives = job.objectives or ({"metric": "accuracy", "maximize": True},)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["maximize" if o["maximize"] else "minimize" for o in objectives],
    )
    study.set_user_attr(JOB, job.id)
    study.set_user_attr("owner", job.owner)
    study.set_user_attr("state", job.state)
    study.set_user_attr("constraints", [str(bound) for bound in history.bounds])
    study.set_user_attr("data", json.dumps(job.spec.get("data", "digits")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([str(o["metric"]) for o in objectives])
    return study


def _insert(storage: Any, study_name: str, trials: list[FrozenTrial]) -> None:
    """All trials into the tables that Optuna made, in one transaction."""
    from sqlalchemy import MetaData

    rdb: RDBStorage = storage
    study = rdb.get_study_id_from_name(study_name)
    tables = MetaData()
    tables.reflect(rdb.engine)
    with rdb.engine.begin() as connection:
        first = connection.exec_driver_sql("SELECT coalesce(max(trial_id), 0) FROM trials").scalar()
        rows = _rows(study, int(first or 0) + 1, trials)
        for table, content in rows.items():
            if content:
                connection.execute(tables.tables[table].insert(), content)
    rdb.remove_session()
    rdb.engine.dispose()


def _rows(study: int, first: int, trials: list[FrozenTrial]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {
        "trials": [],
        "trial_params": [],
        "trial_values": [],
        "trial_intermediate_values": [],
        "trial_user_attributes": [],
        "trial_system_attributes": [],
    }
    written: dict[tuple[str, BaseDistribution], str] = {}
    for number, trial in enumerate(trials):
        here = {"trial_id": first + number}
        times = {
            "datetime_start": trial.datetime_start,
            "datetime_complete": trial.datetime_complete,
        }
        rows["trials"].append(
            {
                **here,
                "number": number,
                "study_id": study,
                "state": trial.state.name,
                **{name: time and _stored(time) for name, time in times.items()},
            }
        )
        for name, choice in trial.params.items():
            how = trial.distributions[name]
            text = written.setdefault((name, how), distribution_to_json(how))
            value = how.to_internal_repr(choice)
            param = {"param_name": name, "param_value": value, "distribution_json": text}
            rows["trial_params"].append({**here, **param})
        for objective, value in enumerate(trial.values or ()):
            rows["trial_values"].append({**here, "objective": objective, **_number(value)})
        for step, value in trial.intermediate_values.items():
            fields = {f"intermediate_{k}": v for k, v in _number(value).items()}
            rows["trial_intermediate_values"].append({**here, "step": step, **fields})
        for table, attributes in (
            ("trial_user_attributes", trial.user_attrs),
            ("trial_system_attributes", trial.system_attrs),
        ):
            rows[table] += [
                {**here, "key": key, "value_json": json.dumps(value)}
                for key, value in attributes.items()
            ]
    return rows


def _number(value: float) -> dict[str, Any]:
    kinds = {float("inf"): "INF_POS", float("-inf"): "INF_NEG"}
    kind = kinds.get(value, "FINITE")
    return {"value": value if kind == "FINITE" else None, "value_type": kind}


def _stored(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None)
