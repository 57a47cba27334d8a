"""The search loop, on the exact costs of a real space and an accuracy for nothing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cluster.executor import InlineExecutor
from nas.data import DataSpec, load_data
from nas.errors import NasError
from nas.jobs.plan import Plan, make_plan
from nas.jobs.reporter import SilentReporter
from nas.jobs.run import SEARCH, run_job
from nas.jobs.spec import job_from_dict
from nas.jobs.start import start_job
from nas.pareto import hypervolume, non_dominated
from nas.search.driver import SearchSettings, drive
from nas.search.evaluations import Evaluations
from nas.search.progress import RunningFront, Snapshot
from nas.search.samplers import make_sampler
from nas.search.samplers.contract import ObjectiveSpec, Problem, TrialState
from nas.store import Filter, Store

DATA = load_data(DataSpec())


def job(**search: object) -> dict[str, object]:
    return {
        "name": "toy",
        "evaluator": "tests.nas.jobs.toy:accuracy",
        "resolution": 16,
        "search": {"trials": 15, "sampler": "random", **search},
        "execution": {"executor": "inline"},
        "scaling": None,
    }


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


class Watcher(SilentReporter):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.snapshots: list[Snapshot] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


def search(store: Store, tmp_path: Path, **settings: object) -> tuple[str, Watcher]:
    started = start_job(store, job_from_dict(job(**settings)), str(tmp_path / "artifacts"))
    watcher = Watcher()
    run_job(store, started.job, started.plan, watcher, (SEARCH,))
    return started.job.id, watcher


def test_the_front_is_that_of_brute_force(store: Store, tmp_path: Path) -> None:
    job_id, _ = search(store, tmp_path, trials=40)
    trials = [t for t in store.trials(job_id) if t.values is not None]
    points = np.array([t.values for t in trials])
    expected = {tuple(p) for p in points[non_dominated(points, [True, False])]}
    front = store.front(Filter(job=job_id))
    assert {(row.val_accuracy, row.macs) for row in front} == expected


@pytest.mark.parametrize("sampler", ["random", "nsga2", "nsga3", "tpe"])
def test_every_sampler_brings_every_trial_to_an_end(
    store: Store, tmp_path: Path, sampler: str
) -> None:
    job_id, _ = search(store, tmp_path, sampler=sampler)
    assert [t.number for t in store.trials(job_id)] == list(range(15))
    assert {t.state for t in store.trials(job_id)} == {"completed"}


def test_nothing_above_a_bound_is_evaluated(store: Store, tmp_path: Path) -> None:
    job_id, _ = search(store, tmp_path, constraints=["macs <= 2M", "parameters <= 50k"])
    trials = store.trials(job_id)
    broken = [t for t in trials if t.state == "infeasible"]
    assert broken
    assert all(t.evaluation is None and t.violation > 0 and "<=" in t.reason for t in broken)
    models = store.models(Filter(job=job_id))
    assert sum(t.state == "completed" for t in trials) == 15
    assert max(m.macs or 0 for m in models) <= 2_000_000
    assert max(m.parameters or 0 for m in models) <= 50_000


def test_a_bound_that_nothing_meets_ends_with_the_nearest_miss(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(NasError, match=r"nearest had macs [\d,]+ against macs <= 60 k"):
        search(store, tmp_path, constraints=["macs <= 60k"])


def test_known_networks_come_first_with_their_distance(store: Store, tmp_path: Path) -> None:
    job_id, watcher = search(store, tmp_path, start_with=["efficientnet_b0", "mobilenet_v2"])
    assert len([n for n in watcher.notes if "away" in n or "a member" in n]) == 2
    again, _ = search(store, tmp_path, start_with=["efficientnet_b0"], seed=9)
    first, other = store.trials(job_id)[0], store.trials(again)[0]
    assert first.choices == other.choices


def test_the_reward_is_the_paper_s(store: Store, tmp_path: Path) -> None:
    job_id, _ = search(
        store, tmp_path, objectives=["reward"], reward={"target": "1M", "exponent": -0.07}
    )
    for trial in store.trials(job_id):
        model = store.evaluation(trial.evaluation or "")
        assert model is not None
        assert model.val_accuracy
        assert model.macs
        assert trial.values
        expected = model.val_accuracy * (model.macs / 1e6) ** -0.07
        assert trial.values[0] == pytest.approx(expected)


def test_progress_only_grows(store: Store, tmp_path: Path) -> None:
    _, watcher = search(store, tmp_path)
    volumes = [s.hypervolume for s in watcher.snapshots]
    assert volumes == sorted(volumes)
    assert watcher.snapshots[-1].done == watcher.snapshots[-1].total == 15


def test_a_running_front_equals_the_whole_one() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.integers(0, 20, 200) / 20, rng.integers(1, 20, 200)])
    front = RunningFront((ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False)))
    for place, point in enumerate(points):
        front.add(point)
        seen = points[: place + 1]
        whole = hypervolume(seen, np.array([0.0, 21.0]), [True, False])
        assert front.hypervolume((0.0, 21.0)) == pytest.approx(whole)


def test_a_space_smaller_than_the_search_answers_from_the_store(
    store: Store, tmp_path: Path
) -> None:
    space = {
        "name": "tiny",
        "stages": [{"name": "a", "channels": [8, 16], "repeats": [1, 2]}],
        "stem_channels": 8,
        "head_channels": 16,
    }
    document = {**job(trials=12), "space": space}
    started = start_job(store, job_from_dict(document), str(tmp_path / "artifacts"))
    run_job(store, started.job, started.plan, SilentReporter(), (SEARCH,))
    trials = store.trials(started.job.id)
    assert len({t.evaluation for t in trials}) <= 4
    assert sum(not t.reused for t in trials) <= 4
    assert all(t.state == "completed" for t in trials)


def test_the_loop_needs_no_store_of_ours(store: Store) -> None:
    class Forgetful:
        def started(self, *_: object) -> None: ...
        def ended(self, *_: object) -> None: ...

    plan: Plan = make_plan(job_from_dict(job()), DATA, "nowhere")
    settings = SearchSettings(
        objectives=plan.objectives, propose=plan.propose, trials=3, reference=plan.reference
    )
    problem = Problem(decisions=plan.space.decisions, objectives=plan.objectives)
    evaluations = Evaluations(store, InlineExecutor, owner="me")
    records = drive(settings, make_sampler("random", problem), evaluations, Forgetful())
    evaluations.close()
    assert [r.state for r in records] == [TrialState.COMPLETED] * 3
