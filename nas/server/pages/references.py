"""The published families as curves: what a front on ImageNet is set against."""

from __future__ import annotations

import re
from functools import cache
from typing import Any


def references(names: tuple[str, str]) -> list[dict[str, Any]]:
    """The papers' families as curves: published ImageNet accuracy against our exact costs."""
    return [
        {
            "name": family,
            "x": [getattr(costs, names[0]) for _, costs, _ in members],
            "y": [top1 / 100 for _, _, top1 in members],
            "labels": [name for name, _, _ in members],
        }
        for family, members in _published().items()
        if len(members) > 1
    ]


@cache
def _published() -> dict[str, list[tuple[str, Any, float]]]:
    from nas.cost import count
    from search_spaces.published import PUBLISHED

    found: dict[str, list[tuple[str, Any, float]]] = {}
    for entry in PUBLISHED.values():
        if entry.top1 is not None:
            found.setdefault(_family(entry.name), []).append(
                (entry.name, count(entry.architecture), entry.top1)
            )
    return {f: sorted(m, key=lambda item: item[1].macs) for f, m in found.items()}


def _family(name: str) -> str:
    """The family of a published network: members differ in size, or in one multiplier.

    >>> [_family(n) for n in ("efficientnet_b0", "efficientnet_v2_s", "mobilenet_v1_0.5_160")]
    ['efficientnet', 'efficientnet_v2 (S, M, L)', 'mobilenet_v1 0.5']
    """
    if name.startswith("mobilenet_v1_") and not re.match(r"mobilenet_v1_[\d.]+", name):
        return name  # the paper's networks beside the family
    if re.fullmatch("efficientnet_v2_[sml]", name):
        return "efficientnet_v2 (S, M, L)"
    if width := re.fullmatch(r"(mobilenet_v1)(?:_([\d.]+))?(?:_\d{3})?", name):
        return f"{width[1]} {float(width[2] or 1):g}"
    found = re.match(r"[a-z]+(_nas|_v\d|_lite)?(_large|_small|_a1|_b1)?", name)
    return found[0] if found else name
