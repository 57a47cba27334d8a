"""The units that networks are made of; layers run in the order of `search_spaces`' `Operator`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.architecture import (
    Activation,
    Architecture,
    Block,
    Gate,
    Operator,
    Padding,
    Skip,
    SqueezeExcitation,
)

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    Activation.RELU: nn.ReLU,
    Activation.RELU6: nn.ReLU6,
    Activation.SILU: nn.SiLU,
    Activation.HARD_SWISH: nn.Hardswish,
}
GATES: dict[Gate, type[nn.Module]] = {
    Gate.SIGMOID: nn.Sigmoid,
    Gate.HARD_SIGMOID: nn.Hardsigmoid,
}


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding: what is odd of it goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        height, width = (self._padding_of(size) for size in x.shape[-2:])
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding_of(self, size: int) -> int:
        stride, kernel_size = self.stride[0], self.kernel_size[0]
        return max(0, (-(-size // stride) - 1) * stride + kernel_size - size)


@dataclass(frozen=True, slots=True)
class LayerFactory:
    """What all layers of a network share, so that blocks need not know the network."""

    batch_norm_eps: float
    batch_norm_momentum: float
    padding: Padding

    @classmethod
    def of(cls, architecture: Architecture) -> LayerFactory:
        return cls(
            architecture.batch_norm_eps, architecture.batch_norm_momentum, architecture.padding
        )

    def conv_norm(
        self,
        in_channels: int,
        out_channels: int,
        activation: Activation,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> nn.Sequential:
        """`conv`, `norm` and, unless it is none, `activation`."""
        # at stride 1 or kernel 1 both paddings are the same
        uneven = self.padding is Padding.SAME and stride > 1 and kernel_size > 1
        conv = (SameConv2d if uneven else nn.Conv2d)(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=0 if uneven else (kernel_size - 1) // 2,
            groups=groups,
            bias=False,
        )
        norm = nn.BatchNorm2d(
            out_channels, eps=self.batch_norm_eps, momentum=self.batch_norm_momentum
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, norm=norm)
        if activation is not Activation.NONE:
            layers["activation"] = ACTIVATIONS[activation]()
        return nn.Sequential(layers)


class ChannelShuffle(nn.Module):
    """Deals the channels of each group out to all groups (ShuffleNet, arXiv 1707.01083)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Reorder the channels of (n, c, h, w)."""
        n, c, h, w = x.shape
        return x.reshape(n, self.groups, -1, h, w).transpose(1, 2).reshape(n, c, h, w)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that is computed from all channels' means."""

    def __init__(self, channels: int, settings: SqueezeExcitation) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, settings.channels, 1)
        self.activation = (
            nn.Identity()
            if settings.activation is Activation.NONE
            else ACTIVATIONS[settings.activation]()
        )
        self.expand = nn.Conv2d(settings.channels, channels, 1)
        self.gate = GATES[settings.gate]()

    def forward(self, x: Tensor) -> Tensor:
        """Scale (n, c, h, w) by a gate of shape (n, c, 1, 1)."""
        means = x.mean((2, 3), keepdim=True)
        gate: Tensor = self.gate(self.expand(self.activation(self.reduce(means))))
        return x * gate


class PoolShortcut(nn.Module):
    """A 3x3 average at the block's stride, on the channels that input and output both have."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, h, w) to the shape of the block's output."""
        x = F.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)
        # a negative padding cuts
        return F.pad(x, (0, 0, 0, 0, 0, self.added_channels)) if self.added_channels else x


class ProjectionShortcut(nn.Module):
    """A 2x2 average where the stride is 2, then a 1x1 `conv` where the channels change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, h, w) to the shape of the block's output."""
        if self.stride > 1:
            odd = (x.shape[-2] % 2, x.shape[-1] % 2)
            x = F.avg_pool2d(x, 2, self.stride, padding=odd)
        projected: Tensor = self.conv(x)
        return projected


def drop_connect(x: Tensor, survival: float) -> Tensor:
    """Zero whole samples, and divide the others by the probability that they survive."""
    mask = x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(survival)
    return x * mask.div_(survival)


class BlockModule(nn.Module):
    """One block: the layers of its `body` by name, and the `shortcut` that is added, if any.

    Args:
        survival: Probability that a sample's body is not dropped in training.
    """

    def __init__(
        self, block: Block, in_channels: int, factory: LayerFactory, survival: float = 1.0
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(_layers(block, in_channels, factory))
        self.survival = survival
        self.shortcut: nn.Module | None = None
        if block.skip is Skip.IDENTITY:
            self.shortcut = nn.Identity()
        elif block.skip is not Skip.NONE:
            kind = PoolShortcut if block.skip is Skip.POOL else ProjectionShortcut
            self.shortcut = kind(in_channels, block.out_channels, block.stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_channels, h, w) to (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        y: Tensor = self.body(x)
        if self.shortcut is None:
            return y
        if self.training and self.survival < 1.0:
            y = drop_connect(y, self.survival)
        added: Tensor = self.shortcut(x)
        return y + added


def _layers(block: Block, in_channels: int, factory: LayerFactory) -> OrderedDict[str, nn.Module]:
    """The layers of a block by name, in their order."""
    inner, activation, groups = block.inner_channels(in_channels), block.activation, block.groups
    spatial = {"kernel_size": block.kernel_size, "stride": block.stride}
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    match block.operator:
        case Operator.CONV:
            layers["conv"] = factory.conv_norm(
                in_channels, inner, activation, groups=groups, **spatial
            )
        case Operator.FUSED_MBCONV:
            layers["expand"] = factory.conv_norm(
                in_channels, inner, activation, groups=groups, **spatial
            )
        case Operator.MBCONV:
            layers["expand"] = factory.conv_norm(in_channels, inner, activation, groups=groups)
    if groups > 1 and "expand" in layers:
        layers["shuffle"] = ChannelShuffle(groups)
    if block.operator in (Operator.MBCONV, Operator.SEPARABLE):
        layers["depthwise"] = factory.conv_norm(inner, inner, activation, groups=inner, **spatial)
    if block.squeeze_excitation is not None:
        layers["squeeze_excitation"] = SqueezeExcite(inner, block.squeeze_excitation)
    if block.operator is not Operator.CONV:
        last = activation if block.pointwise_activation else Activation.NONE
        layers["project"] = factory.conv_norm(inner, block.out_channels, last, groups=groups)
    return layers
