"""Rule: how a network grows with phi. What every rule promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nas.scaling.coefficients import Coefficients
from nas.scaling.transform import EFFICIENTNET_ROUNDING, Rounding, Shape, build, shape_of
from search_spaces.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A path of networks through a baseline, which phi runs along. Frozen data.

    At phi 0 stands the baseline itself, unchanged; a larger phi makes a larger network, a
    negative one a smaller. A step of 1 about doubles the MACs, where the rule has no published
    steps of its own. `summary` is one line for a list of rules.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    rounding: Rounding = EFFICIENTNET_ROUNDING

    @abstractmethod
    def coefficients(self, phi: float) -> Coefficients:
        """The factors at phi; any finite phi has some."""

    def shape(self, baseline: Architecture, coefficients: Coefficients) -> Shape:
        """The integers that these factors mean for a baseline."""
        return shape_of(baseline, coefficients, self.rounding)

    def scale(self, baseline: Architecture, coefficients: Coefficients) -> Architecture:
        """A baseline under factors of one's own, rounded as this rule does.

        >>> from search_spaces.published import get_published
        >>> from nas.scaling.rules import get_rule
        >>> v1 = get_published("mobilenet_v1")
        >>> smaller = Coefficients(width=0.75, resolution=160 / v1.resolution)
        >>> get_rule("mobilenet").scale(v1, smaller) == get_published("mobilenet_v1_0.75_160")
        True
        """
        return build(baseline, self.shape(baseline, coefficients))

    def at(self, baseline: Architecture, phi: float) -> Architecture:
        """The member of a baseline's family at phi."""
        return self.scale(baseline, self.coefficients(phi))
