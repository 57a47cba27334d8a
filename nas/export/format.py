"""Format: what every export format promises."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.errors import InvalidRequestError
from nas.export.card import ModelCard
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]

CARD_KEY = "nas_card.json"
ARCHITECTURE_KEY = "nas_architecture.json"


@dataclass(frozen=True, slots=True)
class OpenModel:
    """An exported file, loaded by its own runtime.

    Args:
        run: float32 of batch x channels x resolution x resolution, normalised, to float32 of
            batch x classes; any batch from 1 up.
    """

    card: ModelCard
    architecture: Architecture
    run: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write a network down. Each is one file that holds all that `load` needs.

    Args:
        write: Write the network (in evaluation mode, on the CPU) to a path.
        load: Load such a file; raises whatever its runtime raises for a damaged one.
        recognizes: Whether a file that begins with these 16 bytes may be one.
        write_needs, load_needs: Modules beyond the package's own dependencies.
        extra: Name of the package's extra that installs them.
    """

    name: str
    suffix: str
    description: str
    write: Callable[[Path, nn.Module, Architecture, ModelCard], None]
    load: Callable[[Path], OpenModel]
    recognizes: Callable[[bytes], bool]
    write_needs: tuple[str, ...] = ()
    load_needs: tuple[str, ...] = ()
    extra: str = ""


def require_modules(format: Format, modules: tuple[str, ...]) -> None:
    """Refuse with the command that installs what is missing."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise InvalidRequestError(
            f"Format {format.name!r} needs {', '.join(missing)}. "
            f'Install it: pip install "nas-scale[{format.extra}]".'
        )


def metadata(architecture: Architecture, card: ModelCard) -> dict[str, str]:
    """What every format keeps beside the weights, under the same two names."""
    return {CARD_KEY: card.to_json(), ARCHITECTURE_KEY: architecture.to_json()}


def read_metadata(found: dict[str, str]) -> tuple[Architecture, ModelCard]:
    """Read them back.

    Raises:
        InvalidRequestError: If a file has none: then `nas export` did not write it.
    """
    if CARD_KEY not in found or ARCHITECTURE_KEY not in found:
        raise InvalidRequestError("it has no model card, so `nas export` did not write it")
    card = ModelCard.from_json(found[CARD_KEY])
    architecture = Architecture.from_json(found[ARCHITECTURE_KEY])
    check_pair(architecture, card)
    return architecture, card


def check_pair(architecture: Architecture, card: ModelCard) -> None:
    """Refuse a card that is another network's."""
    if card.fingerprint != architecture.fingerprint:
        raise InvalidRequestError(
            f"The model card must be of architecture {architecture.fingerprint}, "
            f"but got {card.fingerprint}."
        )
    if (len(card.classes), card.channels) != (
        architecture.num_classes,
        architecture.input_channels,
    ):
        raise InvalidRequestError(
            f"The model card must have {architecture.num_classes} classes and "
            f"{architecture.input_channels} channels as its architecture has, "
            f"but got {len(card.classes)} and {card.channels}."
        )
