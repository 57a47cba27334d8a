"""Checkpoints: where a training stands after an epoch, on disk.

A file is the SHA-256 of what follows, and then torch's own format, read back with weights only.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from nas.data.artifacts import read_bytes, write_bytes

_DIGEST_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def write_checkpoint(place: str | Path, signature: str, state: dict[str, Any]) -> None:
    """Write it whole, in place of an older one.

    Args:
        place: A path or an fsspec URL.
        signature: What is being trained; only the same training reads it back.
        state: Tensors and plain values.
    """
    buffer = io.BytesIO()
    torch.save({"signature": signature, "state": state}, buffer)
    content = buffer.getvalue()
    write_bytes(*_split(place), hashlib.sha256(content).digest() + content)


def read_checkpoint(
    place: str | Path, signature: str, device: torch.device
) -> dict[str, Any] | None:
    """The state of the same training; None, with a warning, where the file can't be used."""
    content = read_bytes(*_split(place))
    if content is None:
        return None
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        _log.warning("Checkpoint %s is damaged; the training starts over.", place)
        return None
    try:
        loaded = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except Exception as error:  # another torch's format, say: never a reason to stop
        _log.warning("Checkpoint %s can't be read (%s); the training starts over.", place, error)
        return None
    if loaded.get("signature") != signature:
        _log.warning("Checkpoint %s is of another training; this one starts over.", place)
        return None
    state: dict[str, Any] = loaded["state"]
    return state


def _split(place: str | Path) -> tuple[str, str]:
    location, _, name = str(place).rpartition("/")
    return location or ("/" if str(place).startswith("/") else "."), name
