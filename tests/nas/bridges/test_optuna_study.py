"""A job as an Optuna study: Optuna and its dashboard read what the store holds."""

import json
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.trial import TrialState

from nas.bridges.optuna_study import as_optuna, write
from nas.errors import InvalidRequestError
from nas.store import Store, TrialEnd

TARGETS = ["optuna.db", "optuna.journal"]


def load(path, name):
    if path.suffix == ".db":
        storage = f"sqlite:///{path}"
    else:
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name=name, storage=storage)


@pytest.fixture(params=TARGETS)
def path(request, tmp_path):
    return tmp_path / request.param


def test_optuna_finds_every_trial_as_it_was(history, path):
    written = write(history, str(path))
    study = load(path, written.name)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["macs", "accuracy"]
    done, pruned, infeasible, failed, running = study.trials
    assert [t.state for t in study.trials] == [
        *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL),
        TrialState.RUNNING,
    ]
    assert done.values == [1e6, 0.5]
    assert done.params == {"kernel": 3, "block": "mbconv"}
    assert done.distributions["kernel"].choices == (3, 5, 7)
    assert done.distributions["block"].choices == ("mbconv", "fused")
    row = history.trials[0].row
    assert done.user_attrs["architecture"] == row.architecture
    assert done.user_attrs["nas_trial"] == f"{history.job.id}/0"
    assert (done.user_attrs["macs"], done.user_attrs["parameters"]) == (1e6, 7)
    assert done.user_attrs["test_accuracy"] == 0.45
    assert done.datetime_start.timestamp() == pytest.approx(row.started_at.timestamp())
    assert done.datetime_complete.timestamp() == pytest.approx(row.ended_at.timestamp())
    assert pruned.intermediate_values == {1: 0.25, 2: 0.5}
    assert infeasible.user_attrs["reason"] == "macs 2 M > 1 M"
    assert failed.user_attrs["reason"] == "out of memory"
    assert running.datetime_complete is None
    # feasible up to and with 1,000,001 MACs, as the third network is not
    assert [next(iter(t.constraints.values())) <= 0 for t in study.trials] == [
        *(True, True, False, False, False)
    ]
    assert [t.number for t in study.best_trials] == [0]


def test_both_forms_hold_the_same_as_optuna_itself_would_write(history, tmp_path):
    own = optuna.create_study(directions=["minimize", "maximize"])
    own.add_trials([as_optuna(history, trial) for trial in history.trials])
    for name in TARGETS:
        study = load(tmp_path / name, write(history, str(tmp_path / name)).name)
        for ours, theirs in zip(study.trials, own.trials, strict=True):
            ours._trial_id = theirs._trial_id
            assert ours == theirs


def test_written_again_a_study_is_brought_up_to_date_beside_others(store, job, history, path):
    from nas.bridges.history import read_history

    name = write(history, str(path)).name
    other = store.create_job("other", {}, {}, objectives=history.job.objectives)
    write(read_history(store, other), str(path))
    store.finish_trial(job, TrialEnd(number=4, state="failed"))
    write(read_history(store, store.find_job(job)), str(path))
    states = [trial.state for trial in load(path, name).trials]
    assert len(states) == 5
    assert states[4] == TrialState.FAIL
    assert load(path, f"other ({other.id})").trials == []


def test_a_file_that_is_something_else_is_left_alone(history, sqlite_url, tmp_path):
    ours = sqlite_url.removeprefix("sqlite:///")
    notes = tmp_path / "notes.log"
    notes.write_text("dear diary")
    for target in (ours, str(notes)):
        before = Path(target).read_bytes()
        with pytest.raises(InvalidRequestError, match="is not an Optuna"):
            write(history, target)
        assert Path(target).read_bytes() == before
    with pytest.raises(InvalidRequestError, match="does not exist"):
        write(history, str(tmp_path / "none" / "x.db"))
    assert Store.open(sqlite_url).find_job("toy")


def test_a_search_goes_on_in_optuna(history, path):
    study = load(path, write(history, str(path)).name)
    study.sampler = optuna.samplers.NSGAIISampler(seed=0)
    trial = study.ask(fixed_distributions=study.trials[0].distributions)
    study.tell(trial, [5.0, 0.1])
    assert study.trials[-1].number == 5


def test_the_dashboard_shows_the_study(history, path):
    dashboard = pytest.importorskip("optuna_dashboard")
    name = write(history, str(path)).name
    app = dashboard.wsgi(f"sqlite:///{path}" if path.suffix == ".db" else str(path))
    (summary,) = ask(app, "/api/studies")["study_summaries"]
    assert summary["study_name"] == name
    shown = ask(app, f"/api/studies/{summary['study_id']}")
    assert [t["state"] for t in shown["trials"]] == [
        *("Complete", "Pruned", "Fail", "Fail", "Running")
    ]
    assert shown["trials"][0]["values"] == [1e6, 0.5]
    assert shown["trials"][2]["constraints"] == pytest.approx([1e-6], rel=1e-3)
    assert shown["objective_names"] == ["macs", "accuracy"]


def ask(app, path):
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)
    status = []
    body = b"".join(app(environ, lambda line, headers, error=None: status.append(line)))
    assert status == ["200 OK"], body
    return json.loads(body)
