"""A job ends cleanly when its budget is spent, and goes on from there when it is raised."""

from pathlib import Path
from typing import Any

import pytest

from nas.store import Store
from tests.nas.cli.commands import JOB, answer, refusal

SLOW = JOB.replace("toy:accuracy", "toy:in_three_reports")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than all the rest, and budgets don't touch them."""
    monkeypatch.setattr("nas.jobs.pictures.write_pictures", lambda *arguments, **named: [])


def budget(folder: Path, line: str, job: str = JOB) -> None:
    (folder / "job.yaml").write_text(f"{job}budget: {{{line}}}\n")


def completed(folder: Path) -> int:
    return sum(state == "completed" for _, _, state, _, _ in trials(folder))


def trials(folder: Path) -> list[tuple[Any, ...]]:
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        rows = store.trials(store.find_job(None).id)
        return [(t.number, t.origin, t.state, dict(t.choices), t.values) for t in rows]


def test_a_budget_of_trials_ends_the_job_with_the_front_so_far(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget(folder, "max_trials: 5")
    done = answer(capsys, "run", "job.yaml")
    assert done["job"]["state"] == "completed"
    assert done["job"]["message"] == "ended by its budget `max_trials`: 5 trials were evaluated"
    assert done["states"] == {"completed": 5}
    assert done["front"]
    assert done["family"] is None
    assert answer(capsys, "run", "job.yaml")["states"] == {"completed": 5}


def test_a_job_cut_short_three_times_equals_one_that_was_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = answer(capsys, "run", "job.yaml")
    expected = trials(folder)
    assert len(expected) > 13
    (folder / "nas.db").unlink()
    budget(folder, "max_trials: 4")
    first = answer(capsys, "run", "job.yaml")
    answer(capsys, "resume", first["job"]["id"], "--budget", "max_trials=9")
    assert completed(folder) == 9
    budget(folder, "max_trials: 13")  # the file says it as well as the flag
    answer(capsys, "run", "job.yaml")
    assert completed(folder) == 13  # 12 of the search, one of the family
    done = answer(capsys, "resume", first["job"]["id"], "--budget", "max_trials=none")
    assert done["job"]["message"] == ""
    assert trials(folder) == expected
    assert done["hypervolume"] == whole["hypervolume"]
    assert answer(capsys, "jobs")[0]["id"] == first["job"]["id"]


def test_a_budget_of_time_halts_what_runs_at_its_next_report(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SECONDS", "0.1")
    budget(folder, "max_wall_time: 1s", SLOW)
    done = answer(capsys, "run", "job.yaml")
    assert done["job"]["state"] == "completed"
    assert "`max_wall_time`" in done["job"]["message"]
    assert done["states"].get("completed", 0) < 12
    assert done["states"]["waiting"] >= 1
    assert done["usage"]["wall_hours"] * 3600.0 >= 1.0
    monkeypatch.setenv("TOY_SECONDS", "0")
    job = done["job"]["id"]
    assert "max_wall_time" in answer(capsys, "resume", job)["job"]["message"]  # it is still spent
    raised = answer(capsys, "resume", job, "--budget", "max_wall_time=1h")
    assert raised["states"] == {"completed": 12}
    assert raised["usage"]["wall_hours"] > done["usage"]["wall_hours"]


def test_hours_are_those_of_what_trials_hold(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SECONDS", "0.05")
    held = SLOW.replace("{executor: inline}", "{executor: inline, cpus_per_trial: 3}")
    budget(folder, "max_cpu_hours: 0.0005", held)  # 0.6 s of three CPUs
    done = answer(capsys, "run", "job.yaml")
    assert "`max_cpu_hours`" in done["job"]["message"]
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        attempts = store.attempts(done["job"]["id"])
    hours = sum(attempt.seconds for attempt in attempts) * 3.0 / 3600.0
    assert done["usage"]["cpu_hours"] == pytest.approx(hours, rel=1e-6)
    assert hours >= 0.0005
    assert done["usage"]["gpu_hours"] == 0.0
    (row,) = answer(capsys, "jobs", "--usage")
    assert row["cpu_hours"] == done["usage"]["cpu_hours"]


def test_what_the_store_saved_and_failures_lost_is_in_the_accounts(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SECONDS", "0.01")
    (folder / "job.yaml").write_text(SLOW)
    first = answer(capsys, "search", "job.yaml")
    second = answer(capsys, "search", "job.yaml", "--fresh")
    assert second["trained"] == 0
    assert second["usage"]["cpu_hours"] == 0.0
    assert second["usage"]["saved_hours"] >= 12 * 0.03 / 3600.0
    assert first["usage"]["lost_hours"] == 0.0
    (folder / "job.yaml").write_text(JOB.replace("toy:accuracy", "toy:sometimes_breaks"))
    assert answer(capsys, "search", "job.yaml")["usage"]["lost_hours"] > 0.0


def test_every_second_that_an_evaluation_took_is_in_the_accounts_whatever_came_of_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completed, failed and pruned ones, by a clock outside of the job."""
    log = folder / "seconds.log"
    monkeypatch.setenv("TOY_SECONDS", "0.02")
    monkeypatch.setenv("TOY_LOG", str(log))
    stopping = "random, early_stopping: {full: 3, first: 1, eta: 4, least: 2}"
    (folder / "job.yaml").write_text(
        JOB.replace("toy:accuracy", "toy:timed").replace("random", stopping)
    )
    done = answer(capsys, "search", "job.yaml")
    assert {"completed", "failed", "pruned"} <= set(done["states"])
    taken = [float(line) for line in log.read_text().split()]
    assert len(taken) == sum(done["states"].values())
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        spent = [attempt.seconds for attempt in store.attempts(done["job"]["id"])]
    assert len(spent) == len(taken)
    assert all(around >= inside for around, inside in zip(sorted(spent), sorted(taken)))
    assert done["usage"]["cpu_hours"] * 3600.0 == pytest.approx(sum(spent))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max_wall_time: soon", "like 45s, 30m, 2h or 1h30m, but got 'soon'"),
        ("max_wall_time: 0", "greater than 0"),
        ("max_trials: 0", "greater than or equal to 1"),
        ("max_gpu_hours: 2", "needs `execution.gpus_per_trial` above 0"),
        ("max_money: 2", "not a known field; known there: max_gpu_hours"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    budget(folder, line)
    assert words in refusal(capsys, "run", "job.yaml")


def test_a_budget_by_flag_is_checked_as_in_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "search", "job.yaml")
    assert "must be one of max_gpu_hours" in refusal(capsys, "resume", "--budget", "gold=3")
    assert "greater than or equal to 1" in refusal(capsys, "resume", "--budget", "max_trials=0")


@pytest.mark.parametrize("line", ["max_trials: 5", "max_trials: 1000"])
def test_resuming_a_job_at_its_end_shows_it_and_leaves_it_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    budget(folder, line)
    done = answer(capsys, "run", "job.yaml")
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        before = store.find_job(None)
        assert answer(capsys, "resume") == done
        assert store.find_job(None) == before
