"""Folders of images: one subfolder a class, with or without train/val/test above.

A folder is known by what its files hold, not by what they are called: files are taken in the
order of their SHA-256, so renaming one, or copying the folder, changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from nas.data.images import Part, Pixels
from nas.data.resize import Color, read_picture
from nas.data.source import RawData, Source, check_classes
from nas.data.spec import DataSpec
from nas.errors import InvalidRequestError

SUFFIXES = {
    *(".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
}
PART_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
LARGEST_DEFAULT_SIZE = 64

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, order=True)
class ImageFile:
    """One file; the order is that of the content, inside its part and class."""

    part: str
    label: int
    sha256: str
    path: Path


def open_folder(folder: Path, spec: DataSpec) -> Source:
    """List and hash a folder's images; they are decoded when the source is read.

    Raises:
        InvalidRequestError: If it has no class folders, an empty class, or parts whose classes
            don't match; when read, if too many files are unreadable.
    """
    places, skipped = _list(folder)
    classes = _class_names(places, folder)
    hashes = _in_threads(_sha256, [path for _, _, path in places])
    files = sorted(
        ImageFile(part, classes.index(name), sha256, path)
        for (part, name, path), sha256 in zip(places, hashes, strict=True)
    )
    digest = hashlib.sha256(f"folder 1 {spec.image_size} {spec.color}\n".encode())
    digest.update("\0".join(classes).encode())
    for file in files:
        digest.update(f"\n{file.part} {file.label} {file.sha256}".encode())
    notes = (f"{skipped} files without an image's extension were left out",) if skipped else ()
    return Source(digest.hexdigest(), lambda: _read(folder, files, classes, notes, spec))


def _list(folder: Path) -> tuple[list[tuple[str, str, Path]], int]:
    """(part, class, file) of every image, and how many other files lie beside them."""
    places, skipped = [], 0
    for part, above in _part_folders(folder).items():
        for class_folder in _subfolders(above):
            entries = [e for e in class_folder.iterdir() if e.is_file() and e.name[0] != "."]
            images = [e for e in entries if e.suffix.lower() in SUFFIXES]
            if not images:
                raise InvalidRequestError(
                    f"Class folder `{class_folder}` must hold images ({_suffixes()}), "
                    f"but got {len(entries)} other files. Add images or remove the folder."
                )
            skipped += len(entries) - len(images)
            places += [(part, class_folder.name, image) for image in images]
    return places, skipped


def _part_folders(folder: Path) -> dict[str, Path]:
    """The folder itself as its training part, or the parts below it by their names."""
    below = _subfolders(folder)
    if not below:
        raise InvalidRequestError(
            f"`{folder}` must hold one subfolder a class, but got no subfolders. "
            f"Put each class's images into a folder of its name."
        )
    named = [sub for sub in below if sub.name.lower() in PART_FOLDERS]
    parts = [PART_FOLDERS[sub.name.lower()] for sub in named]
    # a class may well be called 'train': parts are folders of folders
    if "train" not in parts or len(named) < len(below) or not all(map(_subfolders, named)):
        return {"train": folder}
    if len(set(parts)) < len(parts):
        raise InvalidRequestError(
            f"`{folder}` must have each part once, but got {', '.join(s.name for s in named)}."
        )
    return dict(zip(parts, named, strict=True))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(e for e in folder.iterdir() if e.is_dir() and e.name[0] != ".")


def _suffixes() -> str:
    return " ".join(sorted(SUFFIXES))


def _class_names(places: Sequence[tuple[str, str, Path]], folder: Path) -> list[str]:
    classes = sorted({name for part, name, _ in places if part == "train"})
    for part, name, path in places:
        if name not in classes:
            raise InvalidRequestError(
                f"Classes of the {part} part must be among those of the training part, "
                f"but got `{path.parent}`. Add {folder}/train/{name} or remove it."
            )
    return classes


def _read(
    folder: Path,
    files: Sequence[ImageFile],
    classes: Sequence[str],
    notes: tuple[str, ...],
    spec: DataSpec,
) -> RawData:
    headers = dict(zip(files, _in_threads(_header, [f.path for f in files]), strict=True))
    size, color = _choose(folder, [h for h in headers.values() if h is not None], spec)

    def decode(file: ImageFile) -> Pixels | None:
        try:
            return read_picture(file.path, (size, size), color)
        except Exception:  # Pillow's readers raise whatever a broken file leads them to
            return None

    pixels = dict(zip(files, _in_threads(decode, files), strict=True))
    unreadable = [file for file in files if pixels[file] is None]
    notes = (*notes, *_unreadable_notes(folder, unreadable, len(files), spec))
    sides = {h[:2] for h in headers.values() if h is not None}
    if sides != {(size, size)}:
        notes = (*notes, f"images are stretched to {size} x {size}; `image_size` sets another")
    parts = {}
    for part in sorted({file.part for file in files}):
        good = [
            (f.label, image) for f in files if f.part == part and (image := pixels[f]) is not None
        ]
        images = np.array([image for _, image in good], np.uint8)
        parts[part] = Part(images, np.array([label for label, _ in good], np.int64))
    return check_classes(RawData(parts, tuple(classes), notes), str(folder))


def _unreadable_notes(
    folder: Path, unreadable: Sequence[ImageFile], total: int, spec: DataSpec
) -> tuple[str, ...]:
    if not unreadable:
        return ()
    names = [str(f.path.relative_to(folder)) for f in unreadable]
    shown = ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")
    if len(unreadable) > spec.max_unreadable_share * total:
        raise InvalidRequestError(
            f"At most {spec.max_unreadable_share:.1%} of the images in `{folder}` may be "
            f"unreadable, but got {len(unreadable)} of {total}: {shown}. "
            f"Remove them or raise `max_unreadable_share`."
        )
    return (f"{len(unreadable)} unreadable of {total} images left out: {shown}",)


def _choose(
    folder: Path, headers: Sequence[tuple[int, int, bool]], spec: DataSpec
) -> tuple[int, Color]:
    if not headers:
        raise InvalidRequestError(f"`{folder}` must hold readable images, but none could be read.")
    median = int(np.median([min(width, height) for width, height, _ in headers]))
    size = spec.image_size or min(median, LARGEST_DEFAULT_SIZE)
    if spec.color != "auto":
        return size, spec.color
    return size, "grey" if all(grey for _, _, grey in headers) else "rgb"


def _header(path: Path) -> tuple[int, int, bool] | None:
    """Width, height, and whether it is grey; None where even that can't be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return (*picture.size, picture.mode in ("1", "L", "LA", "I", "I;16", "I;16B"))
    except Exception:
        return None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidRequestError(
            f"`{path}` must be readable, but got: {error.strerror}."
        ) from None


def _in_threads(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        return list(threads.map(do, items))
