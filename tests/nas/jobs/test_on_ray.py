"""Jobs on Ray: what a trial reserves is measured, and budgets end them cleanly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.jobs.accounts import accounts_of
from nas.jobs.largest import largest_network
from nas.jobs.measured import find_resources
from nas.jobs.reporter import SilentReporter
from nas.jobs.run import SEARCH, run_job
from nas.jobs.spec import job_from_dict
from nas.jobs.start import start_job
from nas.quantity import parse_quantity
from nas.store import JobRow, Store

pytestmark = pytest.mark.ray


class Notes(SilentReporter):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


def run(store: Store, folder: Path, evaluator: str, trials: int, **changes: Any) -> JobRow:
    document = {
        "name": "job",
        "evaluator": evaluator,
        "resolution": 16,
        "search": {"trials": trials, "sampler": "random"},
        "scaling": None,
        **changes,
    }
    started = start_job(store, job_from_dict(document), str(folder / "artifacts"))
    return run_job(store, started.job, started.plan, SilentReporter(), (SEARCH,))


@pytest.mark.usefixtures("ray_here")
@pytest.mark.parametrize(
    ("budget", "execution"),
    [
        ({"max_trials": 3}, {}),
        ({"max_wall_time": 2}, {}),
        ({"max_gpu_hours": 1.5 / 3600}, {"gpus_per_trial": 0.5}),
    ],
)
def test_a_budget_ends_the_job_with_what_it_has_and_its_accounts(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    budget: dict[str, float],
    execution: dict[str, float],
) -> None:
    (name,) = budget
    done = run(
        store,
        tmp_path,
        "tests.nas.jobs.toy:in_three_reports",
        10_000,
        budget=budget,
        execution={"workers": 2, **execution},
    )
    assert done.state == "completed"
    assert f"`{name}`" in done.message
    states = store.count_trials(done.id)
    assert set(states) <= {"completed", "waiting"}
    used = accounts_of(done, store.usage(done.id)[done.id])
    held = sum(attempt.seconds for attempt in store.attempts(done.id))
    assert used.cpu_hours == pytest.approx(held / 3600.0)
    assert used.gpu_hours == pytest.approx(held * execution.get("gpus_per_trial", 0.0) / 3600.0)
    if name == "max_trials":
        assert states == {"completed": 3}
    if name == "max_gpu_hours":
        assert budget[name] <= used.gpu_hours <= 10 * budget[name]
    if name == "max_wall_time":
        assert used.wall_hours * 3600.0 >= 2.0


@pytest.mark.usefixtures("ray_here")
def test_what_a_trial_reserves_is_measured_on_the_largest_network_once(
    store: Store, tmp_path: Path
) -> None:
    execution = {"resources": "measure", "device": "cpu"}
    spec = job_from_dict({"execution": execution, "resolution": 8})
    started = start_job(store, spec, str(tmp_path / "artifacts"))
    notes, plan = Notes(), started.networks
    network = partial(largest_network, plan)
    found = find_resources(store, started.job, plan, network, notes, print)
    kept = store.find_job(started.job.id).attributes["measured"]
    # torch alone takes 100 MiB; nothing of this job comes near 4 GiB
    assert 100 * 2**20 < kept["memory_bytes"] < 4 * 2**30
    assert 1.2 * kept["memory_bytes"] <= parse_quantity(found.memory_per_trial or 0)
    assert (found.cpus_per_trial, found.gpus_per_trial) == (1.0, 0.0)
    assert kept["steps"] == 4
    (line,) = notes.lines
    assert line.startswith("resources: the largest network took")
    again = find_resources(store, started.job, plan, network, notes, print)
    assert (again, notes.lines) == (found, [line])


@pytest.mark.usefixtures("ray_here")
def test_a_small_data_set_reaches_workers_that_see_none_of_its_files(
    store: Store, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    source, artifacts = tmp_path / "set.npz", tmp_path / "artifacts"
    np.savez(source, x_train=images, y_train=np.arange(60) % 3)
    spec = job_from_dict(
        {
            "data": str(source),
            "resolution": 8,
            "search": {"trials": 1, "sampler": "random"},
            "recipe": {"epochs": 1, "batch_size": 16},
            "execution": {"workers": 1, "device": "cpu"},
            "scaling": None,
        }
    )
    started = start_job(store, spec, str(artifacts))
    source.unlink()
    shutil.rmtree(artifacts / "data")  # as prepared by the driver
    run_job(store, started.job, started.plan, SilentReporter(), (SEARCH,))
    (trial,) = store.trials(started.job.id)
    assert (trial.state, trial.reason) == ("completed", "")
    assert not (artifacts / "data").exists()
