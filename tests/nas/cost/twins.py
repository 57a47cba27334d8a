"""Slow, obvious twins of the counter: hooks on the built model, and tensors' lives in its graph.

Both run on torch's meta device, where shapes are real and nothing is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from nas.models.blocks import ChannelShuffle, PoolShortcut, SameConv2d
from nas.models.network import Network
from search_spaces.architecture import Architecture


def build_on_meta(architecture: Architecture) -> Network:
    with torch.device("meta"):
        return Network(architecture).eval()


def meta_image(architecture: Architecture) -> torch.Tensor:
    size = architecture.resolution
    return torch.empty(1, architecture.input_channels, size, size, device="meta")


@contextmanager
def hooks(model: Network) -> Iterator[tuple[Counter[str], Counter[str]]]:
    """MACs and output elements of every convolution and linear layer that runs, by its path."""
    macs: Counter[str] = Counter()
    activations: Counter[str] = Counter()

    def watch(name: str):
        def hook(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            if isinstance(module, nn.Conv2d):
                # every output element is one dot product with one filter
                macs[name] += output.numel() * module.weight[0].numel()
            else:
                macs[name] += output.numel() * module.in_features
            activations[name] += output.numel()

        return hook

    watched = [
        module.register_forward_hook(watch(name))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    yield macs, activations
    for handle in watched:
        handle.remove()


class _Tracer(torch.fx.Tracer):
    """Sees every operator; a channel shuffle is one, and padding is part of what pads."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        whole = isinstance(module, (SameConv2d, ChannelShuffle, PoolShortcut))
        return whole or super().is_leaf_module(module, name)


class _LifeOfTensors(torch.fx.Interpreter):
    """Runs a graph and keeps the largest sum of storages alive after any operator."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.peak = 0

    def run_node(self, node: torch.fx.Node):
        result = super().run_node(node)
        # a value that nobody reads again has left `env`; those that this node reads have not
        values = [value for value in (*self.env.values(), result) if torch.is_tensor(value)]
        alive = {value.untyped_storage()._cdata: value for value in values}
        self.peak = max(self.peak, sum(tensor.numel() for tensor in alive.values()))
        return result


def live_memory_bytes(model: Network) -> int:
    """Peak inference memory: live tensors of the traced graph and everything that is stored."""
    graph = _Tracer().trace(model)
    life = _LifeOfTensors(torch.fx.GraphModule(model, graph))
    with torch.no_grad():
        life.run(meta_image(model.architecture))
    stored = sum(tensor.numel() for tensor in model.parameters()) + sum(
        buffer.numel() for name, buffer in model.named_buffers() if "running" in name
    )
    return 4 * (life.peak + stored)
