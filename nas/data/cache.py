"""Prepared data sets on disk, for processes to map into memory instead of decoding again.

An entry is a folder: `meta.json` and, for each part, its images and labels as .npy files. It
appears whole, by a rename, or not at all; a broken one is made again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.images import ImageData, Part

PARTS = ("train", "val", "test")


def read_entry(entry: Path) -> ImageData | None:
    """Map an entry into memory; None where there is none, or a broken one (which goes)."""
    if not entry.is_dir():
        return None
    try:
        meta: dict[str, Any] = json.loads((entry / "meta.json").read_text())
        parts = {name: _map_part(entry, name) for name in PARTS}
        for key in ("classes", "mean", "std", "notes"):
            meta[key] = tuple(meta[key])
        return ImageData(**{**meta, **parts})
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        shutil.rmtree(entry, ignore_errors=True)
        return None


def write_entry(entry: Path, data: ImageData) -> ImageData:
    """Store an entry, unless another process was first, and map it."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".writing-") as folder:
        unfinished = Path(folder) / "entry"
        unfinished.mkdir()
        for name in PARTS:
            part: Part = getattr(data, name)
            np.save(unfinished / f"{name}_images.npy", part.images)
            np.save(unfinished / f"{name}_labels.npy", part.labels)
        meta = {f.name: getattr(data, f.name) for f in fields(data) if f.name not in PARTS}
        (unfinished / "meta.json").write_text(json.dumps(meta))
        # renaming onto a folder with files fails: another process was first
        with contextlib.suppress(OSError):
            unfinished.rename(entry)
    return read_entry(entry) or data


def _map_part(entry: Path, name: str) -> Part:
    images, labels = (
        np.load(entry / f"{name}_{kind}.npy", mmap_mode="r", allow_pickle=False)
        for kind in ("images", "labels")
    )
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images and {len(labels)} labels")
    return Part(images, labels)
