"""Members of a family: which ones a job asks for, and how they are named, trained and stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from nas.jobs.deliver import for_data
from nas.jobs.naming import find_architecture
from nas.jobs.plan import Plan
from nas.jobs.spec import ScalingSpec
from nas.scaling import (
    LatencyModel,
    Member,
    Rule,
    get_rule,
    make_members,
    parse_factors,
    parse_target_sets,
    read_latency_table,
)
from nas.search.candidates import Candidate, Finished
from nas.store import MemberRow, Store
from search_spaces.architecture import Architecture


def named_baseline(store: Store | str, plan: Plan, name: str) -> Architecture:
    """A network by its name, with the classes and channels of the job's data, at its pixels."""
    architecture = for_data(find_architecture(name, store), plan)
    pixels = plan.spec.resolution
    return architecture if pixels is None else replace(architecture, resolution=pixels)


def make_latency_model(spec: ScalingSpec) -> LatencyModel | None:
    """The table of block latencies that the job names, if it names one."""
    if spec.latency is None:
        return None
    given = spec.latency
    return read_latency_table(given.table, given.column, fixed_ms=given.fixed_ms)


def wanted_members(
    baseline: Architecture, rule: Rule, spec: ScalingSpec, latency_model: LatencyModel | None
) -> list[Member]:
    """The members that a job asks for: by targets or factors if it has them, else by phi."""
    by_phi = not (spec.targets or spec.factors)
    return make_members(
        baseline,
        rule,
        phis=spec.phi if by_phi else (),
        target_sets=parse_target_sets(spec.targets, baseline) if spec.targets else (),
        factors=[parse_factors(text, baseline) for text in spec.factors],
        latency_model=latency_model,
    )


def fixed_rule(spec: ScalingSpec) -> Rule:
    """The job's rule before any coefficients are searched: compound starts from the paper's."""
    if spec.rule != "compound":
        return get_rule(spec.rule)
    given = spec.coefficients
    if isinstance(given, str):
        return get_rule("compound")
    return get_rule("compound", alpha=given.alpha, beta=given.beta, gamma=given.gamma)


def family_name(spec: ScalingSpec) -> str:
    """What a job calls a family: by its rule, and by its targets or factors where it has some."""
    return (
        " ".join((spec.rule, *spec.targets, *spec.factors))
        if spec.targets or spec.factors
        else ("family" if spec.rule == "compound" else spec.rule)
    )


def member_choices(member: Member) -> dict[str, Any]:
    """A member as a trial's choices: what it was made by."""
    choices: dict[str, Any] = {"rule": member.rule, **asdict(member.coefficients)}
    if member.phi is not None:
        choices["phi"] = member.phi
    return choices


def full_candidate(plan: Plan, architecture: Architecture, seed: int | None = None) -> Candidate:
    """A training by the job's full recipe."""
    return plan.candidate(architecture, plan.spec.full_recipe, seed=seed)


def member_row(number: int, member: Member, ends: Sequence[Finished]) -> MemberRow:
    """A member as a row; `ends` are its trainings, one a seed."""
    keys = [end.evaluation.key for end in ends if end.evaluation is not None]
    details: dict[str, Any] = {"gap": member.gap, "adjusted": list(member.adjusted)}
    if len(keys) > 1:
        details["evaluations"] = keys
    if not keys:
        details["reason"] = ends[0].reason if ends else "not trained"
    return MemberRow(
        number=number,
        architecture=member.architecture.fingerprint,
        name=member.label,
        phi=member.phi,
        target=member.targets[0].limit if member.targets else None,
        multipliers=asdict(member.coefficients),
        evaluation=keys[0] if keys else None,
        details={name: value for name, value in details.items() if value},
    )
