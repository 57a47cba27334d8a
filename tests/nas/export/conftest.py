"""A network trained on digits for a few epochs, shared by every test of this folder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.data import DataSpec, ImageData, load_data
from nas.data.batches import InMemory, Preprocessing
from nas.export import Exported, ModelCard, export_model, make_card
from nas.models.network import build_model
from nas.training.evaluate import evaluate_model
from nas.training.recipe import Recipe
from nas.training.train import train
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space


@dataclass(frozen=True)
class Known:
    """A network with its weights, and what the training pipeline says of it."""

    architecture: Architecture
    state: dict[str, Tensor]
    card: ModelCard
    data: ImageData
    accuracy: float


@pytest.fixture(scope="session")
def digits() -> ImageData:
    return load_data(DataSpec(source="digits"))


@pytest.fixture(scope="session")
def trained(digits: ImageData) -> Known:
    """Trained at 12 pixels, so that the 8 of the data are resized."""
    space = get_space("small_images").for_task(num_classes=10, input_channels=1, resolution=12)
    architecture = sample_small(space, np.random.default_rng(1))
    run = train(architecture, digits, Recipe(epochs=3), seed=0, device="cpu")
    while True:
        try:
            next(run)
        except StopIteration as end:
            result = end.value
            break
    metrics = evaluate_model(
        result.model, InMemory(digits.test, torch.device("cpu")), result.preprocessing
    )
    card = make_card(architecture, digits, accuracy=metrics["accuracy"], accuracy_error=0.01)
    return Known(architecture, result.model.state_dict(), card, digits, metrics["accuracy"])


@pytest.fixture(scope="session")
def exports(trained: Known, tmp_path_factory) -> Callable[[str], Exported]:
    """The trained network in a format, written once."""
    folder = tmp_path_factory.mktemp("exports")

    @functools.cache
    def export(format: str) -> Exported:
        return export_model(
            trained.architecture,
            trained.state,
            trained.card,
            folder / format,
            format,
            trained.data.test.images[:20],
        )

    return export


def sample_small(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """The one of twenty with the fewest blocks: tracing takes time for each."""
    return min((space.sample(rng) for _ in range(20)), key=lambda a: sum(1 for _ in a.walk()))


def untrained(
    space_name: str, seed: int, data: ImageData
) -> tuple[Architecture, dict[str, Tensor]]:
    """A network of a space with weights of its start, and batch-norm statistics of real images."""
    space = get_space(space_name).for_task(num_classes=10, input_channels=1, resolution=32)
    architecture = sample_small(space, np.random.default_rng(seed))
    torch.manual_seed(seed)
    model = build_model(architecture)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # batch-norm's scale and shift are 1 and 0 until trained
                parameter += 0.2 * torch.randn_like(parameter)
        prepare = Preprocessing.of(data, architecture.resolution)
        for images, _ in islice(InMemory(data.train, torch.device("cpu")).in_order(32), 3):
            model(prepare(images))
    return architecture, model.state_dict()
