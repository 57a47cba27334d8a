"""Schedules by their definitions; weight decay where it belongs."""

from __future__ import annotations

import itertools

import pytest
import torch

from nas.models.network import build_model
from nas.training.optimizers import learning_rate_at, make_optimizer
from nas.training.recipe import Recipe
from search_spaces.architecture import Architecture


def rates(steps_per_epoch: int = 10, **settings: object) -> list[float]:
    recipe = Recipe.model_validate({"epochs": 20, "learning_rate": 2.0, **settings})
    steps = range(recipe.epochs * steps_per_epoch)
    return [learning_rate_at(step, steps_per_epoch, recipe) for step in steps]


@pytest.mark.parametrize("schedule", ["cosine", "constant", "step", "one_cycle"])
@pytest.mark.parametrize("epochs", [1, 2, 20])
@pytest.mark.parametrize("warmup", [0.0, 1.0, 100.0])
def test_a_schedule_is_positive_and_reaches_its_peak(
    schedule: str, epochs: int, warmup: float
) -> None:
    curve = rates(schedule=schedule, epochs=epochs, warmup_epochs=warmup)
    assert min(curve) > 0.0
    assert 1.7 <= max(curve) <= 2.0


def test_warm_up_is_linear_and_at_most_half_the_run() -> None:
    assert rates(warmup_epochs=2.0)[:20] == pytest.approx([0.1 * (i + 1) for i in range(20)])
    assert max(rates(warmup_epochs=1000.0)) == rates(warmup_epochs=1000.0)[99]


def test_cosine_is_half_way_down_at_half_time_and_falls_to_0() -> None:
    curve = rates(warmup_epochs=0.0)
    assert curve[100] == pytest.approx(1.0)
    assert curve[-1] < 0.001
    assert all(a >= b for a, b in itertools.pairwise(curve))


def test_step_follows_efficientnet_s_staircase() -> None:
    curve = rates(schedule="step", warmup_epochs=0.0)
    assert curve[23] == 2.0
    assert curve[24] == pytest.approx(2.0 * 0.97)
    assert curve[-1] == pytest.approx(2.0 * 0.97**8)


def test_one_cycle_rises_for_three_tenths_and_falls() -> None:
    curve = rates(schedule="one_cycle")
    peak = curve.index(max(curve))
    assert 59 <= peak <= 60
    assert curve[0] < 0.01
    assert curve[-1] < 0.001


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_only_weights_of_layers_decay(optimizer: str, tiny: Architecture) -> None:
    model = build_model(tiny)
    made = make_optimizer(model, Recipe.model_validate({"optimizer": optimizer}))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    made.step()
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n, p in before.items() if p.ndim > 1}
