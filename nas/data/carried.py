"""Small data sets that travel with the job, for nodes that don't see the driver's files.

The driver packs what it has prepared, its executor's object store brings it to each worker once,
and `load_data` finds it there by content and settings, as it would in the cache.
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass, replace

import numpy as np

from cluster.executor import Luggage
from nas.data.cache import PARTS
from nas.data.images import ImageData, Part
from nas.data.remote import is_remote
from nas.data.spec import DataSpec
from nas.errors import WrongDataError

MOST_BYTES = 100 * 2**20
"""What travels at most, of decoded images and labels."""

_arrived: dict[str, ImageData] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A prepared data set on its way.

    Args:
        name: Of its content and settings, see `entry_name`.
        sha256: Of its images and labels, when they were packed.
    """

    name: str
    data: ImageData
    sha256: str


def entry_name(spec: DataSpec, content_hash: str) -> str:
    """The same for equal images prepared in the same way, wherever they lie."""
    settings = spec.model_dump_json(exclude={"source"})
    return hashlib.sha256(f"{content_hash} {settings}".encode()).hexdigest()[:32]


def pack(spec: DataSpec, data: ImageData) -> Packed | None:
    """A data set for the journey; None where nodes have it anyway, or it is too large."""
    if spec.source == "digits" or is_remote(spec.source) or _bytes(data) > MOST_BYTES:
        return None
    # mapped files as plain arrays, which workers of a node then share without a copy
    train, val, test = (_plain(part) for part in (data.train, data.val, data.test))
    data = replace(data, train=train, val=val, test=test)
    return Packed(entry_name(spec, data.content_hash), data, _sha256(data))


def unpack(packed: Packed) -> None:
    """Have what arrived in this process found by `load_data`.

    Raises:
        WrongDataError: If it is not what was packed.
    """
    found = _sha256(packed.data)
    if found != packed.sha256:
        raise WrongDataError(
            f"A data set that came through Ray's object store to {socket.gethostname()} must have "
            f"the SHA-256 {packed.sha256[:12]} that it left with, but got {found[:12]}."
        )
    _arrived[packed.name] = packed.data


def luggage_of(spec: DataSpec, data: ImageData) -> Luggage | None:
    """The same for an executor: what unpacks it, and what was packed."""
    packed = pack(spec, data)
    return None if packed is None else (unpack, packed)


def find_arrived(name: str) -> ImageData | None:
    """What came to this process under that name."""
    return _arrived.get(name)


def check_reachable(source: str) -> None:
    """Refuse a place that a worker's node does not see.

    Raises:
        WrongDataError: With what to do.
    """
    if source != "digits" and not is_remote(source) and not os.path.exists(source):
        raise WrongDataError(
            f"`{source}` is not on node {socket.gethostname()}, and more than "
            f"{MOST_BYTES >> 20} MiB don't travel with a job: put it on a file system that all "
            f"nodes see, or give it as a URL such as s3://bucket/name."
        )


def _plain(part: Part) -> Part:
    return Part(np.asarray(part.images), np.asarray(part.labels))


def _bytes(data: ImageData) -> int:
    parts = [getattr(data, name) for name in PARTS]
    return sum(part.images.nbytes + part.labels.nbytes for part in parts)


def _sha256(data: ImageData) -> str:
    digest = hashlib.sha256()
    for name in PARTS:
        part = getattr(data, name)
        for array in (part.images, part.labels):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
