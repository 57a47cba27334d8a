"""Posted jobs: what they may name, and that they run, stop and go on without who posted them."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nas.jobs.process import PROCESS, read_log
from nas.jobs.spec import InvalidJobError, job_from_dict
from nas.jobs.submit import stop_job
from nas.jobs.truth import find_truth
from nas.server.errors import Problem
from nas.server.launch import launch_job, read_job, relaunch_job, try_job
from nas.server.rules import check_rules
from nas.server.settings import Settings
from nas.store import Store
from nas.store.jobs import host_name
from tests.nas.server.conftest import TABLE_JOB, wait_for


def changed(**parts: Any) -> dict[str, Any]:
    return {**TABLE_JOB, **parts}


@pytest.mark.parametrize(
    ("job", "field"),
    [
        ({"data": "/etc/passwd"}, "data.source"),
        ({"data": "../secret.csv"}, "data.source"),
        ({"data": "~/x.npz"}, "data.source"),
        ({"data": "circle"}, "data.source"),
        ({"data": "a\0b"}, "data.source"),
        ({"data": "a/" * 3_000}, "data.source"),
        ({"evaluator": "os:system"}, "evaluator"),
        ({"evaluator": {"name": "python"}}, "evaluator"),
        ({"evaluator": {"name": "training", "function": "os:system"}}, "evaluator"),
        ({"evaluator": {"name": "table", "file": "link.csv"}}, "evaluator.file"),
        ({"evaluator": "table:/etc/passwd"}, "evaluator.file"),
        ({"space": "mine.yaml"}, "space"),
        ({"space": "/etc/x.yml"}, "space"),
        ({"space": "nonesuch"}, "space"),
        ({"space": {"stages": "no"}}, "space"),
        ({"scaling": {"baseline": "/etc/x.json"}}, "scaling.baseline"),
        ({"scaling": {"latency": {"table": "../s.csv", "column": "x"}}}, "scaling.latency.table"),
        ({"scaling": {"grid": {"table": "/etc/passwd"}}}, "scaling.grid.table"),
        ({"execution": {"workers": 100_000}}, "execution.workers"),
        ({"recipe": {"initial_weights": "../../x"}}, "recipe.initial_weights"),
        ({"search": {"objectives": ["speed"]}}, "search.objectives"),
        ({"search": {"constraints": ["macs"]}}, "search.constraints"),
        ({"search": {"sampler": "magic"}}, "search.sampler.name"),
        ({"search": {"trials": 0}}, "search.trials"),
        ({"serach": {}}, "serach"),
    ],
)
def test_what_the_operator_did_not_allow_is_refused_by_its_field(
    settings: Settings, job: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidJobError) as refused:
        read_job(settings, job)
    assert refused.value.field == field
    assert "`" in str(refused.value)


def test_a_path_outside_says_the_same_whether_it_is_there_or_not(settings: Settings) -> None:
    messages = []
    for text in ("/etc/passwd", "/etc/nonesuch"):
        with pytest.raises(InvalidJobError) as refused:
            read_job(settings, {"data": text})
        messages.append(str(refused.value).replace(text, ""))
    assert messages[0] == messages[1]
    assert str(settings.data_roots[0]) not in messages[0]


@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "link.csv", "/", "~"])))
@hypothesis_settings(max_examples=40, deadline=None)
def test_no_path_leads_out_of_the_data_roots(text: str | list[str]) -> None:
    root = Path(__file__).parent
    settings = Settings(store="", artifacts="", data_roots=(root,), data_sets=())
    source = text if isinstance(text, str) else "/".join(text)
    try:
        spec = check_rules(settings, job_from_dict({"data": {"source": source}}))
    except InvalidJobError:
        return
    assert Path(spec.data.source).is_relative_to(root)


def test_an_operator_narrows_spaces_and_evaluators(settings: Settings) -> None:
    narrow = replace(settings, spaces=("efficientnet",), evaluators=("training",))
    assert read_job(narrow, {"space": "efficientnet"}).space == "efficientnet"
    for job in ({"space": "small_images"}, {"space": {"stages": []}}, TABLE_JOB):
        with pytest.raises(InvalidJobError):
            read_job(narrow, job)
    with pytest.raises(InvalidJobError, match="left out"):
        read_job(replace(settings, data_roots=()), TABLE_JOB)


def test_a_text_is_read_as_a_job_file_and_names_the_line(settings: Settings) -> None:
    with pytest.raises(InvalidJobError) as refused:
        read_job(settings, "name: a\nsearch:\n  trials: none\n")
    assert (refused.value.field, refused.value.line) == ("search.trials", 3)
    with pytest.raises(InvalidJobError) as refused:
        read_job(settings, "name: a\n  b: [")
    assert refused.value.line == 2
    assert read_job(settings, "name: a\ndata: digits\n").data.source == "digits"


def test_a_job_is_tried_out_without_leaving_anything(settings: Settings, store: Store) -> None:
    tried = try_job(store, settings, read_job(settings, TABLE_JOB))
    assert tried.data == "table bench.csv: 400 rows of 3 decisions, and no other choices"
    assert tried.objectives == ("mean_acc: maximize", "flops: minimize")
    large = replace(settings, limits=replace(settings.limits, read_bytes=10))
    assert try_job(store, large, read_job(settings, TABLE_JOB)).data is None
    bad = read_job(settings, changed(search={"objectives": ["nonesuch: maximize"]}))
    with pytest.raises(ValueError, match="not a column"):
        try_job(store, settings, bad)
    assert store.list_jobs() == []


def test_a_job_runs_by_itself_and_a_request_sent_again_makes_no_other(
    settings: Settings, store: Store
) -> None:
    spec = read_job(settings, TABLE_JOB)
    job = launch_job(store, settings, spec, owner="ann", key="k")
    assert launch_job(store, settings, spec, owner="ann", key="k").id == job.id
    other = read_job(settings, changed(name="other"))
    with pytest.raises(Problem, match="another job") as refused:
        launch_job(store, settings, other, owner="ann", key="k")
    assert refused.value.status == 409
    ended = wait_for(lambda: (row := store.find_job(job.id)).state == "completed" and row)
    assert ended.owner == "ann"
    assert store.count_trials(job.id)["completed"] == 6
    assert "search 6/6" in read_log(ended)[0]
    assert len(store.list_jobs()) == 1
    with pytest.raises(Problem, match="completed"):
        relaunch_job(store, settings, ended)


def test_a_job_is_stopped_goes_on_and_takes_its_turn(settings: Settings, store: Store) -> None:
    one = replace(settings, limits=replace(settings.limits, jobs=1))
    long = {**TABLE_JOB["search"], "trials": 100_000}
    spec = read_job(settings, changed(search=long, space="table"))
    job = launch_job(store, one, spec, owner="ann")
    with pytest.raises(Problem) as refused:
        launch_job(store, one, spec, owner="ann")
    assert refused.value.status == 429
    wait_for(lambda: store.count_trials(job.id).get("completed", 0) > 20)
    stop_job(store, store.find_job(job.id))
    wait_for(lambda: store.find_job(job.id).state == "stopped")
    wait_for(lambda: store.find_job(job.id).driver is None)
    had = store.count_trials(job.id)["completed"]
    again = relaunch_job(store, one, store.find_job(job.id))
    stop_job(store, again)  # before it has taken the job up, or after
    wait_for(lambda: store.find_job(job.id).state == "stopped")
    assert store.count_trials(job.id)["completed"] >= had


def test_a_process_that_died_before_it_began_leaves_no_job_that_waits_for_ever(
    settings: Settings, store: Store
) -> None:
    job = launch_job(store, settings, read_job(settings, TABLE_JOB), owner="ann")
    os.kill(job.attributes[PROCESS]["pid"], signal.SIGKILL)
    truth = wait_for(
        lambda: (t := find_truth(store, store.find_job(job.id))).state == "failed" and t
    )
    assert "before it took the job up" in truth.message
    # the number of a process may be another's by now
    store.set_job_state(job.id, "waiting")
    store.update_job(job.id, attributes={PROCESS: {"host": host_name(), "pid": os.getpid()}})
    assert find_truth(store, store.find_job(job.id)).state == "failed"


def test_what_a_driver_finds_wrong_is_in_the_job_s_message(
    settings: Settings, store: Store
) -> None:
    spec = read_job(settings, changed(search={"objectives": ["nonesuch: maximize"]}))
    job = launch_job(store, settings, spec, owner="ann")
    row = wait_for(lambda: (r := store.find_job(job.id)).state == "failed" and r)
    assert "nonesuch" in row.message
    space = {"finite": True, "decisions": "x://a:b@c"}
    secret = read_job(settings, TABLE_JOB).model_copy(update={"space": space})
    with pytest.raises(ValueError, match="password"):
        launch_job(store, settings, secret, owner="ann")
