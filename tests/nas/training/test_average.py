"""The average of weights against a loop over its definition."""

from __future__ import annotations

import torch

from nas.models.network import build_model
from nas.training.average import WeightAverage
from search_spaces.architecture import Architecture


def test_the_average_follows_its_recurrence_for_weights_and_statistics(
    tiny: Architecture,
) -> None:
    model = build_model(tiny)
    average = WeightAverage(model, decay=0.5)
    expected = {k: v.clone().double() for k, v in model.state_dict().items()}
    for step in range(6):
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.add_(1)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
            else:
                expected[name] = tensor.double()
    for name, tensor in average.model.state_dict().items():
        assert torch.allclose(tensor.double(), expected[name], atol=1e-5), name


def test_the_network_itself_is_left_alone(tiny: Architecture) -> None:
    model = build_model(tiny)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    WeightAverage(model, decay=0.9).update(3)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
