"""Several processes on one store, and one that is killed: for real, from outside."""

import subprocess
import sys

import pytest

from nas.store import Store, TrialEnd
from nas.store.tools import check
from tests.nas.store.build import digest, evaluation_row, new_trial


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.nas.store.writer", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.split()


def damage(store):
    """Problems, but for data sets and recipes that the rows here name and nobody describes."""
    return [problem for problem in check(store) if "evaluations of" not in problem.what]


def test_two_processes_that_write_at_once_lose_nothing(any_url):
    with Store.open(any_url) as store:
        jobs = [store.create_job(name, {}, {}).id for name in ("one", "two")]
        # half of the evaluations and architectures are wanted by both
        writers = [start("trials", any_url, job, 20 * i, 40) for i, job in enumerate(jobs)]
        for writer in writers:
            said(writer)
        for i, job in enumerate(jobs):
            rows = store.trials(job)
            assert [row.number for row in rows] == list(range(20 * i, 20 * i + 40))
            assert all(row.state == "completed" and row.evaluation for row in rows)
        assert len(store.models()) == 60
        assert len(store.artifacts_of(kind="weights")) == 60
        assert not damage(store)


@pytest.mark.parametrize("trials_before_the_kill", [1, 20])
def test_a_killed_writer_loses_nothing_that_it_committed(any_url, trials_before_the_kill):
    with Store.open(any_url) as store:
        job = store.create_job("killed", {}, {}).id
    writer = start("trials", any_url, job, 0, 100_000)
    committed = [int(writer.stdout.readline()) for _ in range(trials_before_the_kill)]
    writer.kill()
    committed += [int(line) for line in writer.stdout.read().split()]
    writer.stdout.close()
    assert writer.wait(timeout=60) == -9

    with Store.open(any_url) as store:
        rows = {row.number: row for row in store.trials(job)}
        assert len(rows) - len(committed) in (0, 1)
        for number in committed:
            assert rows[number].state == "completed"
        for row in rows.values():  # whole or not at all
            assert (row.state == "completed") == (row.evaluation is not None)
            evaluation = store.evaluation(evaluation_row(row.number).key)
            assert (evaluation is None) == (row.evaluation is None)
            assert evaluation is None or evaluation.weights is not None
        assert not damage(store)
        number = len(rows)
        store.add_trials(job, [new_trial(number)])
        store.finish_trial(job, TrialEnd(number=number, state="failed"))


def test_no_key_is_computed_by_two_processes(any_url):
    with Store.open(any_url) as store:
        computers = [start("claims", any_url, owner, 60) for owner in ("one", "two")]
        computed = [key for computer in computers for key in said(computer)]
        assert sorted(computed) == sorted(digest(f"evaluation {number}") for number in range(60))
        assert len(store.models()) == 60


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_processes_may_make_the_same_store_at_once(request, tmp_path, kind):
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/new.db"
    else:
        url = request.getfixturevalue("empty_postgres")
    assert [said(process) for process in [start("open", url) for _ in range(2)]] == [["0"]] * 2
