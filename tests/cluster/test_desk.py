"""How often a task may be lost, and what becomes of the others; no Ray needed."""

import pickle

import pytest

from cluster.desk import ClosingError, Desk
from cluster.errors import ClusterError
from cluster.executor import Report, Verdict


def make_desk(*keys: str, max_worker_deaths: int = 3) -> Desk:
    desk = Desk(max_worker_deaths=max_worker_deaths)
    for key in keys:
        desk.submit(key, b"")
    return desk


def hand_out(desk: Desk, attempt: str) -> str | None:
    task = desk.hand_out(attempt)
    return task.key if task else None


def test_a_lost_task_is_next_in_the_queue() -> None:
    desk = make_desk("a", "b", "c")
    assert [hand_out(desk, "1"), hand_out(desk, "2")] == ["a", "b"]
    desk.lose("1", "shot")
    assert [hand_out(desk, "3"), hand_out(desk, "4")] == ["a", "c"]


def report(fidelity: float, checkpoint: float | None = None) -> bytes:
    return pickle.dumps(Report(fidelity, {}, checkpoint))


def test_a_new_checkpoint_starts_the_count_of_deaths_again() -> None:
    desk = make_desk("a", max_worker_deaths=2)
    for attempt in range(1, 6):  # each goes on two epochs after the one before it began
        assert hand_out(desk, str(attempt)) == "a"
        for epoch in (2 * attempt - 1, 2 * attempt):
            heard = desk.report(str(attempt), report(epoch, checkpoint=epoch), "host:1")
            assert heard is Verdict.CONTINUE
        desk.lose(str(attempt), "shot")
        assert desk.collect(timeout_s=0) == []
    assert hand_out(desk, "last") == "a"
    desk.report("last", report(11, checkpoint=10), "host:1")  # as far as the one before
    desk.lose("last", "shot in the back")
    (result,) = desk.collect(timeout_s=0)
    assert "died 2 times with no new checkpoint in between; the last time: shot in the back" in str(
        result.error
    )
    assert result.attempts == 6
    assert [(lost.error, lost.worker, lost.fidelity) for lost in result.lost] == [
        *(("shot", "host:1", 2.0 * attempt) for attempt in range(1, 6)),
        ("shot in the back", "host:1", 11.0),
    ]


def test_work_that_goes_on_further_along_has_checkpoints_though_it_does_not_say_so() -> None:
    desk = make_desk("a")
    for attempt in range(1, 9):
        assert hand_out(desk, str(attempt)) == "a"
        desk.report(str(attempt), report(attempt), "host:1")
        desk.lose(str(attempt), "shot")
    assert desk.collect(timeout_s=0) == []


def test_reports_without_a_checkpoint_do_not_start_the_count_again() -> None:
    desk = make_desk("a", max_worker_deaths=3)
    for attempt in ("1", "2", "3"):
        assert hand_out(desk, attempt) == "a"
        for epoch in (1, 2, 3):
            desk.report(attempt, report(epoch), "host:1")
        desk.lose(attempt, "shot")
    (result,) = desk.collect(timeout_s=0)
    assert "died 3 times with no new checkpoint" in str(result.error)


def test_lost_nodes_are_not_the_tasks_fault() -> None:
    desk = make_desk("a", max_worker_deaths=1)
    for attempt in map(str, range(10)):
        assert hand_out(desk, attempt) == "a"
        desk.lose(attempt, "the node is gone", is_workers_death=False)
    assert hand_out(desk, "last") == "a"
    desk.finish("last", value=pickle.dumps(7), worker="host:1")
    (result,) = desk.collect(timeout_s=0)
    assert (result.value, result.error, result.attempts) == (7, None, 11)


def test_a_broken_loop_counts_against_the_task_whose_actor_it_names() -> None:
    desk = make_desk("hog", "neighbour", max_worker_deaths=1)
    for attempt in ("1", "2"):
        hand_out(desk, attempt)
        desk.note_actor(attempt, f"actor-{attempt}")
    assert desk.lose_all("OutOfMemoryError: selected to kill: actor-1")
    assert [result.key for result in desk.collect(timeout_s=0)] == ["hog"]
    assert hand_out(desk, "3") == "neighbour"


def test_a_broken_loop_that_names_nobody_counts_against_all() -> None:
    desk = make_desk("a", "b", max_worker_deaths=1)
    for attempt in ("1", "2"):
        hand_out(desk, attempt)
    assert desk.lose_all("it just broke")
    assert len(desk.collect(timeout_s=0)) == 2
    assert not desk.lose_all("nothing runs")


def test_giving_up_fails_what_runs_what_waits_and_what_comes_later() -> None:
    desk = make_desk("running", "waiting")
    hand_out(desk, "1")
    desk.give_up("no space left on device")
    desk.submit("later", b"")
    assert {result.key: result.error for result in desk.collect(timeout_s=0)} == dict.fromkeys(
        ("running", "waiting", "later"), "no space left on device"
    )


def test_a_value_that_does_not_load_is_an_error() -> None:
    desk = make_desk("a")
    hand_out(desk, "1")
    desk.finish("1", value=b"no pickle", worker="host:1")
    (result,) = desk.collect(timeout_s=0)
    assert result.value is None
    assert "UnpicklingError" in str(result.error)


def test_a_closed_desk_hands_out_nothing() -> None:
    desk = make_desk("a")
    desk.close()
    with pytest.raises(ClosingError):
        desk.hand_out("1")


def test_an_abandoned_desk_hands_over_what_is_finished_and_then_raises() -> None:
    desk = Desk()
    desk.submit("a", b"")
    desk.submit("b", b"")
    desk.hand_out("1")
    desk.finish("1", worker="w")
    desk.abandon("the head is gone")
    assert [result.key for result in desk.collect(0)] == ["a"]
    with pytest.raises(ClusterError, match="the head is gone"):
        desk.collect(None)
