"""Augmentation of batches: what each step may and may not change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas.training.augment import augment, mix
from nas.training.recipe import Augmentation

ALL = Augmentation(
    flip=True, crop_padding=0.2, cutout=0.3, brightness=0.2, contrast=0.2, rotation_degrees=20.0
)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(40, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def done(pictures: Tensor, settings: Augmentation, seed: int = 0) -> Tensor:
    return augment(pictures, settings, torch.Generator().manual_seed(seed))


def test_without_settings_nothing_changes(pictures: Tensor) -> None:
    assert torch.equal(done(pictures, Augmentation()), pictures)


def test_the_input_is_left_alone_and_the_shape_stays(pictures: Tensor) -> None:
    before = pictures.clone()
    changed = done(pictures, ALL)
    assert changed.shape == pictures.shape
    assert torch.isfinite(changed).all()
    assert torch.equal(pictures, before)


def test_equal_seeds_draw_equally(pictures: Tensor) -> None:
    assert torch.equal(done(pictures, ALL), done(pictures, ALL))
    assert not torch.equal(done(pictures, ALL), done(pictures, ALL, seed=1))


def test_a_flip_mirrors_about_half_of_the_pictures(pictures: Tensor) -> None:
    flipped = done(pictures, Augmentation(flip=True))
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, pictures)]
    kept = [torch.equal(a, b) for a, b in zip(flipped, pictures)]
    assert all(m != k for m, k in zip(mirrored, kept))
    assert 10 <= sum(mirrored) <= 30


def test_a_crop_shifts_each_picture_by_its_own_whole_pixels(pictures: Tensor) -> None:
    padding = 2  # 0.2 of 12 pixels, rounded
    shifted = done(pictures, Augmentation(crop_padding=0.2))
    padded = torch.nn.functional.pad(pictures, (padding,) * 4)
    found = []
    for n in range(len(pictures)):
        windows = [
            (y, x)
            for y in range(2 * padding + 1)
            for x in range(2 * padding + 1)
            if torch.equal(padded[n, :, y : y + 12, x : x + 12], shifted[n])
        ]
        assert len(windows) == 1
        found += windows
    assert {0, 2 * padding} <= {y for y, _ in found}
    assert {0, 2 * padding} <= {x for _, x in found}


def test_a_rotation_keeps_the_middle_and_moves_the_rim() -> None:
    line = torch.zeros(30, 1, 13, 13)
    line[:, :, 6, :] = 1.0
    turned = done(line, Augmentation(rotation_degrees=30.0))
    assert torch.allclose(turned[:, :, 6, 6], torch.ones(30, 1), atol=0.35)
    assert float(turned[:, :, 6, 0].min()) < 0.5
    # 6 pixels from the middle, 30 degrees are 3 rows; no more
    assert float(turned[:, :, 4, :].max()) > 0.5
    assert float(turned[:, :, :2, :].max()) == 0.0


def test_brightness_and_contrast_scale_a_picture_as_a_whole(pictures: Tensor) -> None:
    bright = done(pictures, Augmentation(brightness=0.3))
    factors = (bright / pictures).flatten(1)
    assert torch.allclose(factors, factors[:, :1].expand_as(factors), rtol=1e-3)
    assert 0.7 <= float(factors.min()) <= float(factors.max()) <= 1.3
    stark = done(pictures, Augmentation(contrast=0.5))
    assert torch.allclose(stark.mean((1, 2, 3)), pictures.mean((1, 2, 3)), atol=1e-5)
    assert not torch.allclose(stark, pictures)


def test_a_cutout_is_a_square_of_one_value(pictures: Tensor) -> None:
    cut = done(pictures, Augmentation(cutout=0.5))
    for before, after in zip(pictures, cut):
        changed = (before != after).any(0)
        rows, columns = changed.any(1).sum(), changed.any(0).sum()
        assert 2 <= rows <= 7  # half of 12 pixels, cut at the rim
        assert int(changed.sum()) == int(rows * columns)
        assert after[:, changed].unique().numel() == 1


def test_mixup_adds_another_picture_with_one_weight(pictures: Tensor) -> None:
    labels = torch.arange(len(pictures))
    mixed, others, weight = mix(pictures, labels, 1.0, torch.Generator().manual_seed(0))
    assert 0.0 <= weight <= 1.0
    assert sorted(others.tolist()) == labels.tolist()
    expected = weight * pictures + (1 - weight) * pictures[others]
    assert torch.allclose(mixed, expected, atol=1e-6)
