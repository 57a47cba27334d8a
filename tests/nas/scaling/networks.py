"""Networks that the scaling tests grow and shrink."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.published import get_published
from search_spaces.spaces.efficientnet import EFFICIENTNET
from search_spaces.spaces.mnasnet import MNASNET
from search_spaces.spaces.small_images import SMALL_IMAGES


@lru_cache
def baselines() -> tuple[Architecture, ...]:
    """B0, both MobileNets and a few random members of three spaces."""
    rng = np.random.default_rng(0)
    names = ("efficientnet_b0", "mobilenet_v1", "mobilenet_v2")
    spaces = (EFFICIENTNET, MNASNET, SMALL_IMAGES)
    sampled = [space.sample(rng) for space in spaces for _ in range(3)]
    return (*(get_published(name) for name in names), *sampled)
