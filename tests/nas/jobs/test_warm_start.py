"""Jobs that learn from earlier jobs of the store."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from nas.errors import InvalidRequestError
from nas.jobs.reporter import SilentReporter
from nas.jobs.run import run_job
from nas.jobs.spec import job_from_dict
from nas.jobs.start import start_job, take_up_job
from nas.pareto import non_dominated
from nas.store import JobRow, Store
from tests.nas.cli.test_commands import answer, refusal

ROWS = list(itertools.product((1, 2, 3), (3, 5, 7), ("x", "y", "z"), (0, 1, 2)))


def write_table(path: Path, scale: float) -> None:
    def acc(a: int, b: int, c: str, d: int) -> float:
        return scale * (60 + 3 * a + b + 2.5 * (c == "y") + d * a)

    lines = [f"{a},{b},{c},{d},{acc(a, b, c, d)},{a * b + d}" for a, b, c, d in ROWS]
    path.write_text("\n".join(["a,b,c,d,acc,flops", *lines]) + "\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORE", raising=False)
    write_table(tmp_path / "before.csv", 1.0)
    write_table(tmp_path / "now.csv", 0.01)
    return tmp_path


class Notes(SilentReporter):
    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.stop_after = stop_after

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, snapshot: Any) -> None:
        if self.stop_after is not None and snapshot.done >= self.stop_after:
            raise KeyboardInterrupt


def document(table: str, **search: Any) -> dict[str, Any]:
    return {
        "name": "bench",
        "evaluator": {"name": "table", "file": table, "known_costs": ["flops"]},
        "search": {"objectives": ["acc: maximize", "flops"], "sampler": "random", **search},
    }


def run(store: Store, spec: dict[str, Any]) -> tuple[JobRow, Notes]:
    started = start_job(store, job_from_dict(spec), "artifacts")
    notes = Notes()
    return run_job(store, started.job, started.plan, notes), notes


def test_a_job_begins_with_the_front_of_the_one_before(folder: Path) -> None:
    with Store.open("sqlite:///nas.db") as store:
        before, _ = run(store, document("before.csv", trials=50))
        job, notes = run(store, document("now.csv", trials=20, warm_start=["bench"]))
        (note,) = [n for n in notes.notes if "warm start" in n]
        assert before.id in note
        assert float(note.rpartition(" ")[2]) > 0.7
        old = [t for t in store.trials(before.id) if t.values]
        mask = non_dominated([t.values for t in old], (True, False))
        front = [dict(t.choices) for t, keep in zip(old, mask) if keep]
        first = [dict(t.choices) for t in store.trials(job.id)[:5]]
        assert all(choices in [dict(t.choices) for t in old] for choices in first)
        assert sum(choices in front for choices in first) >= 3  # its model smooths a little


def test_a_resumed_job_learns_from_what_there_was_when_it_began(folder: Path) -> None:
    spec = document("now.csv", trials=18, warm_start=["bench"], sampler="known_cost")
    with Store.open("sqlite:///nas.db") as store:
        run(store, document("before.csv", trials=40))
        whole = start_job(store, job_from_dict(spec), "artifacts")
        broken = start_job(
            store, job_from_dict({**spec, "search": {**spec["search"], "warm_start": [
                whole.plan.spec.search.warm_start[0]]}}), "artifacts"
        )  # fmt: skip
        run_job(store, whole.job, whole.plan, Notes())
        with pytest.raises(KeyboardInterrupt):
            run_job(store, broken.job, broken.plan, Notes(stop_after=12))
        again = take_up_job(store, store.find_job(broken.job.id))
        run_job(store, again.job, again.plan, Notes())
        chosen = [[dict(t.choices) for t in store.trials(j.job.id)] for j in (whole, broken)]
        assert chosen[0] == chosen[1]


def test_the_flag_names_a_job_to_learn_from(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "job.yaml").write_text(
        "name: bench\nevaluator: {name: table, file: before.csv, known_costs: [flops]}\n"
        "search: {objectives: ['acc: maximize', flops], sampler: random, trials: 30}\n"
    )
    first = answer(capsys, "search", "job.yaml")["job"]["id"]
    second = answer(capsys, "search", "job.yaml", "--warm-start", first, "--trials", "9")
    assert second["states"] == {"completed": 9}
    assert "nobody" in refusal(capsys, "search", "job.yaml", "--warm-start", "nobody")


def test_a_job_of_another_space_is_refused_by_name(folder: Path) -> None:
    (folder / "other.csv").write_text("z,acc,flops\n1,2,3\n2,3,4\n")
    with Store.open("sqlite:///nas.db") as store:
        run(store, document("other.csv", trials=2))
        with pytest.raises(InvalidRequestError, match="none of the 2 completed trials"):
            start_job(store, job_from_dict(document("now.csv", warm_start=["bench"])), "artifacts")
        assert len(store.list_jobs()) == 1
