"""Commands called in this process, with their answers or their refusals."""

import json
from typing import Any

import pytest

from nas.cli.main import run

JOB = """
name: toy
evaluator: tests.nas.jobs.toy:accuracy
resolution: 16
search: {trials: 12, sampler: random}
scaling: {coefficients: paper, phi: [0, 1]}
execution: {executor: inline}
final_recipe: {epochs: 2}
"""


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command prints with --json; nothing else may stand on standard output."""
    capsys.readouterr()
    status = run([*arguments, "--json"])
    out, errors = capsys.readouterr()
    assert status == 0, errors
    return json.loads(out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence that a wrong request gets, with exit status 2."""
    capsys.readouterr()
    status = run(list(arguments))
    out, errors = capsys.readouterr()
    assert status == 2, (status, out, errors)
    assert "Traceback" not in errors
    assert errors.strip().count("\n") == 0
    return errors
