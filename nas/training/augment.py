"""Augmentation of whole batches on the device: one random draw a picture, no loop over them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from nas.training.recipe import Augmentation


def augment(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Change each picture at random, as the settings say.

    Args:
        pixels: Floats from 0 to 1, (n, C, side, side).
        generator: On the pixels' device.

    Returns:
        Floats of the same shape; brightness and contrast may leave 0 to 1.
    """
    if settings.flip:
        pixels = _flip(pixels, generator)
    if settings.rotation_degrees:
        pixels = _rotate_and_shift(pixels, settings, generator)
    elif settings.crop_padding:
        pixels = _shift(pixels, settings.crop_padding, generator)
    if settings.brightness or settings.contrast:
        pixels = _light(pixels, settings, generator)
    if settings.cutout:
        pixels = _cutout(pixels, settings.cutout, generator)
    return pixels


def mix(
    images: Tensor, labels: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Mixup (arXiv 1710.09412): add to each picture another of the batch, one weight a batch.

    Returns:
        The mixed images, the other pictures' labels, and the weight of the picture's own label.
    """
    # gamma deviates have no generator argument; a seeded beta draw comes from the generator
    weight = _beta(alpha, generator)
    other = torch.randperm(len(labels), generator=generator, device=images.device)
    return images.lerp(images[other], 1.0 - weight), labels[other], weight


def _uniform(n: int, low: float, high: float, like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty(n, device=like.device).uniform_(low, high, generator=generator)


def _beta(alpha: float, generator: torch.Generator) -> float:
    import numpy as np

    seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
    return float(np.random.RandomState(seed).beta(alpha, alpha))


def _flip(pixels: Tensor, generator: torch.Generator) -> Tensor:
    flipped = _uniform(len(pixels), 0.0, 1.0, pixels, generator) < 0.5
    return torch.where(flipped.view(-1, 1, 1, 1), pixels.flip(3), pixels)


def _shift(pixels: Tensor, padding: float, generator: torch.Generator) -> Tensor:
    """Pad with 0 and crop back at a random place, by whole pixels."""
    n, _, side, _ = pixels.shape
    pad = max(1, round(padding * side))
    padded = functional.pad(pixels, (pad, pad, pad, pad)).permute(0, 2, 3, 1)
    offsets = torch.randint(2 * pad + 1, (2, n, 1), generator=generator, device=pixels.device)
    rows, columns = offsets + torch.arange(side, device=pixels.device)
    picture = torch.arange(n, device=pixels.device).view(n, 1, 1)
    shifted = padded[picture, rows.view(n, side, 1), columns.view(n, 1, side)]
    return shifted.permute(0, 3, 1, 2)


def _rotate_and_shift(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Both in one bilinear sampling; what comes from outside is 0."""
    n = len(pixels)
    limit = math.radians(settings.rotation_degrees)
    angle = _uniform(n, -limit, limit, pixels, generator)
    # grid coordinates run from -1 to 1: a share of the side is twice that
    reach = 2.0 * settings.crop_padding
    dx, dy = (_uniform(n, -reach, reach, pixels, generator) for _ in range(2))
    cos, sin = angle.cos(), angle.sin()
    affine = torch.stack((cos, -sin, dx, sin, cos, dy), 1).view(n, 2, 3)
    grid = functional.affine_grid(affine, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, align_corners=False)


def _light(pixels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Scale each picture about its mean (contrast) and as a whole (brightness)."""
    n = len(pixels)

    def factor(reach: float) -> Tensor:
        return _uniform(n, 1.0 - reach, 1.0 + reach, pixels, generator).view(n, 1, 1, 1)

    mean = pixels.mean((1, 2, 3), keepdim=True)
    return ((pixels - mean) * factor(settings.contrast) + mean) * factor(settings.brightness)


def _cutout(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Put a square hole of the batch's mean around a random place (arXiv 1708.04552)."""
    n, _, side, _ = pixels.shape
    half = max(0.5, share * side / 2)
    centers = torch.empty((2, n, 1), device=pixels.device).uniform_(0, side, generator=generator)
    places = torch.arange(side, device=pixels.device) + 0.5
    rows, columns = (places - centers).abs() <= half
    hole = rows.view(n, 1, side, 1) & columns.view(n, 1, 1, side)
    return torch.where(hole, pixels.mean(), pixels)
