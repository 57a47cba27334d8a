"""Write a trained network in a format, and prove that the file answers as the network does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.data.resize import pixels_to_input
from nas.errors import InvalidRequestError, NasError
from nas.export.card import ModelCard
from nas.export.format import Floats, OpenModel, check_pair, require_modules
from nas.export.formats import get_format
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 1e-4
"""Largest difference allowed between a file's logits and the network's, as a share of the
network's largest logit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A written and verified file.

    Args:
        architecture_path: The architecture as readable JSON, written beside it.
        largest_relative_difference: Of the file's logits from the trained network's.
        images: How many real images they were compared on.
    """

    path: Path
    architecture_path: Path
    sha256: str
    size_bytes: int
    largest_relative_difference: float
    images: int


def export_model(
    architecture: Architecture,
    state_dict: Mapping[str, Tensor],
    card: ModelCard,
    directory: Path | str,
    format: str,
    samples: NDArray[np.uint8],
    *,
    name: str | None = None,
) -> Exported:
    """Write one file, load it back in its own runtime, and compare on real images.

    The images go through in batches of one, of two and of all, so that the batch is known to be
    free. The file gets its name (`NAME.safetensors`, ...) when it has passed.

    Args:
        state_dict: The trained weights, as `nas.models` names them.
        samples: uint8, N x H x W x C, of the data set that the card describes; a few dozen do.
        name: Of the file, without suffix; otherwise the first 12 digits of the fingerprint.

    Raises:
        InvalidRequestError: If the format is unknown or its extra not installed, if card,
            weights or images don't fit the architecture, or the place cannot be written to.
        NasError: If the file answers otherwise than the network; it is then removed.
    """
    chosen = get_format(format)
    require_modules(chosen, chosen.write_needs)
    check_pair(architecture, card)
    inputs = _to_inputs(samples, card)
    model = _load_network(architecture, state_dict)
    directory, name = Path(directory), _file_name(name or architecture.fingerprint[:12])
    path = directory / (name + chosen.suffix)
    unfinished = directory / f".{name}.{os.getpid()}{chosen.suffix}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            chosen.write(unfinished, model, architecture, card)
            difference = _compare(model, chosen.load(unfinished), inputs)
            if not difference <= TOLERANCE:
                raise NasError(
                    f"The {format} file must answer as the network does, within {TOLERANCE:g} of "
                    f"its largest logit, but differs by {difference:.3g}; no file was left."
                )
            readable = _write_architecture(directory / f"{name}.architecture.json", architecture)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidRequestError(
            f"Folder {str(directory)!r} must be one that can be written to, "
            f"but got: {error.strerror or error}."
        ) from None
    content = path.read_bytes()
    return Exported(
        path=path,
        architecture_path=readable,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        largest_relative_difference=difference,
        images=len(samples),
    )


def _to_inputs(samples: NDArray[np.uint8], card: ModelCard) -> Floats:
    height, width = card.stored_size
    wanted = (height, width, card.channels)
    if samples.dtype != np.uint8 or samples.shape[1:] != wanted or not len(samples):
        raise InvalidRequestError(
            f"`samples` must be uint8 images of N x {' x '.join(map(str, wanted))}, "
            f"but got {samples.dtype} of {' x '.join(map(str, samples.shape))}."
        )
    return np.stack([pixels_to_input(s, card.resolution, card.mean, card.std) for s in samples])


def _load_network(architecture: Architecture, state_dict: Mapping[str, Tensor]) -> nn.Module:
    from nas.models.network import build_model

    model = build_model(architecture)
    try:
        model.load_state_dict(dict(state_dict))
    except RuntimeError as error:
        problem = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise InvalidRequestError(
            f"The weights must be those of architecture {architecture.fingerprint}, "
            f"but got: {problem}"
        ) from None
    return model.eval()


def _compare(model: nn.Module, loaded: OpenModel, inputs: Floats) -> float:
    """The largest difference over all batches, relative to the network's largest logit."""
    import torch

    with torch.inference_mode():
        expected = model(torch.from_numpy(inputs)).numpy()
    # two images at least, so that a batch of one and a batch of two differ
    rows = np.arange(max(3, len(inputs))) % len(inputs)
    scale = float(np.abs(expected).max())
    if not np.isfinite(expected).all():
        return float("nan")
    batches = [rows[:1], rows[:2], rows]
    largest = max(float(np.abs(loaded.run(inputs[b]) - expected[b]).max()) for b in batches)
    return largest / scale if scale else largest


def _file_name(name: str) -> str:
    if Path(name).name != name or name.startswith("."):
        raise InvalidRequestError(f"`name` must be a plain file name, but got {name!r}.")
    return name


def _write_architecture(path: Path, architecture: Architecture) -> Path:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(architecture.to_json(indent=2) + "\n")
    os.replace(unfinished, path)
    return path
