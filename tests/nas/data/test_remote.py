"""Data sets by URL: fetched once a node, checked, within a limit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest

from nas.data import DataSpec, load_data
from nas.data import remote as remote_module
from nas.data.remote import fetch, node_cache
from nas.errors import InvalidRequestError

URL = "memory://bucket/pets.npz"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_DATA_CACHE", str(tmp_path / "cache"))
    return node_cache() / "fetched"


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system that is no folder; an object store in memory."""
    system = fsspec.filesystem("memory")
    put(system, seed=0)
    yield system
    system.rm("/", recursive=True)


def put(system: fsspec.AbstractFileSystem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with system.open("/bucket/pets.npz", "wb") as file:
        np.savez(
            file,
            x_train=rng.integers(0, 255, (60, 8, 8), dtype=np.uint8),
            y_train=np.arange(60) % 3,
        )


def test_a_set_by_url_is_the_set_by_path(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    (tmp_path / "pets.npz").write_bytes(bucket.cat("/bucket/pets.npz"))
    here = load_data(DataSpec(source=str(tmp_path / "pets.npz")))
    there = load_data(DataSpec(source=URL))
    assert there.content_hash == here.content_hash
    np.testing.assert_array_equal(there.train.images, here.train.images)


def test_what_fsspec_lacks_a_package_for_is_read_by_pyarrow(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bucket.cat("/bucket/pets.npz")
    (tmp_path / "pets" / "a").mkdir(parents=True)
    (tmp_path / "pets" / "a" / "pets.npz").write_bytes(whole)

    def lacking(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", lacking)
    folder = fetch(f"file://{tmp_path}/pets")
    assert (folder / "a" / "pets.npz").read_bytes() == whole
    assert fetch(f"file://{tmp_path}/pets/a/pets.npz").read_bytes() == whole


def test_processes_that_ask_at_once_fetch_once(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    copy = remote_module._copy

    def slowly(system: object, path: str, target: Path) -> str:
        fetched.append(path)
        time.sleep(0.2)
        return copy(system, path, target)

    monkeypatch.setattr(remote_module, "_copy", slowly)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(fetch, [URL] * 4))) == 1
    assert len(fetched) == 1


def test_a_damaged_copy_is_fetched_again(bucket: fsspec.AbstractFileSystem) -> None:
    whole = fetch(URL).read_bytes()
    fetch(URL).write_bytes(whole[:-5] + b"wrong")
    assert fetch(URL).read_bytes() == whole


def test_a_set_that_changed_stops_the_job_by_name(bucket: fsspec.AbstractFileSystem) -> None:
    before = load_data(DataSpec(source=URL)).content_hash
    put(bucket, seed=1)
    with pytest.raises(InvalidRequestError, match=f"`{URL}` must still hold what the job began"):
        load_data(DataSpec(source=URL), expected_hash=before)


def test_prepared_data_need_no_store(bucket: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    known = load_data(DataSpec(source=URL), cache=tmp_path / "prepared").content_hash
    bucket.rm("/bucket/pets.npz")
    again = load_data(DataSpec(source=URL), cache=tmp_path / "prepared", expected_hash=known)
    assert again.content_hash == known


def test_a_folder_of_images_comes_with_its_classes(
    bucket: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    from PIL import Image

    for i in range(24):
        local = tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        local.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9), 10 * i, np.uint8)).save(local)
    bucket.put(str(tmp_path / "pets"), "/bucket/pets", recursive=True)
    data = load_data(DataSpec(source="memory://bucket/pets"))
    assert data.classes == ("cat", "dog")
    assert data.content_hash == load_data(DataSpec(source=str(tmp_path / "pets"))).content_hash


def test_the_least_recently_used_goes_when_the_limit_is_reached(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    size = bucket.size("/bucket/pets.npz")
    monkeypatch.setenv("NAS_DATA_CACHE_GB", str(2.5 * size / 1e9))
    entries = []
    for name in ("a", "b", "c"):
        bucket.copy("/bucket/pets.npz", f"/bucket/{name}.npz")
        entries.append(fetch(f"memory://bucket/{name}.npz").parents[1])
        long_ago = time.time() - 3600 + len(entries)
        os.utime(entries[-1] / "files.json", (long_ago, long_ago))
    assert [entry.exists() for entry in entries] == [False, True, True]


@pytest.mark.parametrize("limit", ["0.000001", "0", "-1", "nan", "much"])
def test_a_set_beyond_the_limit_and_a_limit_that_is_none_are_refused(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, cache: Path, limit: str
) -> None:
    monkeypatch.setenv("NAS_DATA_CACHE_GB", limit)
    with pytest.raises(InvalidRequestError, match="NAS_DATA_CACHE_GB"):
        fetch(URL)
    assert not list(cache.glob("*"))[1:]  # the lock


@pytest.mark.parametrize("url", ["memory://bucket/none.npz", "nothing://bucket/a.npz"])
def test_what_is_not_there_is_one_sentence(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="must be readable from every node"):
        load_data(DataSpec(source=url))


def test_an_interrupted_fetch_leaves_nothing(
    bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def cut_off(system: object, path: str, target: Path) -> str:
        target.write_bytes(b"half")
        return "of it"

    with monkeypatch.context() as patch:
        patch.setattr(remote_module, "_copy", cut_off)
        with pytest.raises(InvalidRequestError, match="ended early"):
            fetch(URL)
    assert [path.name for path in cache.iterdir()] == [".lock"]
    assert load_data(DataSpec(source=URL)).classes
