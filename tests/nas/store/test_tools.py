"""Housekeeping: what is damaged is found, what is copied is the same, what is needed is kept."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text

from nas.data.artifacts import put_bytes, write_bytes
from nas.errors import InvalidRequestError, NasError
from nas.store import (
    ArtifactRow,
    AttemptRow,
    DatasetRow,
    DeviceRow,
    ExportRow,
    JobState,
    MeasurementRow,
    MemberRow,
    RecipeRow,
    Store,
    TrialEnd,
)
from nas.store.copying import copy
from nas.store.garbage import gc
from nas.store.schema import REVISIONS, metadata
from nas.store.tools import check, upgrade
from tests.nas.store.build import architecture_row, evaluation_row, new_trial

OBJECTIVES = [{"metric": "macs", "maximize": False}, {"metric": "accuracy", "maximize": True}]
# of the trials of `fill`: 0, 1 and 3 are the front
VALUES = [(1.0, 0.5), (2.0, 0.6), (3.0, 0.55), (4.0, 0.9), (5.0, 0.8), (6.0, 0.7)]


@pytest.fixture
def location(tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return str(folder)


def fill(store, location, state=JobState.COMPLETED):
    """A job with something in every table, and weights for each of its trials."""
    store.save_dataset(DatasetRow(hash="digits", name="digits", classes=("0", "1")))
    store.save_recipe(RecipeRow(digest="ten epochs", document={"epochs": 10}))
    store.save_device(DeviceRow(id="cpu0", kind="cpu", name="Xeon"))
    job = store.create_job("digits", {"a": 1}, {}, objectives=OBJECTIVES).id
    store.add_trials(job, [new_trial(n, attributes={"x": float("inf")}) for n in range(6)])
    for number, values in enumerate(VALUES):
        kept = put_bytes(location, "weights", ".bin", b"weights of %d" % number)
        evaluation = evaluation_row(
            number, architecture=architecture_row(number).fingerprint, job=job, weights=tuple(kept)
        )
        attempt = AttemptRow(trial=number, number=0, state="completed")
        end = TrialEnd(number=number, state="completed", values=values, evaluation=evaluation)
        store.finish_trial(job, replace(end, attempts=(attempt,)))
    member = MemberRow(number=0, architecture=architecture_row(4).fingerprint)
    store.save_family(
        job,
        "main",
        baseline=architecture_row(3).fingerprint,
        rule="compound",
        coefficients={"alpha": 1.2},
        rows=[member],
    )
    (weights,) = store.artifacts_of(evaluation=evaluation_row(5).key)
    export = put_bytes(location, "exports", ".onnx", b"onnx of 5")
    store.add_artifact(
        ArtifactRow(
            sha256=export.sha256,
            kind="onnx",
            name=export.name,
            bytes=export.size_bytes,
            parent=weights.id,
        )
    )
    store.add_measurements(
        [MeasurementRow(metric="latency_ms", value=2.5, artifact=weights.id, device="cpu0")]
    )
    store.create_token("ab" * 32, name="ada", scopes=("read",))
    store.ask_export(
        ExportRow(
            id="e1",
            job=job,
            architecture=architecture_row(5).fingerprint,
            format="onnx",
            trains=False,
            owner="ada",
        )
    )
    store.claim(["old"], "gone", -1)
    store.claim(["new"], "here", 600)
    store.set_job_state(job, state)
    return job


def everything(store):
    with store._read() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


def test_a_whole_store_has_no_problems(store, location):
    fill(store, location)
    assert check(store, location) == []


def test_a_file_that_is_gone_or_cut_is_named(store, location):
    fill(store, location)
    gone, cut = sorted(Path(location, "weights").iterdir())[:2]
    gone.unlink()
    cut.write_bytes(b"w")
    found = {problem.what: problem.examples for problem in check(store, location)}
    assert found == {
        "artifacts without their file": (f"weights/{gone.name}",),
        "artifacts whose file has another size": (f"weights/{cut.name}",),
    }
    assert check(store) == []


def test_rows_that_contradict_each_other_are_found(store, location):
    job = fill(store, location)
    store.add_trials(job, [new_trial(6, state="running"), new_trial(7, state="completed")])
    store.save_evaluation(evaluation_row(8, dataset="lost", recipe="lost"))
    assert {problem.what: problem.count for problem in check(store)} == {
        "evaluations of a data set without a description": 1,
        "evaluations of a recipe that is not stored": 1,
        "trials left open by a job that completed": 1,
        "completed trials without an evaluation": 1,
    }


def test_a_damaged_sqlite_file_is_reported(sqlite_url, location):
    with Store.open(sqlite_url) as store:
        fill(store, location)
        with store._write() as connection:
            connection.execute(text("PRAGMA writable_schema=ON"))
            connection.execute(text("DELETE FROM sqlite_master WHERE name = 'ix_evaluations_best'"))
    with Store.open(sqlite_url) as store:
        assert [problem.what for problem in check(store)] == ["damage in the file"]


@pytest.mark.parametrize("target_kind", ["sqlite", "postgres"])
def test_a_copy_has_every_row_and_goes_on_counting(store, location, tmp_path, request, target_kind):
    job = fill(store, location)
    if target_kind == "sqlite":
        url = f"sqlite:///{tmp_path}/copy.db"
    else:
        url = request.getfixturevalue("empty_postgres")
    with Store.open(url) as target:
        counts = copy(store, target)
        assert everything(target) == everything(store)
        assert all(counts.values())  # `fill` fills them all
        row = ArtifactRow(sha256="00" * 32, kind="plot", name="front.png", bytes=1, job=job)
        assert target.add_artifact(row).id > max(a.id for a in store.artifacts_of())
        with pytest.raises(InvalidRequestError, match="must be empty"):
            copy(store, target)


def test_a_copy_that_fails_leaves_the_target_empty(store, location, tmp_path, monkeypatch):
    fill(store, location)
    with Store.open(f"sqlite:///{tmp_path}/copy.db") as target:
        monkeypatch.setattr("nas.store.copying._copy_table", copy_until("members"))
        with pytest.raises(RuntimeError):
            copy(store, target)
        assert not any(everything(target).values())


def copy_until(name):
    from nas.store.copying import _copy_table

    def copy_table(reading, writing, table, tell):
        if table.name == name:
            raise RuntimeError
        return _copy_table(reading, writing, table, tell)

    return copy_table


@pytest.mark.parametrize(
    "loss", ["DELETE FROM attempts WHERE trial = 3", "UPDATE trials SET values = NULL"]
)
def test_a_copy_that_lost_something_is_not_kept(store, location, tmp_path, monkeypatch, loss):
    from nas.store.copying import _verify

    fill(store, location)
    with Store.open(f"sqlite:///{tmp_path}/copy.db") as target:

        def lose(reading, writing, table):
            writing.execute(text(loss.replace("values", '"values"')))
            _verify(reading, writing, table)

        monkeypatch.setattr("nas.store.copying._verify", lose)
        with pytest.raises(NasError, match="nothing was kept"):
            copy(store, target)
        assert not any(everything(target).values())


def test_garbage_is_named_first_and_only_what_nobody_needs_goes(store, location):
    fill(store, location)
    files = set(Path(location).rglob("*.*"))
    planned = gc(store, location)
    # 0, 1, 3 are on the front (3 is the baseline, too), 4 is in the family, 5 was exported
    assert [row.evaluation for row in planned.artifacts] == [evaluation_row(2).key]
    assert (planned.bytes, planned.claims) == (len("weights of 2"), 1)
    assert set(Path(location).rglob("*.*")) == files
    assert gc(store, location, dry_run=False) == planned
    assert files - set(Path(location).rglob("*.*")) == {Path(location, planned.artifacts[0].name)}
    assert store.evaluation(evaluation_row(2).key).weights is None
    assert check(store, location) == []
    assert gc(store, location).artifacts == ()
    assert store.claim(["new"], "other", 60) == set()


def test_weights_of_a_job_that_may_go_on_are_kept(store, location):
    fill(store, location, state=JobState.RUNNING)
    assert gc(store, location).artifacts == ()


@pytest.mark.parametrize("state", [JobState.STOPPED, JobState.COMPLETED])
def test_checkpoints_go_with_their_result_or_with_the_last_open_job(store, location, state):
    fill(store, location, state=state)
    done, open_ = (f"checkpoints/{key}.pt" for key in (evaluation_row(2).key, "f" * 32))
    for name in (done, open_):
        write_bytes(location, name, b"state")
    freed = gc(store, location, dry_run=False)
    assert freed.checkpoints == (
        (done,) if state is JobState.STOPPED else tuple(sorted([done, open_]))
    )
    assert Path(location, open_).exists() is (state is JobState.STOPPED)
    assert not Path(location, done).exists()


def test_a_file_that_two_artifacts_share_stays_while_one_is_needed(store, location):
    fill(store, location)
    doomed = gc(store, location).artifacts[0]
    store.add_artifact(replace(doomed, id=None, kind="safetensors"))
    gc(store, location, dry_run=False)
    assert Path(location, doomed.name).exists()


def test_a_garbage_collection_that_was_cut_short_is_finished_by_the_next(store, location):
    fill(store, location)
    doomed = gc(store, location).artifacts[0]
    Path(location, doomed.name).unlink()
    assert gc(store, location, dry_run=False).artifacts == (doomed,)
    assert check(store, location) == []


def test_an_upgrade_of_a_store_that_is_new_enough_changes_nothing(any_url):
    assert upgrade(any_url) == upgrade(any_url) == REVISIONS[-1]


def test_an_upgrade_makes_no_store(tmp_path):
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    with pytest.raises(InvalidRequestError, match="There is no store"):
        upgrade(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
