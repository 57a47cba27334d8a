"""Budgets: what a job may use, how much it has, and how it is raised."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nas.errors import InvalidRequestError
from nas.periodic import Periodic
from nas.quantity import parse_duration, parse_quantity

if TYPE_CHECKING:
    from nas.search.spending import BudgetSpent, Limits, Reserved, Spending
    from nas.store import JobRow, Store

WALL, OPEN, CUT_OFF, SPENT = "wall_time_s", "open_seconds", "cut_off_seconds", "budget_spent"
MEASURED = "measured"
"""Attribute of a job: what a trial was measured to hold (`nas.jobs.measured`)."""
KEPT_EVERY_S = 10.0


class BudgetSpec(BaseModel):
    """What a job may use in all, whatever stage it is in and however often it is resumed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_gpu_hours: float | None = Field(None, gt=0.0)
    max_cpu_hours: float | None = Field(None, gt=0.0)
    max_wall_time: float | None = Field(None, gt=0.0, description="seconds, or as 2h, 90m")
    max_trials: int | None = Field(
        None, ge=1, description="evaluated trials of all stages; `search.trials` is the search's"
    )

    @field_validator("max_wall_time", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        try:
            return None if value is None else parse_duration(value)
        except InvalidRequestError as error:
            raise ValueError(str(error)) from None

    @property
    def limits(self) -> Limits:
        """The same, as whoever counts reads it."""
        from nas.search.spending import Limits

        return Limits(
            gpu_hours=self.max_gpu_hours,
            cpu_hours=self.max_cpu_hours,
            wall_time_s=self.max_wall_time,
            trials=self.max_trials,
        )


def parse_budget(present: BudgetSpec, texts: Sequence[str]) -> BudgetSpec:
    """A budget with what `max_wall_time=4h` and the like change; `=none` lifts one.

    >>> parse_budget(BudgetSpec(max_trials=20), ["max_wall_time=4h"])
    BudgetSpec(max_gpu_hours=None, max_cpu_hours=None, max_wall_time=14400.0, max_trials=20)
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if name not in BudgetSpec.model_fields or not equals:
            raise InvalidRequestError(
                f"A budget must be one of {', '.join(BudgetSpec.model_fields)}, as "
                f"max_wall_time=4h, but got {text!r:.80}."
            )
        if value == "none":
            changes[name] = None
        else:
            changes[name] = value if name == "max_wall_time" else parse_quantity(value)
    try:
        return BudgetSpec.model_validate({**present.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidRequestError(
            f"`{first['loc'][0]}`: {first['msg'].removeprefix('Value error, ')}, "
            f"but got {first['input']!r:.80}."
        ) from None


def change_budget(store: Store, job: JobRow, budget: BudgetSpec) -> JobRow:
    """Have a job end by another budget from now on."""
    store.update_job(job.id, attributes={"budget": budget.model_dump(exclude_none=True)})
    return store.find_job(job.id)


def spent_budget(job: JobRow, budget: BudgetSpec) -> str | None:
    """Name of the budget that ended a job and that nobody has raised since."""
    for name, limit in (job.attributes.get(SPENT) or {}).items():
        present = getattr(budget, name, None)
        if present is not None and present <= limit:
            return str(name)
    return None


def may_not_go_on(job: JobRow, budget: BudgetSpec) -> bool:
    """Whether a completed job is at its end: by itself, or by a budget that stands."""
    return not is_cut_short(job) or spent_budget(job, budget) is not None


def is_cut_short(job: JobRow) -> bool:
    """Whether a job's last end was its budget's."""
    return bool(job.attributes.get(SPENT))


def note_end(store: Store, job: JobRow, end: BudgetSpent | None) -> None:
    """Write down which budget ended a job, or that none did."""
    if end is not None or is_cut_short(store.find_job(job.id)):
        spent = {} if end is None else {end.name: end.limit}
        store.update_job(job.id, attributes={SPENT: spent})


@contextlib.contextmanager
def counting(
    store: Store, job: JobRow, budget: BudgetSpec, reserved: Reserved
) -> Iterator[Spending]:
    """Count a driver's time and its trials' hours on top of those of the drivers before it.

    Every ten seconds the count is written down, so that what a kill cuts off counts, too.
    """
    from nas.jobs.accounts import accounts_of
    from nas.search.spending import Spending, Spent
    from nas.store.usage import Usage

    cut_off = cut_off_seconds(job.attributes)
    known = accounts_of(job, store.usage(job.id).get(job.id, Usage()))
    spending = Spending(
        reserved,
        budget.limits,
        Spent(
            cpu_seconds=known.cpu_hours * 3600.0,
            gpu_seconds=known.gpu_hours * 3600.0,
            wall_time_s=float(job.attributes.get(WALL, 0.0)),
        ),
        lambda: store.count_evaluated(job.id),
    )

    def write() -> None:
        counted = {WALL: spending.wall_time_s, OPEN: spending.open_seconds, CUT_OFF: cut_off}
        store.update_job(job.id, attributes=counted)

    write()
    try:
        with contextlib.closing(Periodic(write, KEPT_EVERY_S, "Noting what is spent")):
            yield spending
    finally:
        with contextlib.suppress(Exception):  # what was written last counts then
            write()


def cut_off_seconds(attributes: Mapping[str, Any]) -> float:
    """Worker seconds of trials that ran when their driver ended, in all its ends so far."""
    return float(attributes.get(CUT_OFF, 0.0)) + float(attributes.get(OPEN, 0.0))
