"""Weights as safetensors, with architecture and card in the header; the file holds no code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.export.card import ModelCard
from nas.export.format import Floats, Format, OpenModel, metadata, read_metadata
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn


def write(path: Path, model: nn.Module, architecture: Architecture, card: ModelCard) -> None:
    from safetensors.torch import save_file

    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, path, metadata=metadata(architecture, card))


def load(path: Path) -> OpenModel:
    import torch
    from safetensors import safe_open

    from nas.models.network import build_model

    with safe_open(path, framework="pt") as file:
        architecture, card = read_metadata(file.metadata() or {})
        # on no device: a file cannot make us take more memory than its own tensors do
        with torch.device("meta"):
            model = build_model(architecture)
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()}, assign=True)  # noqa: SIM118
    model.eval()

    def run(batch: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = model(torch.from_numpy(batch)).numpy()
        return logits

    return OpenModel(card, architecture, run)


def recognizes(head: bytes) -> bool:
    """Eight bytes of header length, then the header's JSON."""
    return head[8:9] == b"{"


SAFETENSORS = Format(
    name="safetensors",
    suffix=".safetensors",
    description="weights, with the architecture in the header; loaded by this package",
    write=write,
    load=load,
    recognizes=recognizes,
)
