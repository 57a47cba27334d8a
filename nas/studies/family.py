"""The family: the baseline at every phi, trained by the full recipe and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.cost import Costs, count
from nas.scaling import Coefficients, compound, scale
from nas.search.evaluations import Candidate, Evaluations, Finished, evaluate_all
from search_spaces.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyMember:
    """One network of a family, before or after it was trained."""

    phi: float
    coefficients: Coefficients
    architecture: Architecture
    costs: Costs


def family_members(
    baseline: Architecture, base: Coefficients, phis: Sequence[float]
) -> list[FamilyMember]:
    """The baseline scaled by alpha^phi, beta^phi, gamma^phi, smallest phi first.

    Args:
        base: Alpha (depth), beta (width) and gamma (resolution).
    """
    members = []
    for phi in sorted(phis):
        coefficients = compound(base.depth, base.width, base.resolution, phi)
        architecture = scale(baseline, coefficients)
        members.append(
            FamilyMember(
                phi=phi,
                coefficients=coefficients,
                architecture=architecture,
                costs=count(architecture),
            )
        )
    return members


def train_family(
    members: Sequence[FamilyMember],
    make_candidate: Callable[[Architecture], Candidate],
    evaluations: Evaluations,
    on_end: Callable[[int, Finished], None] | None = None,
) -> list[Finished]:
    """Train every member, the dearest first: it takes longest, and the others fill the gaps."""
    order = sorted(range(len(members)), key=lambda i: -members[i].costs.macs)
    candidates = [make_candidate(members[i].architecture) for i in order]

    def heard(place: int, finished: Finished) -> None:
        if on_end:
            on_end(order[place], finished)

    ends = evaluate_all(evaluations, candidates, heard)
    return [end for _, end in sorted(zip(order, ends), key=lambda pair: pair[0])]
