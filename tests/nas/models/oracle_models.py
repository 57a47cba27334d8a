"""torchvision's and timm's own models, filled with numbers that a wrong map would betray."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.oracles import import_oracle


def torchvision_model(name: str) -> nn.Module:
    return _filled(import_oracle("torchvision.models").get_model, name)


def timm_model(name: str, **settings: Any) -> nn.Module:
    return _filled(import_oracle("timm").create_model, name, **settings)


def _filled(make: Any, name: str, **settings: Any) -> nn.Module:
    with torch.device("meta"):
        model = make(name, **settings)
    return fill(model.to_empty(device="cpu")).eval()


@torch.no_grad()
def fill(model: nn.Module) -> nn.Module:
    """Draw every weight and every running statistic; variances stay positive."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.3, 1.0, generator=generator)
            module.num_batches_tracked.fill_(7)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            module.weight.normal_(0, fan_in**-0.5, generator=generator)
        if getattr(module, "bias", None) is not None:
            module.bias.normal_(0, 0.1, generator=generator)
    return model
