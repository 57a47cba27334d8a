"""Data sets that are arrays already: scikit-learn's digits and .npz files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.images import Labels, Part, Pixels
from nas.data.source import PART_NAMES, RawData, Source, check_classes
from nas.errors import InvalidRequestError


def open_digits() -> Source:
    """1,797 grey images of 8 x 8 in ten classes, 0 to 16 stretched to 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    classes = tuple(str(name) for name in digits.target_names)
    return _source(RawData({"train": Part(images, digits.target.astype(np.int64))}, classes))


def open_npz(path: Path) -> Source:
    """An .npz file with `x_train, y_train` and, where it has them, `x_val, y_val`,
    `x_test, y_test`, `classes`.

    Images are uint8, N x H x W or N x H x W x C with C 1 or 3; labels whole numbers. Where
    `classes` is missing, the training labels' distinct values are the classes.

    Raises:
        InvalidRequestError: If the file can't be read or its arrays break these rules.
    """
    arrays = _read_arrays(path)
    parts = {name: _part(arrays, name, path) for name in PART_NAMES if _has(arrays, name, path)}
    if "train" not in parts:
        raise InvalidRequestError(
            f"`{path}` must hold `x_train` and `y_train`, but got {_names(arrays)}."
        )
    shape = parts["train"].images.shape[1:]
    for name, part in parts.items():
        if part.images.shape[1:] != shape:
            raise InvalidRequestError(
                f"`x_{name}` in {path} must have images of the shape of `x_train`, {shape}, "
                f"but got {part.images.shape[1:]}."
            )
    if "classes" in arrays:
        classes = _class_names(arrays["classes"], path)
    else:
        classes, parts = _classes_from_labels(parts, path)
    known = {"classes", *(f"{axis}_{part}" for axis in "xy" for part in PART_NAMES)}
    extra = _names(set(arrays) - known)
    notes = (f"not used: {extra} in {path.name}",) if extra else ()
    return _source(check_classes(RawData(parts, classes, notes), str(path)))


def _source(raw: RawData) -> Source:
    digest = hashlib.sha256(b"arrays 1")
    for name, part in sorted(raw.parts.items()):
        digest.update(f"{name} {part.images.shape}".encode())
        digest.update(np.ascontiguousarray(part.images).data)
        digest.update(part.labels.astype("<i8").tobytes())
    digest.update("\0".join(raw.classes).encode())
    return Source(digest.hexdigest(), lambda: raw)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InvalidRequestError(f"`source` must be an existing file, but got {path}.")
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise ValueError("it holds one array without a name")
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InvalidRequestError(
            f"`{path}` must be an .npz file of plain arrays, but reading it failed: "
            f"{_first_line(error)}"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".") + "."


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)[:12]) or ""


def _has(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> bool:
    found = [key for key in (f"x_{name}", f"y_{name}") if key in arrays]
    if len(found) == 1:
        missing = f"{'y' if found[0][0] == 'x' else 'x'}_{name}"
        raise InvalidRequestError(
            f"`{path}` must hold `{missing}` beside `{found[0]}`, but got {_names(arrays)}."
        )
    return bool(found)


def _part(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> Part:
    images = _pixels(arrays[f"x_{name}"], f"`x_{name}` in {path}")
    labels = _labels(arrays[f"y_{name}"], f"`y_{name}` in {path}")
    if len(images) != len(labels):
        raise InvalidRequestError(
            f"`y_{name}` in {path} must have a label for each of the {len(images)} images, "
            f"but got {len(labels)}."
        )
    if len(images) == 0:
        raise InvalidRequestError(f"`x_{name}` in {path} must hold images, but got none.")
    return Part(images, labels)


def _pixels(images: NDArray[Any], place: str) -> Pixels:
    if images.dtype != np.uint8:
        nan = images.dtype.kind == "f" and bool(np.isnan(images).any())
        raise InvalidRequestError(
            f"{place} must be uint8, 0 to 255, but got {images.dtype}"
            f"{' with NaN' if nan else ''}. Bring it to 0 to 255 and save `.astype('uint8')`."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape[1:]:
        raise InvalidRequestError(
            f"{place} must have the shape N x H x W, or N x H x W x C with 1 or 3 channels, "
            f"but got {' x '.join(map(str, images.shape))}."
        )
    return images


def _labels(labels: NDArray[Any], place: str) -> Labels:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InvalidRequestError(
            f"{place} must be whole numbers, one an image, but got {labels.dtype} "
            f"of shape {labels.shape}."
        )
    return labels.astype(np.int64)


def _class_names(names: NDArray[Any], path: Path) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise InvalidRequestError(
            f"`classes` in {path} must be a list of names, but got {names.dtype} "
            f"of shape {names.shape}."
        )
    classes = tuple(
        name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        for name in names.tolist()
    )
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise InvalidRequestError(f"`classes` in {path} must differ, but got {twice!r} twice.")
    return classes


def _classes_from_labels(
    parts: dict[str, Part], path: Path
) -> tuple[tuple[str, ...], dict[str, Part]]:
    values = np.unique(parts["train"].labels)
    numbered = {}
    for name, part in parts.items():
        places = np.searchsorted(values, part.labels).clip(0, len(values) - 1)
        unknown = part.labels[values[places] != part.labels]
        if len(unknown):
            raise InvalidRequestError(
                f"Labels of `y_{name}` in {path} must occur in `y_train`, but got {unknown[0]}."
            )
        numbered[name] = Part(part.images, places.astype(np.int64))
    return tuple(str(value) for value in values), numbered
