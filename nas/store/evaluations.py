"""Evaluations and architectures: written once under their key, whoever comes first."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, select
from sqlalchemy.dialects.sqlite import Insert

from nas.errors import InvalidRequestError
from nas.store.connected import Connected, chunks, columns_of, insert_new, now, upsert
from nas.store.fronts import keep_fronts
from nas.store.rows import ArchitectureRow, EvaluationRow
from nas.store.schema import architectures, artifacts, claims, evaluations

WEIGHTS = "weights"
ACCURACIES = (
    *("val_accuracy", "val_accuracy_se", "val_accuracy_spread"),
    *("test_accuracy", "test_accuracy_se"),
)


class Evaluations(Connected):
    """The part of the store about evaluations and architectures."""

    def evaluation(self, key: str) -> EvaluationRow | None:
        """The evaluation of that key, if there is one."""
        return self.evaluations([key]).get(key)

    def evaluations(self, keys: Iterable[str]) -> dict[str, EvaluationRow]:
        """Those of the keys that are there."""
        wanted = list(dict.fromkeys(keys))
        with self._read() as connection:
            return {row.key: row for some in chunks(wanted) for row in _select(connection, some)}

    def save_evaluation(
        self, evaluation: EvaluationRow, architecture: ArchitectureRow | None = None
    ) -> EvaluationRow:
        """Write an evaluation, unless its key is there; returns the one that stays.

        A completed one takes the place of one that is not; otherwise the first stays. Claims
        on the key end.

        Args:
            architecture: Its network, needed if the store may not have it yet.
        """
        with self._write() as connection:
            save_architectures(connection, [architecture] if architecture else [])
            evaluation = _as_stored(evaluation)
            if save_evaluations(connection, [evaluation]) == 1:  # it is the one that stays
                return evaluation
            (row,) = _select(connection, [evaluation.key])
            return row

    def save_architectures(self, rows: Sequence[ArchitectureRow]) -> None:
        """Write networks that are not there yet."""
        with self._write() as connection:
            save_architectures(connection, rows)

    def find_architecture(self, text: str) -> ArchitectureRow | None:
        """The network whose fingerprint is or begins with that; None if there is none.

        Raises:
            InvalidRequestError: If several begin so.
        """
        if not text:
            return None
        name = architectures.c.fingerprint
        # both bounds are found by the index, which LIKE is not; fingerprints end before "g"
        begins = and_(name >= text, name < f"{text}g", name.startswith(text, autoescape=True))
        with self._read() as connection:
            found = connection.execute(select(architectures).where(begins).limit(2)).all()
        if len(found) > 1:
            raise InvalidRequestError(
                f"Several architectures in {self.url} begin with {text!r}; "
                f"write more of the fingerprint."
            )
        return ArchitectureRow(**found[0]._mapping) if found else None


def save_architectures(connection: Connection, rows: Sequence[ArchitectureRow]) -> None:
    # always in one order: two transactions that insert the same rows wait, and never in a circle
    ordered = sorted({row.fingerprint: row for row in rows}.items())
    insert_new(connection, architectures, [columns_of(row) for _, row in ordered])


def _as_stored(row: EvaluationRow) -> EvaluationRow:
    """A row as it will come back: NaN is no value, and it has a time."""
    numbers = {name: value for name, value in row.metrics.items() if math.isfinite(value)}
    missing: dict[str, Any] = {
        name: None for name in ACCURACIES if math.isnan(getattr(row, name) or 0.0)
    }
    return replace(row, created_at=row.created_at or now(), metrics=numbers, **missing)


def save_evaluations(connection: Connection, rows: Sequence[EvaluationRow]) -> int:
    """Write what is not there, or not completed there; returns how many of them that were."""
    if not rows:
        return 0
    ordered = sorted(rows, key=lambda row: row.key)
    columns = [_columns(row) for row in ordered]
    written = connection.execute(_insert(connection.dialect.name), columns).rowcount
    completed = [c for c in columns if c["status"] == "completed"]
    if completed and written:
        keep_fronts(connection, [c["key"] for c in completed], {c["comparable"] for c in completed})
    _save_weights(connection, [row for row in ordered if row.weights])
    connection.execute(_END_CLAIM, [{"_key": row.key} for row in ordered])
    return written


@cache
def _insert(dialect: str) -> Insert:
    insert = upsert(dialect, evaluations)
    new = insert.excluded
    replaced = {c.name: new[c.name] for c in evaluations.c if c.name not in ("key", "created_at")}
    better = and_(evaluations.c.status != "completed", new.status == "completed")
    statement = insert.on_conflict_do_update(index_elements=["key"], set_=replaced, where=better)
    return statement.execution_options(preserve_rowcount=True)


_END_CLAIM = delete(claims).where(claims.c.key == bindparam("_key"))
_WITH_WEIGHTS = select(artifacts.c.evaluation).where(
    artifacts.c.kind == WEIGHTS, artifacts.c.evaluation.in_(bindparam("_keys", expanding=True))
)


def _save_weights(connection: Connection, rows: Sequence[EvaluationRow]) -> None:
    if not rows:
        return
    keys = [row.key for row in rows]
    there = set(connection.execute(_WITH_WEIGHTS, {"_keys": keys}).scalars())
    files: list[dict[str, Any]] = [
        {
            "name": row.weights[0],
            "sha256": row.weights[1],
            "bytes": row.weights[2],
            "kind": WEIGHTS,
            "architecture": row.architecture,
            "evaluation": row.key,
            "job": row.job,
            "details": {},
            "created_at": now(),
        }
        for row in rows
        if row.weights and row.key not in there
    ]
    if files:
        connection.execute(artifacts.insert(), files)


def _columns(row: EvaluationRow) -> dict[str, Any]:
    numbers = {k: float(v) for k, v in row.metrics.items() if math.isfinite(v)}
    return columns_of(
        row,
        "weights",
        metrics=numbers,
        curve=[dict(epoch) for epoch in row.curve],
        comparable=comparable_id(row),
    )


def comparable_id(row: EvaluationRow) -> str:
    """16 hexadecimal digits, the same for evaluations that may stand on one front."""
    parts = [row.dataset, row.split, row.recipe, row.evaluator, row.train_on, float(row.fidelity)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


_SELECT = (
    select(
        evaluations,
        artifacts.c.name.label("weights_name"),
        artifacts.c.sha256.label("weights_sha256"),
        artifacts.c.bytes.label("weights_bytes"),
    )
    .outerjoin(
        artifacts, and_(artifacts.c.evaluation == evaluations.c.key, artifacts.c.kind == WEIGHTS)
    )
    .where(evaluations.c.key.in_(bindparam("_keys", expanding=True)))
)


def _select(connection: Connection, keys: Sequence[str]) -> list[EvaluationRow]:
    return [_evaluation(row) for row in connection.execute(_SELECT, {"_keys": keys})]


def _evaluation(row: Row[Any]) -> EvaluationRow:
    columns = dict(row._mapping)
    name, sha256, size = (columns.pop(f"weights_{part}") for part in ("name", "sha256", "bytes"))
    del columns["comparable"]
    columns["curve"] = tuple(columns["curve"])
    return EvaluationRow(weights=None if name is None else (name, sha256, size), **columns)
