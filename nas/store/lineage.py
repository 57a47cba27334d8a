"""Lineage: where a network came from: trials that suggested it, families that it is of."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from nas.store.connected import Connected
from nas.store.schema import families, jobs, members, trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """A trial that a network came up in."""

    job: str
    job_name: str
    trial: int
    origin: str
    state: str
    evaluation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A family that a network is of."""

    family: str
    family_name: str
    rule: str
    baseline: str
    job: str
    member: str
    phi: float | None


class Lineages(Connected):
    """The part of the store about where networks came from."""

    def suggested(self, fingerprint: str, limit: int = 20) -> list[Suggested]:
        """Trials that a network came up in, by job and number."""
        query = (
            select(
                trials.c.job,
                jobs.c.name.label("job_name"),
                trials.c.number.label("trial"),
                *(trials.c[name] for name in ("origin", "state", "evaluation")),
            )
            .join(jobs, jobs.c.id == trials.c.job)
            .where(trials.c.architecture == fingerprint)
            .order_by(jobs.c.created_at, trials.c.number)
            .limit(limit)
        )
        with self._read() as connection:
            return [Suggested(**row._mapping) for row in connection.execute(query)]

    def memberships(self, fingerprint: str, limit: int = 20) -> list[Membership]:
        """Families that a network is of, the oldest first."""
        query = (
            select(
                families.c.id.label("family"),
                families.c.name.label("family_name"),
                *(families.c[name] for name in ("rule", "baseline", "job")),
                members.c.name.label("member"),
                members.c.phi,
            )
            .join(families, families.c.id == members.c.family)
            .where(members.c.architecture == fingerprint)
            .order_by(families.c.created_at, families.c.id)
            .limit(limit)
        )
        with self._read() as connection:
            return [Membership(**row._mapping) for row in connection.execute(query)]
