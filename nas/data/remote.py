"""Data sets in object stores (`s3://`, `gs://`, any fsspec URL): fetched once a node.

Files lie in a cache of the node, by what the store says of them (names, sizes, ETags or times),
each with its SHA-256, which is checked whenever they are used again. `NAS_DATA_CACHE` names the
folder, `NAS_DATA_CACHE_GB` how much it may hold; what was used least recently goes first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from nas.errors import InvalidRequestError

USUAL_LIMIT_GB = 50.0
IN_USE_S = 600.0
"""What was used this recently may be being read, and stays whatever the limit says."""

BLOCK_BYTES = 1 << 20
STATE = ("ETag", "etag", "md5Hash", "crc32c", "LastModified", "mtime", "created", "updated")
"""What file systems tell of a file that changes with its content."""


def is_remote(place: str) -> bool:
    """Whether a source or artifact location is a URL.

    >>> is_remote("s3://bucket/pets"), is_remote("/data/pets")
    (True, False)
    """
    return "://" in place


def node_cache() -> Path:
    """Where this node keeps what it fetched and prepared."""
    given = os.environ.get("NAS_DATA_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "nas-scale" / "data"


def fetch(url: str) -> Path:
    """Bring a file or folder to this node, unless it is there already.

    Several processes may ask at once: one fetches, the others wait for it.

    Returns:
        The local file, with its name, or the local folder.

    Raises:
        InvalidRequestError: If there is nothing, it can't be read, or it exceeds the limit.
    """
    from filelock import FileLock

    try:
        system, root = _file_system(url)
        files = _list(system, root)
        entry = node_cache() / "fetched" / _key(url, files)
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.parent / ".lock"):
            if not _is_whole(entry):
                _make_room(entry.parent, sum(info["size"] for info in files.values()), url)
                _download(system, root, files, entry)
            os.utime(entry / "files.json")
    except InvalidRequestError:
        raise
    except Exception as error:  # every file system has errors of its own
        raise InvalidRequestError(
            f"`{url}` must be readable from every node, but got {type(error).__name__}: {error}. "
            f"Check the address, and the node's credentials and network."
        ) from error
    return entry / "data" / PurePosixPath(root).name if root in files else entry / "data"


def _file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system of the URL, or pyarrow's where fsspec would need another package."""
    import fsspec

    try:
        system, root = fsspec.url_to_fs(url)
    except ImportError:
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow.fs import FileSystem

        arrow, root = FileSystem.from_uri(url)
        system = ArrowFSWrapper(arrow)
    return system, root.rstrip("/")


def _list(system: Any, root: str) -> dict[str, Mapping[str, Any]]:
    found = {path: info for path, info in system.find(root, detail=True).items() if path}
    if not found:
        raise FileNotFoundError("there is no file")
    for path in found:
        if ".." in PurePosixPath(path).parts:
            raise ValueError(f"{path!r} would lie outside of the folder")
    return found


def _key(url: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    state = [
        [path, info["size"], *(str(info[name]) for name in STATE if name in info)]
        for path, info in sorted(files.items())
    ]
    return hashlib.sha256(json.dumps([url, state]).encode()).hexdigest()[:32]


def _is_whole(entry: Path) -> bool:
    """Whether an entry is there and each file has the SHA-256 that it came with."""
    try:
        sums: dict[str, str] = json.loads((entry / "files.json").read_text())
        return all(_sha256(entry / "data" / name) == known for name, known in sums.items())
    except (OSError, ValueError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(system: Any, root: str, files: Mapping[str, Mapping[str, Any]], entry: Path) -> None:
    """Make an entry; it appears whole or not at all."""
    shutil.rmtree(entry, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".fetching-") as folder:
        unfinished, sums = Path(folder) / "entry", {}
        for path, info in files.items():
            name = PurePosixPath(path).relative_to(root).as_posix() if path != root else ""
            name = name or PurePosixPath(root).name
            target = unfinished / "data" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            sums[name] = _copy(system, path, target)
            if target.stat().st_size != info["size"]:
                raise OSError(f"{path} ended early: {target.stat().st_size} of {info['size']} B")
        (unfinished / "files.json").write_text(json.dumps(sums))
        unfinished.rename(entry)


def _copy(system: Any, path: str, target: Path) -> str:
    digest = hashlib.sha256()
    with system.open(path, "rb") as source, target.open("wb") as file:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _make_room(folder: Path, wanted: int, url: str) -> None:
    limit = _limit_bytes()
    if wanted > limit:
        raise InvalidRequestError(
            f"A data set must fit in the node's cache of {limit / 1e9:g} GB, but `{url}` has "
            f"{wanted / 1e9:.3g} GB. Raise NAS_DATA_CACHE_GB on the nodes."
        )
    entries = sorted(folder.glob("*/files.json"), key=lambda path: path.stat().st_mtime)
    sizes = {path.parent: _size(path.parent) for path in entries}
    now, total = time.time(), wanted + sum(sizes.values())
    for listing in entries:
        if total <= limit or listing.stat().st_mtime > now - IN_USE_S:
            return
        shutil.rmtree(listing.parent)
        total -= sizes[listing.parent]


def _limit_bytes() -> float:
    given = os.environ.get("NAS_DATA_CACHE_GB", str(USUAL_LIMIT_GB))
    try:
        limit = float(given)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise InvalidRequestError(
            f"NAS_DATA_CACHE_GB must be a number of gigabytes above 0, but got {given!r}."
        )
    return limit * 1e9


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
