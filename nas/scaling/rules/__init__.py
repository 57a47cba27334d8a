"""The scaling rules by name: a new rule is one file here and one line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import InvalidRequestError
from nas.scaling.rules.compound import Compound
from nas.scaling.rules.contract import Rule
from nas.scaling.rules.depth import Depth
from nas.scaling.rules.efficientnet_v2 import EfficientNetV2
from nas.scaling.rules.efficientnet_x import EfficientNetX
from nas.scaling.rules.fast import Fast
from nas.scaling.rules.mobilenet import MobileNet
from nas.scaling.rules.published import Published
from nas.scaling.rules.resolution import Resolution
from nas.scaling.rules.tinynet import TinyNet
from nas.scaling.rules.width import Width
from search_spaces.plain import PlainError, from_plain

RULES: Mapping[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        Compound,
        Width,
        Depth,
        Resolution,
        Fast,
        TinyNet,
        MobileNet,
        EfficientNetV2,
        EfficientNetX,
        Published,
    )
}


def get_rule(name: str, **options: Any) -> Rule:
    """A rule by its name, with settings of its own (`alpha`, `rounding`, ...).

    Raises:
        InvalidRequestError: If there is no such rule or setting, or a setting breaks its rule.

    >>> get_rule("compound", alpha=1.3).coefficients(1).depth
    1.3
    """
    if name not in RULES:
        raise InvalidRequestError(
            f"`rule` must be one of {', '.join(RULES)}, but got {name!r:.60}."
        )
    try:
        return from_plain(RULES[name], options)
    except PlainError as error:
        raise InvalidRequestError(f"Rule {name!r}: {error}") from None


__all__ = ["RULES", "Rule", "get_rule"]
