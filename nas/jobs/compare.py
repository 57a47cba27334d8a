"""The comparison of scaling rules on one's own data: trained seed by seed, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.jobs.members import fixed_rule, full_candidate, member_choices, member_row
from nas.jobs.spec import CompareSpec, ScalingSpec
from nas.jobs.stage import Stage
from nas.scaling import (
    LatencyModel,
    Member,
    get_rule,
    make_members,
    parse_factors,
    parse_target_sets,
)
from nas.search.candidates import Finished
from nas.search.records import architecture_row
from nas.store import JobRow, MemberRow, Store
from nas.studies.comparison import (
    BASELINE,
    Accuracy,
    Entry,
    accuracy_of,
    equal_cost_entries,
)
from nas.studies.family import train_members
from search_spaces.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One network of a comparison with its accuracies over seeds; None where not measured."""

    rule: str
    member: MemberRow
    val: Accuracy | None
    test: Accuracy | None
    seconds: float


def run_comparison(
    stage: Stage,
    baseline: Architecture,
    spec: ScalingSpec,
    latency_model: LatencyModel | None,
) -> None:
    """Train every rule's member for every target, seed by seed, and store a family for each."""
    compare = spec.compare or CompareSpec()
    entries = comparison_entries(baseline, spec, compare, latency_model)
    for entry in entries:
        if entry.member is None:
            stage.reporter.note(f"left out: {entry.reason}")
    usable = [(entry, entry.member) for entry in entries if entry.member is not None]
    seeds = [stage.plan.spec.search.seed + i for i in range(compare.seeds)]
    ends: dict[tuple[int, int], Finished] = {}
    for seed in seeds:  # a whole comparison after each seed, whenever it is stopped
        networks = [
            ({**member_choices(member), "rule": entry.rule, "seed": seed}, member.architecture)
            for entry, member in usable
        ]
        with stage.study("compare", networks) as on_end:
            answers = train_members(
                [member for _, member in usable],
                lambda m, seed=seed: full_candidate(stage.plan, m.architecture, seed),  # type: ignore[misc]
                stage.evaluations,
                on_end,
            )
        ends.update({(i, seed): end for i, end in enumerate(answers)})
        _save_comparison(stage, baseline, spec, usable, ends)


def comparison_entries(
    baseline: Architecture,
    spec: ScalingSpec,
    compare: CompareSpec,
    latency_model: LatencyModel | None,
) -> list[Entry]:
    """What a comparison looks at: rules at equal cost, or one's own factors."""
    rules = [fixed_rule(spec) if name == "compound" else get_rule(name) for name in compare.rules]
    targets = spec.targets or (() if spec.factors else ("2x",))
    sets = parse_target_sets(targets, baseline) if targets else []
    entries = equal_cost_entries(baseline, rules, sets, latency_model)
    own = make_members(
        baseline,
        get_rule("compound"),
        factors=[parse_factors(text, baseline) for text in spec.factors],
        latency_model=latency_model,
    )
    return [*entries, *(Entry(rule=text, member=m) for text, m in zip(spec.factors, own))]


def _save_comparison(
    stage: Stage,
    baseline: Architecture,
    spec: ScalingSpec,
    usable: Sequence[tuple[Entry, Member]],
    ends: Mapping[tuple[int, int], Finished],
) -> None:
    """A family for each rule, beginning with the baseline; seeds are in the members' details."""
    by_rule: dict[str, list[int]] = {}
    for i, (entry, _) in enumerate(usable):
        by_rule.setdefault(entry.rule, []).append(i)
    first = by_rule.pop(BASELINE)
    for rule, places in by_rule.items():
        stage.store.save_family(
            stage.job.id,
            f"compare {rule}",
            baseline=baseline.fingerprint,
            rule=rule,
            coefficients={},
            rows=[
                member_row(n, usable[i][1], [end for (place, _), end in ends.items() if place == i])
                for n, i in enumerate((*first, *places))
            ],
            architectures=[architecture_row(usable[i][1].architecture) for i in (*first, *places)],
            details={"baseline_rule": spec.baseline, "comparison": True},
        )


def read_comparison(store: Store, job: JobRow) -> list[Compared]:
    """A job's comparison as it stands in the store: the baseline first, then rule by rule."""
    found: list[Compared] = []
    for family in store.families(job.id):
        if not family.details.get("comparison"):
            continue
        for member in family.members[1 if found else 0 :]:  # each begins with the baseline
            keys = member.details.get("evaluations") or [member.evaluation]
            rows = [row for key in keys if key and (row := store.evaluation(key)) is not None]
            found.append(
                Compared(
                    rule=BASELINE if member.number == 0 else family.rule,
                    member=member,
                    val=accuracy_of(rows, "val"),
                    test=accuracy_of(rows, "test"),
                    seconds=sum(row.seconds for row in rows),
                )
            )
    return found
