"""The papers' networks, by name: a new family is one file here and one line below.

Besides the names listed, a family with a width multiplier answers to any width and resolution:
`mobilenet_v1_0.6` or `mobilenet_v1_0.6_176`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import lru_cache

from search_spaces.architecture import Architecture
from search_spaces.errors import UnknownNameError
from search_spaces.published import efficientnet, mobilenet_v1, mobilenet_v2
from search_spaces.published.entry import Published

_FAMILIES = (efficientnet, mobilenet_v1, mobilenet_v2)

PUBLISHED: dict[str, Published] = {
    entry.name: entry for family in _FAMILIES for entry in family.ENTRIES
}

_ANY_WIDTH: dict[str, Callable[[float, int], Architecture]] = {
    "mobilenet_v1": mobilenet_v1.mobilenet_v1,
    "mobilenet_v2": mobilenet_v2.mobilenet_v2,
}
_MULTIPLIED = re.compile(r"(?P<family>\w+?)_(?P<width>\d\.\d+)(_(?P<resolution>\d{1,4}))?")


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
    """
    if name in PUBLISHED:
        return PUBLISHED[name].architecture
    multiplied = _MULTIPLIED.fullmatch(name)
    if multiplied and multiplied["family"] in _ANY_WIDTH:
        width, resolution = float(multiplied["width"]), int(multiplied["resolution"] or 224)
        return _ANY_WIDTH[multiplied["family"]](width, resolution)
    raise UnknownNameError(_unknown(name))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, PUBLISHED, n=5, cutoff=0.6)
    if near:
        return f"Unknown network {name!r}. Near it: {', '.join(near)}."
    return f"Unknown network {name!r}. Available: {', '.join(PUBLISHED)}."
