"""The papers' networks, by name: a new family is one file here and one line below.

Besides the names listed, a family with a width multiplier answers to any width and resolution,
as in `mobilenet_v1_0.6` or `mobilenet_v1_0.6_176`, and `tf_` before a name means TensorFlow's
"same" padding.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

from search_spaces.architecture import Architecture, Padding
from search_spaces.errors import UnknownNameError
from search_spaces.published import (
    attentive_nas,
    efficientnet,
    efficientnet_lite,
    efficientnet_v2,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    tinynet,
)
from search_spaces.published.efficientnet import EFFICIENTNET_COEFFICIENTS
from search_spaces.published.efficientnet_lite import EFFICIENTNET_LITE_COEFFICIENTS
from search_spaces.published.efficientnet_v2 import EFFICIENTNET_V2_COEFFICIENTS
from search_spaces.published.entry import Published
from search_spaces.published.tinynet import TINYNET_COEFFICIENTS

__all__ = [
    "EFFICIENTNET_COEFFICIENTS",
    "EFFICIENTNET_LITE_COEFFICIENTS",
    "EFFICIENTNET_V2_COEFFICIENTS",
    "PUBLISHED",
    "TINYNET_COEFFICIENTS",
    "Published",
    "get_published",
    "published_names",
]

_FAMILIES = (
    efficientnet,
    efficientnet_lite,
    efficientnet_v2,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mnasnet,
    tinynet,
    attentive_nas,
)

PUBLISHED: dict[str, Published] = {
    entry.name: entry for family in _FAMILIES for entry in family.ENTRIES
}

# width and resolution -> network
_AT_ANY_WIDTH: dict[str, Callable[[float, int], Architecture]] = {
    "mobilenet_v1": mobilenet_v1.mobilenet_v1,
    "mobilenet_v2": mobilenet_v2.mobilenet_v2,
    "mobilenet_v3_large": partial(mobilenet_v3.mobilenet_v3, "large"),
    "mobilenet_v3_small": partial(mobilenet_v3.mobilenet_v3, "small"),
    "mnasnet_a1": partial(mnasnet.mnasnet, mnasnet.A1, 32),
    "mnasnet_b1": partial(mnasnet.mnasnet, mnasnet.B1, 32),
    "mnasnet_small": partial(mnasnet.mnasnet, mnasnet.SMALL, 8),
}
_MULTIPLIED = re.compile(r"(?P<family>\w+?)_(?P<width>\d\.\d{1,4})(_(?P<resolution>\d{1,4}))?")


def published_names() -> tuple[str, ...]:
    """The networks listed, family by family."""
    return tuple(PUBLISHED)


@lru_cache(maxsize=256)
def get_published(name: str) -> Architecture:
    """Look a published network up.

    Raises:
        UnknownNameError: If there is none; it names those that are spelt like it.

    >>> get_published("efficientnet_b3").resolution
    300
    >>> get_published("mobilenet_v1_0.6_176").resolution
    176
    >>> get_published("tf_efficientnet_b0").padding.value
    'same'
    """
    architecture = _find(name.removeprefix("tf_"))
    if architecture is None:
        raise UnknownNameError(_unknown(name))
    return replace(architecture, padding=Padding.SAME) if name.startswith("tf_") else architecture


def _find(name: str) -> Architecture | None:
    if name in PUBLISHED:
        return PUBLISHED[name].architecture
    multiplied = _MULTIPLIED.fullmatch(name)
    if multiplied and multiplied["family"] in _AT_ANY_WIDTH:
        width, resolution = float(multiplied["width"]), int(multiplied["resolution"] or 224)
        return _AT_ANY_WIDTH[multiplied["family"]](width, resolution)
    return None


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, PUBLISHED, n=5, cutoff=0.6)
    if near:
        return f"Unknown network {name!r}. Near it: {', '.join(near)}."
    return f"Unknown network {name!r}. Available: {', '.join(PUBLISHED)}."
