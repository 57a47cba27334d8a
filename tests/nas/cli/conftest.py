"""A folder with a small job in it."""

from pathlib import Path

import pytest

from tests.nas.cli.commands import JOB


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_STORE", raising=False)
    monkeypatch.delenv("NAS_ARTIFACTS", raising=False)
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path
