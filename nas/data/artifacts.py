"""Files at the artifact location: a folder, or an fsspec URL such as `s3://bucket/folder`.

What is kept is named by its content (`weights/<sha256>.safetensors`), so writing it twice is
harmless. Every write appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from nas.data.remote import is_remote
from nas.errors import InvalidRequestError, NasError


class Stored(NamedTuple):
    """A file under the artifact location: its name there, the SHA-256 and size of its content."""

    name: str
    sha256: str
    size_bytes: int


def put_bytes(location: str, folder: str, suffix: str, content: bytes) -> Stored:
    """Keep content under its own SHA-256.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as location:
    ...     stored = put_bytes(location, "weights", ".bin", b"abc")
    ...     get_bytes(location, stored.name, stored.sha256)
    b'abc'
    """
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{folder}/{sha256}{suffix}"
    write_bytes(location, name, content)
    return Stored(name, sha256, len(content))


def get_bytes(location: str, name: str, sha256: str) -> bytes:
    """Read a kept file back.

    Raises:
        InvalidRequestError: If there is no such file.
        NasError: If its content is not what its SHA-256 says.
    """
    content = read_bytes(location, name)
    if content is None:
        raise InvalidRequestError(f"Artifact `{name}` must be under {location}, but is not there.")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise NasError(f"Artifact `{name}` under {location} is damaged: its SHA-256 differs.")
    return content


def read_bytes(location: str, name: str) -> bytes | None:
    """A file's content, or None where there is none."""
    try:
        if is_remote(location):
            import fsspec

            with fsspec.open(f"{location.rstrip('/')}/{name}", "rb") as file:
                return bytes(file.read())
        return (Path(location) / name).read_bytes()
    except FileNotFoundError:
        return None


def write_bytes(location: str, name: str, content: bytes) -> None:
    """Write a file whole, in place of an older one."""
    if is_remote(location):
        import fsspec

        system, path = fsspec.url_to_fs(f"{location.rstrip('/')}/{name}")
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, content)  # one upload: object stores show it when it is complete
        return
    path = Path(location) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise


def size_of(location: str, name: str) -> int | None:
    """Bytes of a file, or None where there is none."""
    try:
        if is_remote(location):
            import fsspec

            system, path = fsspec.url_to_fs(f"{location.rstrip('/')}/{name}")
            return int(system.size(path))
        return (Path(location) / name).stat().st_size
    except FileNotFoundError:
        return None


def names_in(location: str, folder: str) -> list[str]:
    """Names of the files in a folder of the location, without what is being written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as location:
    ...     write_bytes(location, "checkpoints/a.pt", b"")
    ...     names_in(location, "checkpoints"), names_in(location, "weights")
    (['checkpoints/a.pt'], [])
    """
    try:
        if is_remote(location):
            import fsspec

            system, path = fsspec.url_to_fs(f"{location.rstrip('/')}/{folder}")
            found = [str(name).rpartition("/")[2] for name in system.ls(path, detail=False)]
        else:
            found = [entry.name for entry in (Path(location) / folder).iterdir()]
    except FileNotFoundError:
        return []
    return sorted(f"{folder}/{name}" for name in found if not name.startswith("."))


def remove(location: str, name: str) -> None:
    """Delete a file, if it is there."""
    if is_remote(location):
        import fsspec

        system, path = fsspec.url_to_fs(f"{location.rstrip('/')}/{name}")
        with contextlib.suppress(FileNotFoundError):
            system.rm_file(path)
        return
    (Path(location) / name).unlink(missing_ok=True)
