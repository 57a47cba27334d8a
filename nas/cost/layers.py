"""Every operator of a network as one row: what it reads, its shape, and what follows from that.

A network is a chain of segments: stem, blocks, head. Only one tensor passes from a segment to
the next, so each can be counted alone, and equal blocks need counting once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from search_spaces.architecture import (
    Activation,
    Block,
    Head,
    Operator,
    Skip,
    SqueezeExcitation,
    Stem,
    strided,
)


class Layer(NamedTuple):
    """One operator, at batch size 1; `nas.cost.Costs` says what the counts mean.

    Args:
        name: Path of the module in the built model, for what has parameters.
        kind: conv, linear, norm, activation, shuffle, pool, multiply or add.
        reads: Tensors that it reads: 0 is the segment's input, i what the i-th layer puts out.
        size: Pixels a side of what it puts out.
        elements: Numbers in what it puts out.
        statistics: Running means and variances of a batch-norm; not trainable.
    """

    name: str
    kind: str
    reads: tuple[int, ...]
    in_channels: int
    out_channels: int
    size: int
    kernel_size: int
    stride: int
    groups: int
    elements: int
    macs: int
    parameters: int
    activations: int
    statistics: int


class _Tape:
    """Layers in the order in which they run."""

    def __init__(self, prefix: str, channels: int, size: int) -> None:
        self.layers: list[Layer] = []
        self.prefix, self.channels, self.size = prefix, channels, size

    def put(
        self,
        name: str,
        kind: str,
        *,
        out_channels: int | None = None,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        size: int | None = None,
        reads: tuple[int, ...] | None = None,
    ) -> None:
        """Add a layer; it reads the last one, keeps channels and divides the size by `stride`."""
        inputs = self.channels
        outputs = self.channels = inputs if out_channels is None else out_channels
        self.size = strided(self.size, stride) if size is None else size
        area = self.size * self.size
        weights = macs = activations = statistics = 0
        if kind in ("conv", "linear"):
            weights = inputs // groups * outputs * kernel_size * kernel_size
            macs, activations = weights * area, outputs * area
        elif kind == "norm":
            weights = statistics = 2 * outputs
        self.layers.append(
            Layer(
                self.prefix + name,
                kind,
                (len(self.layers),) if reads is None else reads,
                inputs,
                outputs,
                self.size,
                kernel_size,
                stride,
                groups,
                outputs * area,
                macs,
                weights + (outputs if bias else 0),
                activations,
                statistics,
            )
        )

    def conv_norm(
        self,
        name: str,
        out_channels: int,
        activation: Activation,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        self.put(
            f"{name}.conv",
            "conv",
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            groups=groups,
        )
        self.put(f"{name}.norm", "norm")
        self.activation(f"{name}.activation", activation)

    def activation(self, name: str, activation: Activation) -> None:
        if activation is not Activation.NONE:
            self.put(name, "activation")

    def squeeze_excitation(self, se: SqueezeExcitation | None) -> None:
        if se is None:
            return
        name, tensor, channels, size = "squeeze_excitation", *self._now()
        self.put(f"{name}.pool", "pool", size=1)
        self.put(f"{name}.reduce", "conv", out_channels=se.channels, bias=True)
        self.activation(f"{name}.activation", se.activation)
        self.put(f"{name}.expand", "conv", out_channels=channels, bias=True)
        self.put(f"{name}.gate", "activation")
        self.put(f"{name}.multiply", "multiply", size=size, reads=(tensor, len(self.layers)))

    def shortcut(self, block: Block, in_channels: int) -> None:
        tensor, channels, size = self._now()
        if block.skip is Skip.NONE:
            return
        self.channels, shortcut = in_channels, 0
        if block.skip is Skip.POOL:
            self.put("shortcut", "pool", out_channels=channels, size=size, reads=(shortcut,))
            shortcut = len(self.layers)
        if block.skip is Skip.PROJECTION and block.stride > 1:
            self.put("shortcut.pool", "pool", size=size, reads=(shortcut,))
            shortcut = len(self.layers)
        if block.skip is Skip.PROJECTION and in_channels != channels:
            self.put("shortcut.conv", "conv", out_channels=channels, size=size, reads=(shortcut,))
            shortcut = len(self.layers)
        self.put("add", "add", out_channels=channels, reads=(tensor, shortcut))

    def _now(self) -> tuple[int, int, int]:
        return len(self.layers), self.channels, self.size


def stem_layers(stem: Stem, input_channels: int, resolution: int) -> list[Layer]:
    """The layers before the first block."""
    tape = _Tape("", input_channels, resolution)
    tape.conv_norm(
        "stem", stem.channels, stem.activation, kernel_size=stem.kernel_size, stride=stem.stride
    )
    return tape.layers


def block_layers(block: Block, in_channels: int, in_size: int, name: str = "") -> list[Layer]:
    """The layers of one block; `name` goes before theirs."""
    tape = _Tape(f"{name}body.", in_channels, in_size)
    inner, groups = block.inner_channels(in_channels), block.groups
    kernel_size, stride, activation = block.kernel_size, block.stride, block.activation
    if block.operator is Operator.CONV:
        tape.conv_norm("conv", inner, activation, kernel_size, stride, groups)
    if block.operator is Operator.FUSED_MBCONV:
        tape.conv_norm("expand", inner, activation, kernel_size, stride, groups)
    if block.operator is Operator.MBCONV:
        tape.conv_norm("expand", inner, activation, groups=groups)
    if groups > 1 and block.expanded_channels is not None:
        tape.put("shuffle", "shuffle")
    if block.operator in (Operator.MBCONV, Operator.SEPARABLE):
        tape.conv_norm("depthwise", inner, activation, kernel_size, stride, groups=inner)
    tape.squeeze_excitation(block.squeeze_excitation)
    if block.operator is not Operator.CONV:
        last = activation if block.pointwise_activation else Activation.NONE
        tape.conv_norm("project", block.out_channels, last, groups=groups)
    tape.prefix = name
    tape.shortcut(block, in_channels)
    return tape.layers


def head_layers(head: Head, num_classes: int, in_channels: int, in_size: int) -> list[Layer]:
    """The layers after the last block."""
    tape = _Tape("head.", in_channels, in_size)
    if head.channels:
        tape.conv_norm("features", head.channels, head.activation)
    tape.put("pool", "pool", size=1)
    if head.hidden_channels:
        tape.put("hidden", "linear", out_channels=head.hidden_channels, bias=head.hidden_bias)
        tape.activation("activation", head.activation)
    tape.put("classifier", "linear", out_channels=num_classes, bias=True)
    return tape.layers


def peak_elements(layers: Sequence[Layer], input_elements: int) -> int:
    """The most numbers alive at once while these layers run, each tensor up to its last reader."""
    last_reader = {}
    for i, layer in enumerate(layers):
        for tensor in layer.reads:
            last_reader[tensor] = i
    elements = [input_elements, *[layer.elements for layer in layers]]
    alive = peak = input_elements
    for i, layer in enumerate(layers):
        alive += layer.elements
        if alive > peak:
            peak = alive
        for tensor in layer.reads:
            if last_reader[tensor] == i:
                alive -= elements[tensor]
    return peak
