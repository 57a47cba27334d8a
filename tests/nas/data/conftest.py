"""Small data sets on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Arrays = dict[str, Any]


@pytest.fixture
def arrays() -> Arrays:
    """Twelve grey images in three classes, and six to test on."""
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (12, 5, 4), dtype=np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": random.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        "y_test": np.arange(6) % 3,
        "classes": np.array(["ant", "bee", "cat"]),
    }


@pytest.fixture
def save_npz(tmp_path: Path) -> Callable[[Arrays], str]:
    def save(arrays: Arrays) -> str:
        np.savez(tmp_path / "images.npz", **arrays)
        return str(tmp_path / "images.npz")

    return save


def write_picture(path: Path, seed: int, size: tuple[int, int] = (10, 8), mode: str = "L") -> None:
    """A picture of noise, by `size` in width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Two classes of ten grey pictures each, without parts."""
    for label, name in enumerate(("left", "right")):
        for i in range(10):
            write_picture(tmp_path / "pictures" / name / f"{i}.png", seed=10 * label + i)
    return tmp_path / "pictures"
