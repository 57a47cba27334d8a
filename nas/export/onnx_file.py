"""ONNX: the graph with its weights, run by ONNX Runtime and others, without torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nas.export.card import ModelCard
from nas.export.format import Floats, Format, OpenModel, metadata, read_metadata
from nas.export.torch_program import trace
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
"""The exporter's own, without conversion; ONNX Runtime reads it from 1.14 (2023) on."""


def write(path: Path, model: nn.Module, architecture: Architecture, card: ModelCard) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (FutureWarning))  # torch 2.13's own, of its tree specs
        program = torch.onnx.export(
            trace(model, card),
            dynamo=True,
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # it is only with `f`, or without `dynamo`
    program.model.metadata_props.update(metadata(architecture, card))
    program.save(path, external_data=False)


def load(path: Path) -> OpenModel:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    architecture, card = read_metadata(session.get_modelmeta().custom_metadata_map)

    def run(batch: Floats) -> Floats:
        logits: Floats = session.run(["logits"], {"image": batch})[0]
        return logits

    return OpenModel(card, architecture, run)


def recognizes(head: bytes) -> bool:
    """A protocol buffer whose first field is the version of ONNX's intermediate form."""
    return head.startswith(b"\x08")


ONNX = Format(
    name="onnx",
    suffix=".onnx",
    description=f"ONNX of opset {OPSET}; loaded by ONNX Runtime, without torch",
    write=write,
    load=load,
    recognizes=recognizes,
    write_needs=("onnx", "onnxscript", "onnxruntime"),
    load_needs=("onnxruntime",),
    extra="onnx",
)
