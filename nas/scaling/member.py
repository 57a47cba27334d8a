"""Member: one network of a family, with how it came about and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.cost import Costs, count
from nas.errors import InvalidRequestError
from nas.quantity import Bound
from nas.scaling.coefficients import Coefficients
from nas.scaling.rules.contract import Rule
from nas.scaling.transform import Shape
from search_spaces.architecture import Architecture

LatencyModel = Callable[[Architecture], float]
"""An architecture to milliseconds on a device; it may refuse one by InvalidRequestError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One network of a family.

    Args:
        phi, coefficients: Where the rule stands; `architecture` is its member there but for
            `adjusted`. Factors of one's own have no phi.
        adjusted: What was changed to come closer to a target, as people read it.
        gap: How far it stays under the tightest target, relative to it; None without targets.
        binding: The metric of that target.
        note: What the search could not look at, where a latency model refused networks.
    """

    architecture: Architecture
    rule: str
    phi: float | None
    coefficients: Coefficients
    costs: Costs
    latency_ms: float | None = None
    adjusted: tuple[str, ...] = ()
    targets: tuple[Bound, ...] = ()
    gap: float | None = None
    binding: str | None = None
    note: str = ""

    @property
    def label(self) -> str:
        """What was asked for, as people read it: targets, else phi, else factors."""
        if self.targets:
            return ", ".join(str(target) for target in self.targets)
        if self.phi is not None:
            return f"phi {self.phi:g}"
        c = self.coefficients
        parts = [("depth", c.depth), ("width", c.width)]
        named = [f"{name} {value:g}" for name, value in parts if value != 1.0]
        return ", ".join([*named, f"{self.architecture.resolution} px"])


class UnmetTargetError(InvalidRequestError):
    """No member of the family meets the targets; `nearest` is the one that comes nearest."""

    def __init__(self, message: str, target: Bound, nearest: Member) -> None:
        super().__init__(message)
        self.target = target
        self.nearest = nearest


def family(
    baseline: Architecture,
    rule: Rule,
    phis: Sequence[float],
    latency_model: LatencyModel | None = None,
) -> list[Member]:
    """The members at given phi, in that order; phi 0 is the baseline.

    >>> from search_spaces.published import get_published
    >>> from nas.scaling.rules import get_rule
    >>> members = family(get_published("efficientnet_b0"), get_rule("compound"), [1, 2])
    >>> [(m.architecture.resolution, m.costs.macs) for m in members]
    [(258, 992629472), (296, 1810522464)]
    """
    members = []
    for phi in phis:
        architecture = rule.at(baseline, phi)
        members.append(
            Member(
                architecture=architecture,
                rule=rule.name,
                phi=float(phi),
                coefficients=rule.coefficients(phi),
                costs=count(architecture),
                latency_ms=latency_model(architecture) if latency_model else None,
            )
        )
    return members


def describe(before: Shape, after: Shape) -> tuple[str, ...]:
    """What differs between two shapes of one baseline, one short text a change."""
    changes = [("stem", before.stem, after.stem, "channels")]
    for i, (old, new) in enumerate(zip(before.channels, after.channels)):
        changes.append((f"stage {i + 1}", old[-1], new[-1], "channels"))
    for i, (was, now) in enumerate(zip(before.repeats, after.repeats)):
        changes.append((f"stage {i + 1}", was, now, "blocks"))
    changes += [
        ("head", before.head[0], after.head[0], "channels"),
        ("head", before.head[1], after.head[1], "hidden channels"),
        ("resolution", before.resolution, after.resolution, "pixels"),
    ]
    return tuple(f"{what}: {a} -> {b} {unit}" for what, a, b, unit in changes if a != b)
