"""A user's own evaluator, by import path: the contract, and all that may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nas.errors import InvalidRequestError
from nas.evaluation.contract import Request, Status
from nas.evaluation.python import PythonEvaluator
from search_spaces.architecture import Architecture
from tests.nas.evaluation.contract import EvaluatorContract, evaluate

USERS = "tests.nas.evaluation.users"


@pytest.fixture(params=["width", "epochs"])
def evaluator(request: pytest.FixtureRequest) -> PythonEvaluator:
    return PythonEvaluator(path=f"{USERS}:{request.param}")


@pytest.fixture
def make_request(small: Architecture) -> Callable[[str], Request]:
    return lambda key: Request(key=key, architecture=small)


@pytest.fixture
def bad_request() -> Request:
    return Request(key="bad")


class TestPythonEvaluator(EvaluatorContract):
    """The contract."""


def test_a_mapping_becomes_metrics_and_sample_numbers(
    make_request: Callable[[str], Request],
) -> None:
    _, (outcome,) = evaluate(PythonEvaluator(path=f"{USERS}:width"), [make_request("a")])
    assert outcome.metrics == {"val_accuracy": 0.25}
    assert (outcome.val_samples, outcome.fidelity, outcome.curve) == (50, 1.0, ())


def test_a_generator_reports_and_its_nan_is_left_out(
    make_request: Callable[[str], Request],
) -> None:
    reports, (outcome,) = evaluate(PythonEvaluator(path=f"{USERS}:epochs"), [make_request("a")])
    assert [(r.fidelity, dict(r.metrics)) for r in reports] == [
        (1.0, {"val_accuracy": 0.5}),
        (2.0, {"val_accuracy": 0.6}),
    ]
    assert outcome.metrics == {"val_accuracy": 0.75}
    assert outcome.curve == (
        {"epoch": 1.0, "val_accuracy": 0.5},
        {"epoch": 2.0, "val_accuracy": 0.6},
    )


def test_one_that_went_on_from_a_checkpoint_is_as_whole_as_one_that_did_not(
    make_request: Callable[[str], Request],
) -> None:
    _, (outcome,) = evaluate(PythonEvaluator(path=f"{USERS}:goes_on"), [make_request("a")])
    assert outcome.fidelity == 4.0


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("nothing", "NoneType None"),
        ("number", "float 0.5"),
        ("empty", "at least one finite number, but got dict {}"),
        ("nan", "at least one finite number"),
        ("text", "'val_accuracy': str '0.5'"),
        ("flag", "'val_accuracy': bool True"),
        ("list", "list"),
        ("numbered", "1: float 0.5"),
        ("array", "'val_accuracy': ndarray"),
    ],
)
def test_a_wrong_return_fails_with_the_rule(what: str, told: str) -> None:
    evaluator = PythonEvaluator(path=f"{USERS}:by_choice")
    _, (outcome,) = evaluate(evaluator, [Request(key="a", choices={"what": what})])
    assert outcome.status is Status.FAILED
    assert "users:by_choice must return" in outcome.reason
    assert told in outcome.reason


def test_what_a_function_raises_is_the_reason() -> None:
    evaluator = PythonEvaluator(path=f"{USERS}:by_choice")
    _, (outcome,) = evaluate(evaluator, [Request(key="a", choices={"what": "unknown"})])
    assert outcome.status is Status.FAILED
    assert outcome.reason == "KeyError: 'unknown'"


def test_a_wrong_report_fails_with_the_rule(make_request: Callable[[str], Request]) -> None:
    reports, (outcome,) = evaluate(PythonEvaluator(path=f"{USERS}:quits"), [make_request("a")])
    assert reports == []
    assert "must yield a mapping" in outcome.reason


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "package.module:function"),
        ("os", "package.module:function"),
        ("os:", "package.module:function"),
        ("os:path.join", "package.module:function"),
        ("__import__('os'):system", "package.module:function"),
        ("no_such_module:f", "'no_such_module' gave ModuleNotFoundError"),
        (f"{USERS}:missing", "'missing', which is not there"),
        (f"{USERS}:not_a_function", "not callable"),
    ],
)
def test_a_wrong_path_stops_the_preparation(path: str, told: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        PythonEvaluator(path=path).prepare()
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_module_beside_the_job_file_is_found(
    tmp_path: Path, make_request: Callable[[str], Request]
) -> None:
    (tmp_path / "beside_the_job.py").write_text("def f(request):\n    return {'a': 1}\n")
    evaluator = PythonEvaluator(path="beside_the_job:f", folder=str(tmp_path))
    evaluator.prepare()
    _, (outcome,) = evaluate(evaluator, [make_request("a")])
    assert outcome.metrics == {"a": 1.0}


def test_a_module_that_fails_when_imported_is_named_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "fails_at_import.py").write_text("1 / 0\n")
    with pytest.raises(InvalidRequestError, match="'fails_at_import' gave ZeroDivisionError"):
        PythonEvaluator(path="fails_at_import:f", folder=str(tmp_path)).prepare()


def test_a_new_version_is_another_evaluator() -> None:
    one, two = (PythonEvaluator(path="mine:f", version=version) for version in ("1", "2"))
    assert one.identity == "python:mine:f@1" != two.identity
