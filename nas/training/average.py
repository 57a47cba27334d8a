"""The exponential moving average of a network's weights and batch-norm statistics."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A second copy of a network that follows it.

    The decay starts low, min(decay, (1 + steps) / (10 + steps)), so that a short training isn't
    held back by its first weights. The average is what is evaluated and kept.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self._decay = decay
        self._averaged = _floats(self.model)
        self._followed = _floats(model)
        self._pairs = _integers(self.model), _integers(model)

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Follow the network after that many steps."""
        decay = min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(self._averaged, self._followed, 1.0 - decay)
        for averaged, followed in zip(*self._pairs, strict=True):
            averaged.copy_(followed)


def _floats(model: nn.Module) -> list[Tensor]:
    return [t for t in model.state_dict(keep_vars=True).values() if t.is_floating_point()]


def _integers(model: nn.Module) -> list[Tensor]:
    return [t for t in model.state_dict(keep_vars=True).values() if not t.is_floating_point()]
