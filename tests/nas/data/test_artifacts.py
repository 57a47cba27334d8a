"""Artifacts: kept by content, whole or not at all, in a folder or behind a URL."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

import pytest

from nas.data import artifacts
from nas.errors import InvalidRequestError, NasError


@pytest.fixture(params=["folder", "url"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "kept") if request.param == "folder" else f"memory://{uuid.uuid4()}"


def test_content_comes_back_under_its_sha256(location: str) -> None:
    stored = artifacts.put_bytes(location, "weights", ".bin", b"abc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert stored == (f"weights/{sha256}.bin", sha256, 3)
    assert artifacts.put_bytes(location, "weights", ".bin", b"abc") == stored
    assert artifacts.get_bytes(location, stored.name, stored.sha256) == b"abc"


def test_a_missing_file_is_named(location: str) -> None:
    assert artifacts.read_bytes(location, "weights/x") is None
    with pytest.raises(InvalidRequestError, match="weights/x"):
        artifacts.get_bytes(location, "weights/x", "0" * 64)


def test_a_damaged_file_is_named(location: str) -> None:
    stored = artifacts.put_bytes(location, "weights", ".bin", b"abc")
    artifacts.write_bytes(location, stored.name, b"abd")
    with pytest.raises(NasError, match="damaged"):
        artifacts.get_bytes(location, stored.name, stored.sha256)


def test_a_removed_file_is_gone_and_may_be_removed_again(location: str) -> None:
    artifacts.write_bytes(location, "checkpoints/a.pt", b"1")
    artifacts.write_bytes(location, "checkpoints/a.pt", b"2")
    assert artifacts.read_bytes(location, "checkpoints/a.pt") == b"2"
    for _ in range(2):
        artifacts.remove(location, "checkpoints/a.pt")
    assert artifacts.read_bytes(location, "checkpoints/a.pt") is None


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts.write_bytes(str(tmp_path), "a.pt", b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        artifacts.write_bytes(str(tmp_path), "a.pt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    assert (tmp_path / "a.pt").read_bytes() == b"old"
