"""The ledger of a payload that several workers share; the workers are in test_together."""

from __future__ import annotations

from ray import cloudpickle

from cluster.executor import Report
from cluster.ray_train import Ledger


def reported(ledger: Ledger, fidelity: float, checkpoint: float | None = None) -> bool:
    return ledger.report(cloudpickle.dumps(Report(fidelity, {}, checkpoint)))


def test_the_first_end_counts_and_late_workers_have_nothing_to_do() -> None:
    ledger = Ledger(3)
    assert ledger.enter(0, "a:1")
    ledger.finish(b"first")
    ledger.finish(b"second")
    ledger.finish(None, "error")
    assert ledger.ask(0).end == (b"first", None)
    assert not ledger.enter(1, "a:2")
    assert not reported(ledger, 1.0)


def test_starts_with_no_new_checkpoint_in_between_are_limited() -> None:
    ledger = Ledger(3)
    for attempt in range(3):
        assert ledger.enter(0, "a:1")
        ledger.enter(1, "b:2")
        ledger.note_error(f"cause {attempt}")
        ledger.note_error("an echo")
    assert not ledger.enter(0, "a:1")
    news = ledger.ask(0)
    assert news.end is not None
    assert "3 times with no new checkpoint: cause 2" in str(news.end[1])
    assert [lost.error for lost in news.lost] == ["cause 0", "cause 1", "cause 2"]
    assert news.lost[0].worker == "a:1, b:2"


def test_workers_that_get_on_may_be_lost_more_often() -> None:
    ledger = Ledger(3)
    for epoch in range(8):
        assert ledger.enter(0, "a:1")
        assert reported(ledger, epoch + 1.5, checkpoint=epoch + 1.0)
    news = ledger.ask(6)
    assert (news.end, news.attempts, len(news.reports)) == (None, 8, 2)
    assert [lost.fidelity for lost in news.lost] == [epoch + 1.5 for epoch in range(7)]
