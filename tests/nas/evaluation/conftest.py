"""A small data set, and a network for it that trains in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search_spaces.architecture import Architecture, Block, Operator, Stage, Stem


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An .npz of noisy upright and level stripes, 6 x 6 pixels."""
    random = np.random.default_rng(0)
    labels = np.arange(160) % 2
    upright = np.tile(np.array([0, 180] * 3, np.uint8), (6, 1))
    images = np.where(labels[:, None, None] == 0, upright, upright.T)
    noisy = (images + random.integers(0, 70, images.shape)).astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, x_train=noisy, y_train=labels, classes=np.array(["upright", "level"]))
    return str(path)


@pytest.fixture
def small() -> Architecture:
    block = Block(operator=Operator.CONV, out_channels=8, stride=2)
    return Architecture(
        stem=Stem(channels=4, stride=1),
        stages=(Stage(blocks=(block,)),),
        resolution=6,
        input_channels=1,
        num_classes=2,
    )


@pytest.fixture
def location(tmp_path: Path) -> str:
    return str(tmp_path / "artifacts")
