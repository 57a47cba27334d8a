"""Families: a baseline, the coefficients found for it, and the members that they give."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select

from nas.store.connected import Connected, columns_of, now, upsert
from nas.store.evaluations import save_architectures
from nas.store.rows import ArchitectureRow, FamilyRow, MemberRow
from nas.store.schema import architectures, evaluations, families, members

FILLED_IN = ("macs", "parameters", "resolution", "val_accuracy", "test_accuracy")


class Families(Connected):
    """The part of the store about families."""

    def save_family(
        self,
        job_id: str,
        name: str,
        *,
        baseline: str,
        rule: str,
        coefficients: Mapping[str, float],
        rows: Sequence[MemberRow],
        architectures: Sequence[ArchitectureRow] = (),
        details: Mapping[str, Any] | None = None,
    ) -> FamilyRow:
        """Write a family; one of the same name in the job is replaced, members and all.

        Args:
            baseline: Fingerprint of the architecture that was scaled.
            architectures: Those of the members and the baseline that the store may not have yet.
        """
        family = {
            "id": secrets.token_hex(4),
            "job": job_id,
            "name": name,
            "baseline": baseline,
            "rule": rule,
            "coefficients": dict(coefficients),
            "details": dict(details or {}),
            "created_at": now(),
        }
        with self._write() as connection:
            save_architectures(connection, architectures)
            insert = upsert(connection.dialect.name, families)
            changed = ("baseline", "rule", "coefficients", "details", "created_at")
            kept = {n: insert.excluded[n] for n in changed}
            connection.execute(
                insert.on_conflict_do_update(index_elements=["job", "name"], set_=kept), family
            )
            here = (families.c.job == job_id, families.c.name == name)
            family_id = connection.execute(select(families.c.id).where(*here)).scalar_one()
            connection.execute(delete(members).where(members.c.family == family_id))
            if rows:
                columns = [columns_of(row, *FILLED_IN, family=family_id) for row in rows]
                connection.execute(members.insert(), columns)
            return _families(connection, families.c.id == family_id)[0]

    def families(self, job_id: str | None = None) -> list[FamilyRow]:
        """Families of a job, or all of them, the oldest first, each with its members."""
        with self._read() as connection:
            return _families(connection, *([families.c.job == job_id] if job_id else []))

    def family(self, family_id: str) -> FamilyRow | None:
        """The family of that id."""
        with self._read() as connection:
            return next(iter(_families(connection, families.c.id == family_id)), None)

    def latest_families(
        self,
        job_id: str | None = None,
        *,
        limit: int,
        after: tuple[datetime, str] | None = None,
    ) -> list[FamilyRow]:
        """Families of a job, or all of them, the latest first.

        Args:
            after: `created_at` and `id` of the last family of the page before.
        """
        query = select(families.c.id).order_by(families.c.created_at.desc(), families.c.id)
        if job_id is not None:
            query = query.where(families.c.job == job_id)
        if after is not None:
            at, last = after
            level = and_(families.c.created_at == at, families.c.id > last)
            query = query.where(or_(families.c.created_at < at, level))
        with self._read() as connection:
            ids = list(connection.execute(query.limit(limit)).scalars())
            found = {row.id: row for row in _families(connection, families.c.id.in_(ids))}
        return [found[family_id] for family_id in ids]


def _families(connection: Connection, *conditions: Any) -> list[FamilyRow]:
    query = select(families).where(*conditions).order_by(families.c.created_at, families.c.id)
    found = connection.execute(query).all()
    by_family: dict[str, list[MemberRow]] = {row.id: [] for row in found}
    own = [members.c[f.name] for f in fields(MemberRow) if f.name not in FILLED_IN]
    costs = [architectures.c[name] for name in ("macs", "parameters", "resolution")]
    results = [evaluations.c[name] for name in ("val_accuracy", "test_accuracy")]
    with_numbers = (
        select(members.c.family, *own, *costs, *results)
        .join(architectures, architectures.c.fingerprint == members.c.architecture)
        .outerjoin(evaluations, evaluations.c.key == members.c.evaluation)
        .join(families, families.c.id == members.c.family)
        .where(*conditions)
        .order_by(members.c.number)
    )
    for row in connection.execute(with_numbers):
        columns = dict(row._mapping)
        by_family[columns.pop("family")].append(MemberRow(**columns))
    return [FamilyRow(members=tuple(by_family[row.id]), **row._mapping) for row in found]
