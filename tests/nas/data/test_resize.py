"""The resize rule: the same with and without torch, and what pictures become."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import picture_to_input, pixels_to_input, read_picture
from nas.data.batches import Preprocessing
from nas.data.resize import Color


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (64, 64, 3), (50, 30, 3)])
@pytest.mark.parametrize("resolution", [8, 16, 28, 40])
def test_the_network_s_input_is_the_same_with_and_without_torch(
    shape: tuple[int, int, int], resolution: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    mean, std = (0.3, 0.4, 0.5)[: shape[2]], (0.2, 0.3, 0.4)[: shape[2]]
    batch = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    by_torch = Preprocessing(resolution, mean, std)(batch)[0].numpy()
    assert np.allclose(pixels_to_input(pixels, resolution, mean, std), by_torch, atol=1e-4)


def picture(image: Image.Image, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format=str(options.pop("format", "png")), **options)
    file.seek(0)
    return file


def test_a_picture_is_stretched_with_a_triangle_filter() -> None:
    halves = np.zeros((4, 8), np.uint8)
    halves[:, 4:] = 210
    # 8 to 2 pixels: weights 5 7 7 5 3 1 of 28, the last two beyond the middle
    read = read_picture(picture(Image.fromarray(halves)), (2, 2), "grey")
    assert read[:, :, 0].tolist() == [[30, 180], [30, 180]]


@pytest.mark.parametrize(("color", "expected"), [("grey", [[[76]]]), ("rgb", [[[255, 0, 0]]])])
def test_colors_become_luma_or_stay(color: Color, expected: list[list[list[int]]]) -> None:
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    assert read_picture(picture(red), (1, 1), color).tolist() == expected


def test_transparency_shows_white() -> None:
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    assert (read_picture(picture(clear), (2, 2), "rgb") == 255).all()


def test_sixteen_bits_become_eight() -> None:
    deep = Image.fromarray(np.array([[0, 256, 65535]], np.uint16))
    assert read_picture(picture(deep), (1, 3), "grey")[0, :, 0].tolist() == [0, 1, 255]


def test_a_turned_photo_is_turned_upright() -> None:
    wide = Image.fromarray(np.array([[10, 240]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    upright = read_picture(picture(wide, exif=exif), (2, 1), "grey")
    assert upright[:, 0, 0].tolist() == [10, 240]


def test_a_photo_read_by_the_fast_path_looks_like_one_read_in_full() -> None:
    gradient = np.linspace(0, 255, 512).astype(np.uint8)
    photo = Image.fromarray(np.add.outer(gradient // 2, gradient // 2).astype(np.uint8))
    fast = read_picture(picture(photo, format="jpeg", quality=95), (32, 32), "grey")
    full = np.asarray(photo.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(fast[..., 0].astype(int) - full).max() <= 4


def test_all_steps_together_give_what_a_network_reads() -> None:
    black = picture(Image.new("L", (20, 10), 0))
    read = picture_to_input(black, (8, 8), 16, (0.5,), (0.25,))
    assert read.shape == (1, 16, 16)
    assert read.dtype == np.float32
    assert np.allclose(read, -2.0)
