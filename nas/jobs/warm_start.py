"""Warm start: what earlier jobs of the store found, as a sampler can learn from it."""

from __future__ import annotations

from datetime import datetime

from nas.errors import InvalidRequestError
from nas.jobs.front import COLUMNS, SEARCHED
from nas.jobs.plan import Plan
from nas.jobs.table_plan import TablePlan
from nas.search.objectives import objective_values
from nas.search.records import metrics_of
from nas.search.samplers.contract import Earlier, Problem
from nas.store import EvaluationRow, Store


def earlier_searches(
    store: Store, plan: Plan | TablePlan, before: datetime | None = None
) -> tuple[Earlier, ...]:
    """The jobs that `search.warm_start` names, as far as they speak of this job's decisions.

    Args:
        before: Only trials that had ended by then: what a resumed job learned from before.

    Raises:
        InvalidRequestError: If there is no such job, or it has nothing that this one can use.
    """
    problem = plan.problem()
    reward = plan.reward if isinstance(plan, Plan) else None
    unknown = [o for o in problem.objectives if not o.known]
    found = []
    for name in plan.spec.search.warm_start:
        job = store.find_job(name)
        trials = [
            t
            for t in store.trials(job.id, origins=SEARCHED)
            if t.state == "completed" and t.ended_at and (before is None or t.ended_at <= before)
        ]
        rows = store.evaluations(t.evaluation for t in trials if t.evaluation)
        choices, values = [], []
        for trial in trials:
            row = rows.get(trial.evaluation or "")
            own = {d.name: trial.choices.get(d.name) for d in problem.decisions}
            if row is None or not all(own[d.name] in d.options for d in problem.decisions):
                continue
            measured = objective_values(unknown, _metrics(row), reward)
            if measured is not None:
                choices.append({name: option for name, option in own.items() if option is not None})
                values.append(measured)
        if not choices:
            raise InvalidRequestError(
                f"`search.warm_start`: none of the {len(trials)} completed trials of job "
                f"{job.name} ({job.id}) has choices of this space and "
                f"{', '.join(o.metric for o in unknown)}."
            )
        found.append(Earlier(name=f"{job.name} ({job.id})", choices=choices, values=values))
    return tuple(found)


def describe_earlier(problem: Problem) -> list[str]:
    """What a warm start is worth, one line an earlier job."""
    from nas.search.samplers.earlier import WORTH, learn

    heard = {one.name: one.correlation for one in learn(problem)}
    lines = []
    for earlier in problem.earlier:
        about = f"warm start from job {earlier.name}, {len(earlier.choices)} trials: "
        if earlier.name in heard:
            about += f"ranks what it has not seen with a correlation of {heard[earlier.name]:.2f}"
        else:
            about += f"not listened to, its ranks correlate with less than {WORTH:g}"
        lines.append(about)
    return lines


def _metrics(row: EvaluationRow) -> dict[str, float]:
    columns = {name: getattr(row, name) for name in COLUMNS}
    return {**{k: float(v) for k, v in columns.items() if v is not None}, **metrics_of(row)}
