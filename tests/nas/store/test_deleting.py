"""Deleting a job: what only it used goes, what others use stays."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from nas.data.artifacts import put_bytes
from nas.errors import InvalidRequestError
from nas.store import ArtifactRow, JobState, MemberRow, RecipeRow, Store, TrialEnd
from nas.store.deleting import delete_job
from nas.store.garbage import GARBAGE, gc
from nas.store.schema import architectures, artifacts, evaluations, metadata
from nas.store.tools import check
from tests.nas.store.build import architecture_row, evaluation_row, new_trial


@pytest.fixture
def location(tmp_path):
    return str(tmp_path / "artifacts")


def make_job(store, location, name, wanted, family=()):
    """A completed job; evaluations are made by the first job that wants them, as in a search."""
    job = store.create_job(name, {}, {}).id
    networks = [architecture_row(place) for place in wanted]
    store.add_trials(job, [new_trial(n, architecture=a) for n, a in enumerate(networks)])
    for number, place in enumerate(wanted):
        row = evaluation_row(place)
        if store.evaluation(row.key) is None:
            kept = put_bytes(location, "weights", ".bin", b"weights of %d" % place)
            fingerprint = architecture_row(place).fingerprint
            row = evaluation_row(place, architecture=fingerprint, job=job, weights=tuple(kept))
        else:
            row = store.evaluation(row.key)
        end = TrialEnd(number=number, state="completed", values=(0.5,), evaluation=row)
        store.finish_trial(job, end)
    if family:
        rows = [
            MemberRow(
                number=n,
                architecture=architecture_row(e).fingerprint,
                evaluation=evaluation_row(e).key,
            )
            for n, e in enumerate(family)
        ]
        store.save_family(
            job, "main", baseline=rows[0].architecture, rule="width", coefficients={}, rows=rows
        )
    store.set_job_state(job, JobState.COMPLETED)
    return store.find_job(job)


def known(store, location):
    """Numbers of the evaluations, architectures and files of weights that are there."""
    numbers = range(10)
    with store._read() as connection:
        keys = set(connection.execute(select(evaluations.c.key)).scalars())
        prints = set(connection.execute(select(architectures.c.fingerprint)).scalars())
    files = {path.read_bytes() for path in Path(location).glob("weights/*")}
    return (
        {n for n in numbers if evaluation_row(n).key in keys},
        {n for n in numbers if architecture_row(n).fingerprint in prints},
        {n for n in numbers if b"weights of %d" % n in files},
    )


def everything(store):
    with store._read() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
        }


def test_what_another_job_uses_stays(store, location):
    first = make_job(store, location, "first", [0, 1, 2, 3], family=[3])
    second = make_job(store, location, "second", [1, 4], family=[2])
    before = everything(store)
    planned = delete_job(store, first, location)
    assert everything(store) == before
    assert known(store, location)[2] == {0, 1, 2, 3, 4}
    assert (planned.trials, planned.families, planned.evaluations, planned.shared) == (4, 1, 2, 2)
    assert {row.bytes for row in planned.artifacts} == {len("weights of 0")}
    assert delete_job(store, first, location, dry_run=False) == planned
    assert known(store, location) == ({1, 2, 4}, {1, 2, 4}, {1, 2, 4})
    assert [job.id for job in store.list_jobs()] == [second.id]
    assert store.evaluation(evaluation_row(1).key).weights is not None
    assert not [p for p in check(store, location) if "artifacts" in p.what]
    # nobody is left who uses what the first job made
    deleted = delete_job(store, store.find_job("second"), location, dry_run=False)
    assert (deleted.evaluations, deleted.shared) == (3, 0)
    assert known(store, location) == (set(), set(), set())
    stay = ("devices", "comparables")  # descriptions
    assert not any(rows for name, rows in everything(store).items() if name not in stay)


JOBS = st.lists(st.lists(st.integers(0, 5), max_size=5), min_size=1, max_size=4)


@settings(max_examples=20, deadline=None)
@given(jobs=JOBS, order=st.randoms(use_true_random=False))
def test_a_store_holds_what_its_jobs_use_whichever_go(sqlite_template, jobs, order):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_template, f"{folder}/nas.db")
        with Store.open(f"sqlite:///{folder}/nas.db") as store:
            rows = {n: make_job(store, folder, f"job {n}", list(w)) for n, w in enumerate(jobs)}
            left = list(rows)
            order.shuffle(left)
            while left:
                delete_job(store, rows[left.pop()], folder, dry_run=False)
                used = {place for n in left for place in jobs[n]}
                assert known(store, folder) == (used, used, used)
                for n in left:
                    kept = [trial.evaluation for trial in store.trials(rows[n].id)]
                    assert kept == [evaluation_row(place).key for place in jobs[n]]


def test_files_that_something_of_another_s_was_made_from_stay(store, location):
    first = make_job(store, location, "first", [0, 1])
    second = make_job(store, location, "second", [2])
    weights = [store.artifacts_of(evaluation=evaluation_row(n).key)[0] for n in (0, 1)]
    export = ArtifactRow(sha256="ab", kind="onnx", name="exports/ab.onnx", bytes=2, job=second.id)
    store.add_artifact(replace(export, parent=weights[0].id))
    store.save_recipe(RecipeRow(digest="later", document={"initial_weights": weights[1].sha256}))
    delete_job(store, first, location, dry_run=False)
    assert known(store, location) == ({2}, {0, 1, 2}, {0, 1, 2})


def test_a_file_that_a_user_exported_is_the_user_s(store, location, tmp_path):
    job = make_job(store, location, "first", [0])
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"onnx")
    key = evaluation_row(0).key
    store.add_artifact(
        ArtifactRow(sha256="ab", kind="onnx", name=str(mine), bytes=4, evaluation=key, job=job.id)
    )
    assert len(delete_job(store, job, location, dry_run=False).artifacts) == 2
    assert mine.exists()
    assert store.artifacts_of() == []


def test_a_deletion_that_was_cut_short_is_finished_by_the_next_gc(store, location, monkeypatch):
    job = make_job(store, location, "first", [0, 1])

    def power_cut(location, name):
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.store.garbage.remove", power_cut)
    with pytest.raises(KeyboardInterrupt):
        delete_job(store, job, location, dry_run=False)
    monkeypatch.undo()
    assert store.list_jobs() == []
    assert [row.kind for row in store.artifacts_of()] == [GARBAGE, GARBAGE]
    assert gc(store, location).bytes == 2 * len("weights of 0")
    gc(store, location, dry_run=False)
    assert known(store, location) == (set(), set(), set())
    with store._read() as connection:
        assert connection.execute(select(artifacts)).all() == []


def test_a_job_that_a_driver_holds_is_not_deleted(store, location):
    job = make_job(store, location, "first", [0])
    store.take_job(job.id, "driver")
    with pytest.raises(InvalidRequestError, match="stop it first: nas stop"):
        delete_job(store, job, location)
    store.release_job(job.id, "driver")
    assert delete_job(store, job, location).trials == 1
