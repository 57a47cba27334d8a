"""A job as an MLflow experiment: runs once each, with what the store holds."""

import shutil
import sys

import pytest

from nas.bridges.history import read_history
from nas.bridges.mlflow_runs import write
from nas.errors import InvalidRequestError
from nas.store import TrialEnd
from tests.nas.store.build import evaluation_row

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """MLflow's own tables, which it takes seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    from mlflow.tracking import MlflowClient

    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def target(empty, tmp_path):
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def runs(target):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=target)
    experiment = client.get_experiment_by_name("toy")
    found = client.search_runs([experiment.experiment_id], max_results=100)
    return client, {run.data.tags["nas.run"]: run for run in found}


def test_each_trial_and_member_is_a_run_under_the_job_s(history, job, target):
    written = write(history, target)
    assert written.trials == 7
    client, found = runs(target)
    assert set(found) == {job, *(f"{job}/{n}" for n in range(5)), f"{job}/main/0"}
    parent = found[job]
    assert {run.data.tags.get("mlflow.parentRunId") for run in found.values()} == {
        None,
        parent.info.run_id,
    }
    assert parent.info.status == "KILLED"  # it was stopped
    assert parent.data.params["recipe.epochs"] == "2"
    assert "compound" in parent.data.tags["nas.family.main"]
    done = found[f"{job}/0"]
    assert done.data.params == {"kernel": "3", "block": "mbconv"}
    assert done.data.metrics["macs"] == 1e6
    assert done.data.metrics["test_accuracy"] == 0.45
    assert next(v for k, v in done.data.metrics.items() if k.startswith("latency_ms_pixel")) == 2.5
    curve = client.get_metric_history(done.info.run_id, "curve.val_accuracy")
    assert [(point.step, point.value) for point in curve] == [(1, 0.25), (2, 0.5)]
    started = history.trials[0].row.started_at.timestamp()
    assert done.info.start_time == pytest.approx(started * 1000, abs=1)
    assert [found[f"{job}/{n}"].info.status for n in range(5)] == [
        *("FINISHED", "KILLED", "FINISHED", "FAILED", "RUNNING")
    ]
    assert found[f"{job}/main/0"].data.metrics["val_accuracy"] == 0.5


def test_written_again_only_what_changed_is_written(store, job, history, target):
    write(history, target)
    assert write(history, target).trials == 0
    row = evaluation_row(4, curve=({"epoch": 1, "val_accuracy": 0.7},), val_accuracy=0.7)
    store.finish_trial(
        job, TrialEnd(number=4, state="completed", values=(2.0, 0.7), evaluation=row)
    )
    # the trial, and the job's counts
    assert write(read_history(store, store.find_job(job)), target).trials == 2
    client, found = runs(target)
    assert len(found) == 7
    assert found[f"{job}/4"].info.status == "FINISHED"
    assert found[f"{job}/4"].data.metrics["val_accuracy"] == 0.7
    assert found[job].data.metrics["trials_completed"] == 2
    for number in (0, 4):
        run = found[f"{job}/{number}"].info.run_id
        assert len(client.get_metric_history(run, "val_accuracy")) == 1


def test_what_mlflow_would_not_take_is_cut_or_renamed(store, target):
    choices = {f"decision {n} @{'x' * 300}": "y" * 9_000 for n in range(120)}
    space = {"decisions": {name: [choice] for name, choice in choices.items()}, "finite": False}
    job = store.create_job("toy", {}, space)
    from nas.store import NewTrial

    store.add_trials(job.id, [NewTrial(number=0, choices=choices)])
    write(read_history(store, job), target)
    params = runs(target)[1][f"{job.id}/0"].data.params
    assert len(params) == 120
    assert {len(value) for value in params.values()} == {500}


def test_a_folder_and_a_missing_package_are_one_sentence(history, target, monkeypatch):
    with pytest.raises(InvalidRequestError, match="must be a URL"):
        write(history, "mlruns")
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(InvalidRequestError, match=r"pip install 'nas-scale\[mlflow\]'"):
        write(history, target)
