"""The scaling stage: the baseline, its coefficients, the family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.cost import count
from nas.jobs.compare import run_comparison
from nas.jobs.members import (
    family_name,
    fixed_rule,
    full_candidate,
    make_latency_model,
    member_choices,
    member_row,
    named_baseline,
    wanted_members,
)
from nas.jobs.naming import stored_architecture
from nas.jobs.plan import Plan, costs_by_name
from nas.jobs.spec import ScalingSpec
from nas.jobs.stage import Stage
from nas.scaling import (
    PAPER,
    Coefficients,
    LatencyModel,
    Rule,
    get_rule,
)
from nas.search.evaluations import evaluate_all
from nas.search.records import architecture_row
from nas.store import Filter, JobRow, Store
from nas.studies.ancestry import Lineage, make_lineages, rank_lineages
from nas.studies.baseline import FAMILY, FrontMember, choose_baseline, is_front_rule
from nas.studies.coefficients import (
    best,
    cost_function,
    finalists,
    grid_members,
    judge,
    judge_by_table,
)
from nas.studies.family import train_members
from search_spaces.architecture import Architecture


def run_scaling(stage: Stage, spec: ScalingSpec) -> None:
    """Choose the baseline, find its coefficients, train the family; or compare rules on it."""
    latency_model = make_latency_model(spec)
    chosen, details = _baseline(stage, spec)
    if spec.compare is not None:
        run_comparison(stage, chosen, spec, latency_model)
        return
    rule, coefficients = _rule(stage, chosen, spec, latency_model)
    members = wanted_members(chosen, rule, spec, latency_model)
    choices = [member_choices(member) for member in members]
    networks = [member.architecture for member in members]
    with stage.study("family", list(zip(choices, networks))) as on_end:
        ends = train_members(
            members,
            lambda member: full_candidate(stage.plan, member.architecture),
            stage.evaluations,
            on_end,
        )
    stage.store.save_family(
        stage.job.id,
        family_name(spec),
        baseline=chosen.fingerprint,
        rule=rule.name,
        coefficients=coefficients,
        rows=[member_row(i, member, [end]) for i, (member, end) in enumerate(zip(members, ends))],
        architectures=[architecture_row(network) for network in (chosen, *networks)],
        details=details,
    )


def preview_baseline(store: Store, job: JobRow, plan: Plan, spec: ScalingSpec) -> Architecture:
    """The baseline that a scaling would start from; by family, the best by the reward stands in."""
    if not is_front_rule(spec.baseline):
        return named_baseline(store, plan, spec.baseline)
    how = "best-reward" if spec.baseline == FAMILY else spec.baseline
    return choose_baseline(front_members(store, job, plan), how, plan.reward).architecture


def front_members(store: Store, job: JobRow, plan: Plan) -> list[FrontMember]:
    """The front of a job's search, by cost and validation accuracy."""
    metric = plan.reward.metric
    rows = store.front(Filter(job=job.id), (metric, "val_accuracy"))
    members = []
    for row in rows:
        if row.architecture is None or row.trial is None:
            continue
        architecture = stored_architecture(store, row.architecture)
        members.append(
            FrontMember(
                architecture=architecture,
                trial=row.trial,
                accuracy=row.val_accuracy or 0.0,
                accuracy_se=row.val_accuracy_se or 0.0,
                costs=costs_by_name(count(architecture)),
            )
        )
    return members


def _baseline(stage: Stage, spec: ScalingSpec) -> tuple[Architecture, dict[str, Any]]:
    how = spec.baseline
    if how == FAMILY:
        found = _by_family(stage, spec)
    elif is_front_rule(how):
        found = choose_baseline(
            front_members(stage.store, stage.job, stage.plan), how, stage.plan.reward
        )
    else:
        network = named_baseline(stage.store, stage.plan, how)
        stage.reporter.note(f"baseline: {how}, {count(network).macs:,} MACs")
        return network, {"baseline_rule": how}
    stage.reporter.note(
        f"baseline: trial {found.trial}, {found.accuracy:.1%} validation accuracy, "
        f"{found.costs['macs']:,.0f} MACs ({how})"
    )
    return found.architecture, {"baseline_trial": found.trial, "baseline_rule": how}


def _by_family(stage: Stage, spec: ScalingSpec) -> FrontMember:
    """Scale the front's best by one step and take the one whose family of two is best."""
    plan = stage.plan
    lineages = make_lineages(
        front_members(stage.store, stage.job, stage.plan), fixed_rule(spec), plan.reward
    )
    members = [member for lineage in lineages for member in lineage.members]
    networks = [
        ({**member_choices(m), "ancestor": lineage.ancestor.trial}, m.architecture)
        for lineage in lineages
        for m in lineage.members
    ]
    with stage.study("ancestry", networks) as on_end:
        ends = train_members(
            members, lambda m: full_candidate(plan, m.architecture), stage.evaluations, on_end
        )
    pairs = list(zip(ends[::2], ends[1::2]))
    ranked = rank_lineages(lineages, pairs, chance=1.0 / len(plan.data.classes))
    for r in ranked:
        stage.reporter.note(
            f"family of trial {r.lineage.ancestor.trial}: {r.accuracies[0]:.1%} at "
            f"{_macs(r.lineage, 0)} MACs and {r.accuracies[1]:.1%} at {_macs(r.lineage, 1)}, "
            f"hypervolume {r.hypervolume:.4f} ±{r.error:.4f}"
        )
    return ranked[0].lineage.ancestor


def _macs(lineage: Lineage, place: int) -> str:
    return f"{lineage.members[place].costs.macs:,}"


def _rule(
    stage: Stage, baseline: Architecture, spec: ScalingSpec, latency_model: LatencyModel | None
) -> tuple[Rule, dict[str, float]]:
    """The rule, with coefficients that were searched where the job asks for that."""
    if spec.rule != "compound":
        return get_rule(spec.rule), {}
    found = _coefficients(stage, baseline, spec, latency_model)
    named = {"alpha": found.depth, "beta": found.width, "gamma": found.resolution}
    stage.reporter.note(
        f"coefficients: alpha {found.depth:g} (depth), beta {found.width:g} (width), "
        f"gamma {found.resolution:g} (resolution)"
    )
    return get_rule("compound", **named), named


def _coefficients(
    stage: Stage, baseline: Architecture, spec: ScalingSpec, latency_model: LatencyModel | None
) -> Coefficients:
    if spec.coefficients == "paper":
        return PAPER
    if spec.coefficients != "search":
        given = spec.coefficients
        return Coefficients(depth=given.alpha, width=given.beta, resolution=given.gamma)
    grid, plan = spec.grid, stage.plan
    cost_of = cost_function(grid.cost, latency_model)
    if grid.table is not None:
        rows = judge_by_table(baseline, Path(grid.table), grid.factor, grid.tolerance, cost_of)
        stage.reporter.note(f"coefficients by {grid.table}: {len(rows)} rows of about that cost")
        return best(rows).member.coefficients
    members = grid_members(
        baseline,
        candidates=grid.candidates,
        step=grid.step,
        tolerance=grid.tolerance,
        factor=grid.factor,
        cost=grid.cost,
        cost_of=cost_of,
        alphas=grid.alphas,
        betas=grid.betas,
        gammas=grid.gammas,
    )
    short, full = grid.recipe or plan.spec.recipe, plan.spec.full_recipe
    judged = []
    for origin, recipe in (("coefficients", short), ("finalists", full)):
        candidates = [plan.candidate(m.architecture, recipe) for m in members]
        with stage.study(origin, [(member_choices(m), m.architecture) for m in members]) as on_end:
            ends = evaluate_all(stage.evaluations, candidates, on_end)
        judged = judge(members, ends, cost_of)
        members = [j.member for j in finalists(judged)]
        if short == full or len(members) == 1:
            break
    chosen = best(judged)
    stage.reporter.note(
        f"coefficient search: {len(judged)} networks in the last round, the best with "
        f"{chosen.accuracy:.1%} ±{chosen.accuracy_se:.1%}"
    )
    return chosen.member.coefficients
