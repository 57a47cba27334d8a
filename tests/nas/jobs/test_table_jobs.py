"""Jobs over a table: choices without networks, all the way through the commands."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from nas.errors import InvalidRequestError
from nas.jobs.reporter import SilentReporter
from nas.jobs.run import run_job
from nas.jobs.spec import job_from_dict
from nas.jobs.start import start_job, take_up_job
from nas.search.samplers import SAMPLERS
from nas.store import Store
from tests.nas.cli.test_commands import answer, refusal
from tests.nas.cli.test_commands import run as command

JOB = """
name: bench
evaluator: {name: table, file: t.csv, known_costs: [flops]}
search: {objectives: ["acc: maximize", flops], trials: 20, sampler: random}
"""


def accuracy(a: int, b: int, c: str) -> float:
    return 60 + 3 * a + b + 2.5 * (c == "y")


def flops(a: int, b: int, c: str) -> float:
    return 1.5 + a * a + b + (c == "y")


def table(skip: int = 0) -> str:
    rows = list(itertools.product((1, 2, 3), (3, 5, 7), ("x", "y", "z")))
    lines = [f"{a},{b},{c},{accuracy(a, b, c)},{flops(a, b, c)}" for a, b, c in rows]
    return "\n".join(["a,b,c,acc,flops", *lines[: len(lines) - skip]]) + "\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORE", raising=False)
    monkeypatch.delenv("NAS_ARTIFACTS", raising=False)
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "t.csv").write_text(table())
    return tmp_path


def test_everything_downstream_copes_with_choices(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = answer(capsys, "run", "job.yaml")
    assert done["states"] == {"completed": 20}
    assert done["family"] is None
    assert done["hypervolume"] > 0
    assert all(Path(path).stat().st_size for path in done["files"]["pictures"])
    front = answer(capsys, "pareto")
    assert [row["evaluation"] for row in front] == [row["evaluation"] for row in done["front"]]
    assert all(row["architecture"] is None for row in front)
    points = [(row["metrics"]["acc"], row["metrics"]["flops"]) for row in front]
    assert points == sorted(points, key=lambda point: point[1])
    assert sorted(points) == points
    shown = answer(capsys, "show", f"bench/{front[0]['trial']}")
    assert set(shown["choices"]) == {"a", "b", "c"}
    assert shown["values"] == list(points[0])
    bounded = answer(capsys, "models", "--sort", "flops", "--where", "flops <= 10")
    assert 0 < len(bounded) < 20
    costs = [row["metrics"]["flops"] for row in bounded]
    assert costs == sorted(costs)
    assert max(costs) <= 10
    assert answer(capsys, "status")["job"]["state"] == "completed"
    for kind in ("front", "progress"):
        assert command(["plot", kind, "-o", f"{kind}.svg"]) == 0
        assert (folder / f"{kind}.svg").stat().st_size
    for arguments in (["pareto"], ["models"], ["status"], ["show", "bench/3"], ["resume"]):
        assert command(arguments) == 0
    out = capsys.readouterr().out
    assert "a=" in out
    assert "acc against flops" in out


def test_what_needs_a_network_is_refused_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "search", "job.yaml")
    assert "no networks" in refusal(capsys, "scale")
    assert "no networks" in refusal(capsys, "export", "bench")
    assert "no network" in refusal(capsys, "export", "bench/3")
    assert "no networks" in refusal(capsys, "train", "efficientnet_b0", "--job", "bench")
    assert "no family" in refusal(capsys, "plot", "family")
    assert "`scaling` must be left out" in (_refused(folder, capsys, JOB + "scaling: {phi: [0]}\n"))
    assert "`export` must be left out" in _refused(folder, capsys, JOB + "export: [onnx]\n")
    assert len(answer(capsys, "jobs")) == 1


def test_the_flag_puts_a_table_in_place_of_the_file_s_evaluator(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "job.yaml").write_text(
        "search: {objectives: ['acc: maximize', 'flops: minimize'], trials: 9, sampler: nsga2}\n"
        "scaling: {phi: [0, 1]}\n"
    )
    done = answer(capsys, "run", "job.yaml", "--evaluator", "table:t.csv")
    assert done["states"] == {"completed": 9}
    (folder / "rows.json").write_text(json.dumps([{"a": 1, "accuracy": 50.5, "macs": 700.25}]))
    (folder / "job.yaml").write_text("search: {trials: 3}\n")
    done = answer(capsys, "search", "job.yaml", "--evaluator", "table:rows.json")
    assert done["best_accuracy"] == 50.5
    assert len(done["front"]) == 1
    assert done["front"][0]["metrics"]["macs"] == 700.25


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"gp"}))
@pytest.mark.parametrize("space", ["table", "finite"])
def test_missing_rows_are_infeasible_and_a_finite_space_has_none(
    folder: Path, sampler: str, space: str
) -> None:
    (folder / "t.csv").write_text(table(skip=14))
    trials = run(folder, sampler=sampler, space=space)
    done = [t for t in trials if t.state == "completed"]
    assert len(done) == 20
    assert all(t.values == (accuracy(**t.choices), flops(**t.choices)) for t in done)
    missing = [t for t in trials if t.state == "infeasible"]
    assert all(t.reason == "t.csv has no such row" for t in missing)
    if sampler == "known_cost":  # it is told what there is
        assert [t.state for t in trials[:13]] == ["completed"] * 13
    else:
        assert bool(missing) == (space == "table")


def test_a_space_may_name_the_options(folder: Path) -> None:
    decisions = {"a": [1, 3], "b": [3, 5, 7], "c": ["x", "z"]}
    trials = run(folder, space={"decisions": decisions})
    assert {t.choices["a"] for t in trials} == {1, 3}
    assert {t.choices["c"] for t in trials} == {"x", "z"}


def test_bounds_are_met_before_anything_is_looked_up(folder: Path) -> None:
    trials = run(folder, constraints=["flops <= 9"])
    assert all(t.evaluation is None for t in trials if flops(**t.choices) > 9)
    assert sum(t.state == "completed" for t in trials) == 20


def test_an_interrupted_job_goes_on_from_any_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job_from_dict(_document(trials=30))
    with Store.open("sqlite:///nas.db") as store:
        started = start_job(store, spec, "artifacts")
        stop_after(store, started, 10)
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")
        job = store.find_job("bench")
        again = take_up_job(store, job)
        run_job(store, job, again.plan, SilentReporter())
        trials = [t.values for t in store.trials(job.id)]
        whole = start_job(
            store, spec.model_copy(update={"evaluator": again.plan.spec.evaluator}), "artifacts"
        )
        run_job(store, whole.job, whole.plan, SilentReporter())
        assert trials == [t.values for t in store.trials(whole.job.id)]
        (folder / "t.csv").write_text(table(skip=1))
        with pytest.raises(InvalidRequestError, match=r"t\.csv has changed since"):
            take_up_job(store, job)


def test_other_objectives_of_the_same_table_are_other_evaluations(folder: Path) -> None:
    (folder / "t.csv").write_text("a,acc,other\n1,,5\n2,1,6\n3,2,7\n")
    first = run(folder, objectives=["acc: maximize"], known=[], metrics={"other": "minimize"})
    assert {t.state for t in first if t.choices["a"] == 1} <= {"infeasible"}
    second = run(folder, objectives=["other: maximize"], known=[], metrics={"acc": "minimize"})
    assert {t.state for t in second} == {"completed"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("t.csv", "nowhere.csv"), ["nowhere.csv"]),
        (("acc: maximize", "beauty: maximize"), ["Objective 'beauty'", "a, b, c, acc, flops"]),
        (('"acc: maximize"', '"acc"'), ["acc"]),
        (("[flops]", "[flips]"), ["Known cost 'flips'", "flops"]),
        (("sampler: random", "constraints: [flops <= 2]"), ["flops <= 2", "nearest has 5.5"]),
        (("sampler: random", "constraints: [acc >= 2]"), ["on one of flops", "acc"]),
        (("sampler: random", "constraints: [flops <= 9, flops >= 10.5]"), ["meets all of"]),
        (("sampler: random", "reference: {beauty: 1}"), ["beauty"]),
        (("sampler: random", "start_with: [efficientnet_b0]"), ["start_with"]),
        (("name: bench", "space: efficientnet"), ["is not a column of t.csv"]),
        (("name: bench", "space: {finite: 3}"), ["finite"]),
        (("name: bench", "space: {decisions: {a: [9], b: [3], c: [x]}}"), ["No row of t.csv"]),
        (("file: t.csv, ", ""), ["table:FILE.csv"]),
    ],
)
def test_a_wrong_job_is_one_sentence_before_anything_is_looked_up(
    folder: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: list[str]
) -> None:
    refused = _refused(folder, capsys, JOB.replace(*change))
    for word in words:
        assert word in refused


def stop_after(store: Store, started: Any, count: int) -> None:
    class Stopper(SilentReporter):
        def progress(self, snapshot: Any) -> None:
            if snapshot.done >= count:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(store, started.job, started.plan, Stopper())


def run(folder: Path, **changes: Any) -> list[Any]:
    """Trials of a job over the folder's table."""
    with Store.open(f"sqlite:///{folder}/nas.db") as store:
        started = start_job(store, job_from_dict(_document(**changes)), "artifacts")
        run_job(store, started.job, started.plan, SilentReporter())
        return store.trials(started.job.id)


def _document(
    space: Any = "table", known: Any = ("flops",), metrics: Any = (), **search: Any
) -> dict[str, Any]:
    objectives = ["acc: maximize", "flops: minimize"]
    return {
        "name": "bench",
        "space": space,
        "evaluator": {
            "name": "table",
            "file": "t.csv",
            "known_costs": list(known),
            "metrics": dict(metrics),
        },
        "search": {"objectives": objectives, "trials": 20, "sampler": "random", **search},
    }


def _refused(folder: Path, capsys: pytest.CaptureFixture[str], job: str) -> str:
    (folder / "job.yaml").write_text(job)
    return refusal(capsys, "run", "job.yaml")
