"""Classify pictures with an exported file and nothing else: no store, no data set.

Of this package it takes the resize rule, which needs numpy and Pillow; the rest is the file's
own runtime. An ONNX file is run without torch.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.data.resize import picture_to_input
from nas.errors import InvalidRequestError
from nas.export.card import ModelCard
from nas.export.format import Floats, OpenModel, require_modules
from nas.export.formats import FORMATS

Picture = str | Path | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a network says of one picture.

    Args:
        path: The picture's file, or `array 0`, `array 1`, ... for arrays.
        probability: That of `class_name`, the most probable class.
        top5: The most probable classes with their probabilities, at most five, best first.
    """

    path: str
    class_name: str
    probability: float
    top5: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Predictor:
    """A loaded file; `format` is the name of its format."""

    path: Path
    format: str
    model: OpenModel

    @property
    def card(self) -> ModelCard:
        return self.model.card

    def predict(self, pictures: Sequence[Picture], batch_size: int = 64) -> list[Prediction]:
        """Classify pictures: files of any size and colour, or uint8 arrays (H x W, or
        H x W x 1, 3 or 4), each prepared by the resize rule that training used.

        Raises:
            InvalidRequestError: If a picture cannot be read; it is named.
        """
        predictions: list[Prediction] = []
        inputs = ((name, self._read(name, picture)) for name, picture in _named(pictures))
        while batch := list(islice(inputs, batch_size)):
            logits = self.model.run(np.stack([pixels for _, pixels in batch]))
            shares = _softmax(logits)
            predictions += (
                _prediction(name, row, self.card.classes) for (name, _), row in zip(batch, shares)
            )
        return predictions

    def _read(self, name: str, picture: Picture) -> Floats:
        card = self.card
        height, width = card.stored_size
        try:
            file = _as_png(picture) if isinstance(picture, np.ndarray) else picture
            return picture_to_input(file, (height, width), card.resolution, card.mean, card.std)
        except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InvalidRequestError(
                f"Image `{name}` must be a picture that can be read, but got: {reason}"
            ) from None


def load_predictor(path: str | Path) -> Predictor:
    """Load a file that `nas export` wrote; its content tells its format, not its name.

    A .pt2 file is a program, and torch unpickles it: load only one that you trust.
    safetensors and ONNX files hold no code.

    Raises:
        InvalidRequestError: If there is no such file, `nas export` did not write it, it is
            damaged, or the runtime of its format is not installed.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InvalidRequestError(
            f"`{path}` must be a file that `nas export` wrote, but got: {error.strerror}."
        ) from None
    for format in FORMATS.values():
        if format.recognizes(head):
            require_modules(format, format.load_needs)
            try:
                return Predictor(path, format.name, format.load(path))
            except Exception as error:  # the runtimes have no common error for a damaged file
                raise InvalidRequestError(
                    f"`{path}` must be a {format.name} file that `nas export` wrote, "
                    f"but got: {_first_line(error)}"
                ) from None
    raise InvalidRequestError(
        f"`{path}` must be a file that `nas export` wrote ({', '.join(FORMATS)}), "
        f"but it is none of these."
    )


def _named(pictures: Sequence[Picture]) -> Iterator[tuple[str, Picture]]:
    for i, picture in enumerate(pictures):
        yield f"array {i}" if isinstance(picture, np.ndarray) else str(picture), picture


def _as_png(pixels: NDArray[np.uint8]) -> io.BytesIO:
    """Without loss, so that an array goes the way that its file would go."""
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ValueError(f"{pixels.dtype} of {pixels.ndim} dimensions, not uint8 of 2 or 3")
    file = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(flat).save(file, "PNG", compress_level=0)
    file.seek(0)
    return file


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _prediction(name: str, shares: Floats, classes: tuple[str, ...]) -> Prediction:
    best = np.argsort(-shares, kind="stable")[:5]
    top5 = tuple((classes[i], float(shares[i])) for i in best)
    return Prediction(path=name, class_name=top5[0][0], probability=top5[0][1], top5=top5)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
