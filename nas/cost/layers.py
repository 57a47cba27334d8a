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
    """One operator, at batch size 1.

    Args:
        name: Path of the module in the built model, for what has parameters.
        kind: conv, linear, norm, activation, shuffle, pool, multiply or add.
        reads: Tensors that it reads: 0 is the segment's input, i what the i-th layer puts out.
        size: Pixels a side of what it puts out.
    """

    name: str
    kind: str
    reads: tuple[int, ...]
    in_channels: int
    out_channels: int
    size: int
    kernel_size: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def elements(self) -> int:
        """Numbers in the tensor that it puts out."""
        return self.out_channels * self.size * self.size

    @property
    def _weights(self) -> int:
        return self.in_channels // self.groups * self.kernel_size**2 * self.out_channels

    @property
    def macs(self) -> int:
        """Multiply-accumulates; biases are not counted."""
        return self._weights * self.size * self.size if self.kind in ("conv", "linear") else 0

    @property
    def parameters(self) -> int:
        """Trainable numbers: weights, biases, batch-norm's scale and shift."""
        if self.kind == "norm":
            return 2 * self.out_channels
        if self.kind in ("conv", "linear"):
            return self._weights + (self.out_channels if self.bias else 0)
        return 0

    @property
    def activations(self) -> int:
        """Elements put out, by convolutions and linear layers only."""
        return self.elements if self.kind in ("conv", "linear") else 0

    @property
    def statistics(self) -> int:
        """Running means and variances of a batch-norm."""
        return 2 * self.out_channels if self.kind == "norm" else 0


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
        in_channels = self.channels
        self.channels = in_channels if out_channels is None else out_channels
        self.size = strided(self.size, stride) if size is None else size
        self.layers.append(
            Layer(
                self.prefix + name,
                kind,
                (len(self.layers),) if reads is None else reads,
                in_channels,
                self.channels,
                self.size,
                kernel_size,
                stride,
                groups,
                bias,
            )
        )

    def conv_norm(
        self,
        name: str,
        out_channels: int,
        activation: Activation,
        *,
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

    def skip(self, block: Block, in_channels: int) -> None:
        tensor, channels, size = self._now()
        if block.skip is Skip.IDENTITY:
            self.put("add", "add", reads=(tensor, 0))
        if block.skip is Skip.POOL:
            self.put("skip", "pool", out_channels=in_channels, size=size, reads=(0,))
            self.put("add", "add", out_channels=channels, reads=(tensor, len(self.layers)))

    def _now(self) -> tuple[int, int, int]:
        return len(self.layers), self.channels, self.size


def stem_layers(stem: Stem, input_channels: int, resolution: int) -> list[Layer]:
    """The layers before the first block."""
    tape = _Tape("", input_channels, resolution)
    tape.conv_norm(
        "stem", stem.channels, stem.activation, kernel_size=stem.kernel_size, stride=stem.stride
    )
    return tape.layers


def block_layers(block: Block, in_channels: int, in_size: int, prefix: str = "") -> list[Layer]:
    """The layers of one block; `prefix` goes before their names."""
    tape = _Tape(prefix, in_channels, in_size)
    k_by_k = {"kernel_size": block.kernel_size, "stride": block.stride}
    inner, groups, activation = (
        block.inner_channels(in_channels),
        block.groups,
        block.activation,
    )
    if block.operator is Operator.CONV:
        tape.conv_norm("conv", inner, activation, groups=groups, **k_by_k)
        tape.squeeze_excitation(block.squeeze_excitation)
    else:
        if block.operator is Operator.FUSED_MBCONV:
            tape.conv_norm("expand", inner, activation, **k_by_k)
        else:
            if block.operator is Operator.MBCONV:
                tape.conv_norm("expand", inner, activation, groups=groups)
                if groups > 1:
                    tape.put("shuffle", "shuffle")
            tape.conv_norm("depthwise", inner, activation, groups=inner, **k_by_k)
        tape.squeeze_excitation(block.squeeze_excitation)
        last = activation if block.pointwise_activation else Activation.NONE
        tape.conv_norm("project", block.out_channels, last, groups=groups)
    tape.skip(block, in_channels)
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
    last_reader = {tensor: i for i, layer in enumerate(layers) for tensor in layer.reads}
    elements = [input_elements, *(layer.elements for layer in layers)]
    alive = peak = input_elements
    for i, layer in enumerate(layers):
        alive += layer.elements
        peak = max(peak, alive)
        alive -= sum(elements[t] for t in set(layer.reads) if last_reader[t] == i)
    return peak
