"""A data spec to images: read, cut, and kept ready for the processes that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.data.arrays import open_digits, open_npz
from nas.data.cache import read_entry, write_entry
from nas.data.carried import entry_name, find_arrived
from nas.data.folders import open_folder
from nas.data.images import ImageData, Part, channel_statistics
from nas.data.remote import fetch, is_remote, node_cache
from nas.data.source import RawData, Source
from nas.data.spec import DataSpec
from nas.data.split import cut
from nas.errors import InvalidRequestError, WrongDataError


def load_data(
    spec: DataSpec, *, cache: str | Path | None = None, expected_hash: str | None = None
) -> ImageData:
    """Load a data set: every image in memory, or mapped from the cache.

    Args:
        cache: Folder of prepared data sets. An entry is made by the first process that needs
            it, and mapped into memory by the others, which share its pages.
        expected_hash: The content hash that the source must have. With it an entry of the
            cache is used without looking at the source, so that workers start at once.

    Raises:
        InvalidRequestError: If the source is missing, broken, or not the expected one.

    >>> data = load_data(DataSpec(source="digits"))
    >>> data.sizes, data.source_size, data.channels
    ('1222 train, 216 validation, 359 test', (8, 8), 1)
    """
    if expected_hash:
        found = read_entry(_entry(cache, spec, expected_hash)) if cache else None
        found = found or find_arrived(entry_name(spec, expected_hash))
        if found:
            return found
    source = open_source(spec)
    check_same(source.content_hash, expected_hash, spec.source)
    if not cache:
        return _prepare(source, spec)
    entry = _entry(cache, spec, source.content_hash)
    return read_entry(entry) or write_entry(entry, _prepare(source, spec))


def prepared_folder(artifacts: str) -> str:
    """Where a job's prepared data lie: with its artifacts, or on each node where those are far."""
    return str(node_cache() / "prepared") if is_remote(artifacts) else f"{artifacts}/data"


def check_same(content_hash: str, expected_hash: str | None, source: str) -> None:
    """Refuse a source that is no longer what a job began with."""
    if expected_hash and content_hash != expected_hash:
        raise WrongDataError(
            f"`{source}` must still hold what the job began with, content "
            f"{expected_hash[:12]}, but got {content_hash[:12]}. "
            f"Restore the files, or start a new job."
        )


def open_source(spec: DataSpec) -> Source:
    """Find a source and its content hash, without decoding images; fetch it if it is a URL."""
    if is_remote(spec.source):
        spec = spec.model_copy(update={"source": str(fetch(spec.source))})
    if spec.source != "digits" and Path(spec.source).is_dir():
        return open_folder(Path(spec.source), spec)
    if spec.image_size is not None or spec.color != "auto":
        raise InvalidRequestError(
            f"`image_size` and `color` must be left out where `source` is no folder of images, "
            f"but got {spec.source!r}. The recipe's `resolution` resizes any data set."
        )
    if spec.source == "digits":
        return open_digits()
    if spec.source.endswith(".npz"):
        return open_npz(Path(spec.source))
    raise InvalidRequestError(
        f"`source` must be 'digits', an .npz file or a folder of images, but got "
        f"{spec.source!r}, which is neither."
    )


def _entry(cache: str | Path, spec: DataSpec, content_hash: str) -> Path:
    return Path(cache) / entry_name(spec, content_hash)


def _prepare(source: Source, spec: DataSpec) -> ImageData:
    raw = source.read()
    parts, split = _cut_missing(raw, spec)
    mean, std = channel_statistics(parts["train"].images)
    data = ImageData(
        **parts,
        classes=raw.classes,
        mean=mean,
        std=std,
        content_hash=source.content_hash,
        split=split,
        notes=(*raw.notes, *_missing_notes(parts, raw.classes)),
    )
    if "val" in raw.parts and "test" in raw.parts:
        return data
    note = f"cut from the training part, seed {spec.split_seed}: now {data.sizes}"
    return replace(data, notes=(*data.notes, note))


def _cut_missing(raw: RawData, spec: DataSpec) -> tuple[dict[str, Part], str]:
    """The three parts, and their text for the evaluation key: what was given needs no seed."""
    parts, words = dict(raw.parts), []
    # the test part first: it then does not depend on how much is validated on
    for name, share in (("test", spec.test_share), ("val", spec.validation_share)):
        if name in parts:
            words.append(f"{name} given")
            continue
        parts["train"], parts[name] = cut(parts["train"], share, spec.split_seed, name, spec.source)
        words.append(f"{name} {share:g} seed {spec.split_seed}")
    return parts, ", ".join(words)


def _missing_notes(parts: Mapping[str, Part], classes: Sequence[str]) -> Iterator[str]:
    for part in ("val", "test"):
        counts = np.bincount(parts[part].labels, minlength=len(classes))
        missing = [name for name, count in zip(classes, counts, strict=True) if not count]
        if missing:
            yield f"the {part} part has no image of {len(missing)} classes: {missing[0]!r}, ..."
