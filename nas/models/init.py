"""EfficientNet's initial weights (tensorflow/tpu, efficientnet_model.py)."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialize(model: nn.Module) -> None:
    """Draw new weights, in place.

    Convolutions: normal, variance 2 / fan_out, where fan_out = k * k * out / groups (TensorFlow's
    depthwise kernels have one output each). Linear layers: uniform within 1 / sqrt(outputs).
    Biases are 0; batch-norm starts as the identity.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            area = math.prod(module.kernel_size)
            fan_out = area * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            bound = 1.0 / math.sqrt(module.out_features)
            nn.init.uniform_(module.weight, -bound, bound)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
