"""Small data sets that travel with a job, and what is said of those that can't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cluster.executor import InlineExecutor
from nas.data import DataSpec, carried, load_data
from nas.errors import NasError, WrongDataError
from nas.evaluation.contract import EvaluationKey
from nas.evaluation.training import TrainingEvaluator
from nas.search.candidates import Candidate
from nas.search.evaluations import Evaluations, evaluate_all
from nas.store import Store
from nas.training.recipe import Recipe


@pytest.fixture(autouse=True)
def _nothing_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "_arrived", {})


@pytest.fixture
def spec(tmp_path: Path) -> DataSpec:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", x_train=images, y_train=np.arange(60) % 3)
    return DataSpec(source=str(tmp_path / "set.npz"))


def test_what_arrived_is_found_where_the_place_is_not_there(spec: DataSpec, tmp_path: Path) -> None:
    data = load_data(spec, cache=tmp_path / "cache")  # mapped from files
    luggage = carried.pack(spec, data)
    assert luggage is not None
    Path(spec.source).unlink()
    carried.unpack(luggage)
    found = load_data(spec, cache=tmp_path / "another", expected_hash=data.content_hash)
    assert type(found.train.images) is np.ndarray
    np.testing.assert_array_equal(found.train.images, data.train.images)
    np.testing.assert_array_equal(found.test.labels, data.test.labels)
    assert (found.content_hash, found.split) == (data.content_hash, data.split)
    assert not (tmp_path / "another").exists()


def test_other_settings_or_another_content_are_not_answered_by_it(spec: DataSpec) -> None:
    data = load_data(spec)
    luggage = carried.pack(spec, data)
    assert luggage is not None
    carried.unpack(luggage)
    Path(spec.source).unlink()
    for other, content in (
        (spec.model_copy(update={"split_seed": 1}), data.content_hash),
        (spec, "0"),
    ):
        with pytest.raises(NasError):
            load_data(other, expected_hash=content)


def test_what_was_changed_on_its_way_is_refused(spec: DataSpec) -> None:
    luggage = carried.pack(spec, load_data(spec))
    assert luggage is not None
    luggage.data.val.labels[0] += 1
    with pytest.raises(WrongDataError, match="must have the SHA-256"):
        carried.unpack(luggage)


def test_large_sets_and_those_that_nodes_have_stay(
    spec: DataSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_data(spec)
    assert carried.pack(DataSpec(), data) is None
    assert carried.pack(DataSpec(source="s3://bucket/set.npz"), data) is None
    monkeypatch.setattr(carried, "MOST_BYTES", 1_000)
    assert carried.pack(spec, data) is None


def finish(spec: DataSpec, content_hash: str, folder: Path) -> None:
    evaluator = TrainingEvaluator(
        data=spec, recipe=Recipe(epochs=1), artifacts=str(folder), content_hash=content_hash
    )
    key = EvaluationKey(subject="s", dataset="", split="", recipe="", evaluator="t", seed=0)
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        job = store.create_job("j", {}, {})
        evaluations = Evaluations(store, InlineExecutor, owner=job.id, job=job.id)
        try:
            evaluate_all(evaluations, [Candidate(key=key, evaluator=evaluator)])
        finally:
            evaluations.close()


def test_a_set_that_a_node_does_not_see_ends_the_job_with_what_to_do(
    spec: DataSpec, tmp_path: Path
) -> None:
    content_hash = load_data(spec).content_hash
    Path(spec.source).unlink()
    with pytest.raises(NasError) as ended:
        finish(spec, content_hash, tmp_path)
    message = str(ended.value)
    assert message.startswith(f"`{spec.source}` is not on node ")
    assert "put it on a file system that all nodes see" in message
    assert "\n" not in message


def test_a_set_that_differs_from_the_recorded_one_ends_the_job_by_name(
    spec: DataSpec, tmp_path: Path
) -> None:
    with pytest.raises(NasError, match=rf"`{spec.source}` must still hold what the job began with"):
        finish(spec, "another", tmp_path)
