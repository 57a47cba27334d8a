"""A torch.export program: the graph with its weights, run by torch without this package.

torch.export.load unpickles, so a .pt2 file can carry code: load only those that you trust.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.export.card import ModelCard
from nas.export.format import (
    ARCHITECTURE_KEY,
    CARD_KEY,
    Floats,
    Format,
    OpenModel,
    metadata,
    read_metadata,
)
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn


def trace(model: nn.Module, card: ModelCard) -> Any:
    """The `torch.export.ExportedProgram` of a network, for any batch from 1 up."""
    import torch

    # a batch of 1 would be taken for a constant
    example = torch.zeros(card.input_shape(2))
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(model, (example,), dynamic_shapes=({0: batch},))


def write(path: Path, model: nn.Module, architecture: Architecture, card: ModelCard) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.13's own, of its tree specs
        program = trace(model, card)
        torch.export.save(program, path, extra_files=metadata(architecture, card))


def load(path: Path) -> OpenModel:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        names = {Path(name).name for name in archive.namelist()}
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} is damaged")
    if not {CARD_KEY, ARCHITECTURE_KEY} <= names:
        read_metadata({})  # refuses, before anything of a foreign file is unpickled
    import torch

    found: dict[str, Any] = {CARD_KEY: "", ARCHITECTURE_KEY: ""}
    program = torch.export.load(path, extra_files=found)
    architecture, card = read_metadata(found)
    model = program.module()

    def run(batch: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = model(torch.from_numpy(batch)).numpy()
        return logits

    return OpenModel(card, architecture, run)


def recognizes(head: bytes) -> bool:
    """A zip archive."""
    return head.startswith(b"PK\x03\x04")


TORCH_PROGRAM = Format(
    name="torch",
    suffix=".pt2",
    description="torch.export program; loaded by torch alone (torch.export.load)",
    write=write,
    load=load,
    recognizes=recognizes,
)
