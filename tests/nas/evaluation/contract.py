"""What every Evaluator promises; each member's test subclasses this with its own fixtures."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Sequence

from cluster.executor import InlineExecutor, Report, Verdict
from nas.evaluation import work
from nas.evaluation.contract import Evaluator, Outcome, Request, Status


def evaluate(
    evaluator: Evaluator, requests: Sequence[Request]
) -> tuple[list[Report], list[Outcome]]:
    """Go through the generator to its end."""
    reports, running = [], evaluator.evaluate(requests)
    while True:
        try:
            reports.append(next(running))
        except StopIteration as end:
            return reports, end.value


class EvaluatorContract:
    """Subclasses supply `evaluator` and `make_request(key)`, `bad_request` of what can't work."""

    def test_it_can_be_sent_to_another_process(self, evaluator: Evaluator) -> None:
        copy = pickle.loads(pickle.dumps(evaluator))
        assert copy == evaluator
        assert hash(copy) == hash(evaluator)
        assert copy.identity == evaluator.identity

    def test_its_identity_is_stable_and_names_no_place(self, evaluator: Evaluator) -> None:
        assert evaluator.identity
        assert "/" not in evaluator.identity

    def test_it_may_be_prepared_twice(self, evaluator: Evaluator) -> None:
        evaluator.prepare()
        evaluator.prepare()

    def test_each_request_has_one_outcome_in_order(
        self, evaluator: Evaluator, make_request: Callable[[str], Request]
    ) -> None:
        evaluator.prepare()
        _, outcomes = evaluate(evaluator, [make_request(key) for key in "abc"])
        assert [outcome.key for outcome in outcomes] == ["a", "b", "c"]
        for outcome in outcomes:
            assert outcome.status is Status.COMPLETED, outcome.reason
            assert outcome.metrics
            assert all(math.isfinite(value) for value in outcome.metrics.values())
            assert outcome.fidelity > 0
            assert outcome.seconds >= 0
            json.dumps([dict(outcome.metrics), [dict(point) for point in outcome.curve]])

    def test_no_requests_have_no_outcomes(self, evaluator: Evaluator) -> None:
        evaluator.prepare()
        assert evaluate(evaluator, []) == ([], [])

    def test_equal_requests_give_equal_metrics(
        self, evaluator: Evaluator, make_request: Callable[[str], Request]
    ) -> None:
        evaluator.prepare()
        _, (one, other) = evaluate(evaluator, [make_request("a"), make_request("b")])
        assert one.metrics == other.metrics

    def test_what_can_not_work_is_an_outcome_with_its_reason(
        self,
        evaluator: Evaluator,
        make_request: Callable[[str], Request],
        bad_request: Request,
    ) -> None:
        evaluator.prepare()
        _, (bad, good) = evaluate(evaluator, [bad_request, make_request("good")])
        assert bad.status in (Status.FAILED, Status.INFEASIBLE)
        assert bad.reason
        assert "Traceback" not in bad.reason
        assert good.status is Status.COMPLETED

    def test_reports_count_upwards_with_numbers(
        self, evaluator: Evaluator, make_request: Callable[[str], Request]
    ) -> None:
        evaluator.prepare()
        reports, (outcome,) = evaluate(evaluator, [make_request("a")])
        fidelities = [report.fidelity for report in reports]
        assert fidelities == sorted(set(fidelities))
        assert len(outcome.curve) == len(reports)
        for report in reports:
            assert all(math.isfinite(value) for value in report.metrics.values())

    def test_an_executor_runs_and_stops_it(
        self, evaluator: Evaluator, make_request: Callable[[str], Request]
    ) -> None:
        def stop(key: str, report: Report) -> Verdict:
            return Verdict.STOP if key == "stopped" else Verdict.CONTINUE

        executor = InlineExecutor(work, stop)
        for key in ("stopped", "whole"):
            executor.submit(key, (evaluator, [make_request(key)]))
        stopped, whole = executor.collect()[0], executor.collect()[0]
        assert stopped.stopped or stopped.value  # what reports nothing is not stopped
        assert whole.error is None
        assert [outcome.key for outcome in whole.value] == ["whole"]
