"""A whole network: stem, stages and head."""

from __future__ import annotations

from torch import Tensor, nn

from nas.models.blocks import ACTIVATIONS, BlockModule, LayerFactory
from nas.models.init import initialize
from search_spaces.architecture import Activation, Architecture


class HeadModule(nn.Module):
    """`features` (1x1), pooling, `hidden`, dropout and `classifier`; the first and third if any."""

    def __init__(self, architecture: Architecture, in_channels: int, factory: LayerFactory) -> None:
        super().__init__()
        head = architecture.head
        self.features: nn.Module = nn.Identity()
        self.hidden: nn.Module = nn.Identity()
        self.activation: nn.Module = nn.Identity()
        if head.channels:
            self.features = factory.conv_norm(in_channels, head.channels, head.activation)
            in_channels = head.channels
        if head.hidden_channels:
            self.hidden = nn.Linear(in_channels, head.hidden_channels, bias=head.hidden_bias)
            if head.activation is not Activation.NONE:
                self.activation = ACTIVATIONS[head.activation]()
            in_channels = head.hidden_channels
        self.dropout = nn.Dropout(architecture.dropout)
        self.classifier = nn.Linear(in_channels, architecture.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, h, w) to logits of (n, num_classes)."""
        x = self.features(x).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(self.activation(self.hidden(x))))
        return logits


class Network(nn.Module):
    """The module of an architecture; `network.architecture` is its genotype."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        factory = LayerFactory.of(architecture)
        stem = architecture.stem
        self.stem = factory.conv_norm(
            architecture.input_channels,
            stem.channels,
            stem.activation,
            kernel_size=stem.kernel_size,
            stride=stem.stride,
        )
        places = list(architecture.walk())
        stages: list[list[nn.Module]] = [[] for _ in architecture.stages]
        for i, place in enumerate(places):
            survival = 1.0 - architecture.drop_connect * i / len(places)
            stages[place.stage].append(
                BlockModule(place.block, place.in_channels, factory, survival)
            )
        self.stages = nn.Sequential(*(nn.Sequential(*blocks) for blocks in stages))
        self.head = HeadModule(architecture, places[-1].block.out_channels, factory)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of (n, input_channels, h, w) to logits of (n, num_classes)."""
        logits: Tensor = self.head(self.stages(self.stem(x)))
        return logits


def build_model(architecture: Architecture) -> Network:
    """Build a network in training mode, with new weights from torch's global generator.

    Inputs of any size run; the resolution is the architecture's own, not the module's. For
    a particular draw of weights call `torch.manual_seed` first; under
    `with torch.device("meta")` no memory is taken.

    >>> from search_spaces.published import get_published
    >>> model = build_model(get_published("mobilenet_v1_0.25"))
    >>> sum(p.numel() for p in model.parameters())
    470072
    """
    model = Network(architecture)
    initialize(model)
    return model
