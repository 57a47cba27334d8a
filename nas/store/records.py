"""Artifacts, measurements, and what evaluations refer to: data sets, recipes, devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, or_, select

from nas.store.asking import COLUMNS, is_maximized
from nas.store.connected import Connected, columns_of, insert_new
from nas.store.measuring import WAYS
from nas.store.questions import Measured, Way
from nas.store.rows import ArtifactRow, DatasetRow, DeviceRow, MeasurementRow, RecipeRow
from nas.store.schema import artifacts, datasets, devices, evaluations, measurements, recipes


class Records(Connected):
    """The part of the store about files, measurements and descriptions."""

    def add_artifact(self, row: ArtifactRow) -> ArtifactRow:
        """Write an artifact; the same file for the same purpose is written once."""
        same = [
            artifacts.c[name].is_not_distinct_from(getattr(row, name))
            for name in ("sha256", "kind", "name", "architecture", "evaluation", "parent")
        ]
        with self._write() as connection:
            found = connection.execute(select(artifacts).where(*same)).first()
            if found is None:
                connection.execute(artifacts.insert(), columns_of(row, "id"))
                latest = select(artifacts).where(*same).order_by(artifacts.c.id.desc())
                found = connection.execute(latest).first()
            assert found is not None
            return ArtifactRow(**found._mapping)

    def artifacts_of(
        self,
        *,
        architecture: str | None = None,
        evaluation: str | None = None,
        job: str | None = None,
        parent: int | None = None,
        kind: str | None = None,
    ) -> list[ArtifactRow]:
        """Artifacts that belong to all of what is given, the oldest first."""
        wanted = {
            "architecture": architecture,
            "evaluation": evaluation,
            "job": job,
            "parent": parent,
            "kind": kind,
        }
        return [ArtifactRow(**row._mapping) for row in self._where(artifacts, wanted)]

    def add_measurements(self, rows: Sequence[MeasurementRow]) -> None:
        """Write measurements; each is one more, never in place of another."""
        if rows:
            with self._write() as connection:
                connection.execute(measurements.insert(), [columns_of(row, "id") for row in rows])

    def measurements_of(
        self,
        *,
        architecture: str | None = None,
        evaluation: str | None = None,
        artifact: int | None = None,
        metric: str | None = None,
        device: str | None = None,
    ) -> list[MeasurementRow]:
        """Measurements of all of what is given, the oldest first."""
        wanted = {
            "architecture": architecture,
            "evaluation": evaluation,
            "artifact": artifact,
            "metric": metric,
            "device": device,
        }
        return [MeasurementRow(**row._mapping) for row in self._where(measurements, wanted)]

    def measurements_about(self, architecture: str) -> list[MeasurementRow]:
        """Measurements of a network and of its evaluations, the oldest first."""
        own = select(evaluations.c.key).where(evaluations.c.architecture == architecture)
        of = measurements.c
        query = select(measurements).where(
            or_(of.architecture == architecture, of.evaluation.in_(own))
        )
        with self._read() as connection:
            rows = connection.execute(query.order_by(of.id)).all()
        return [MeasurementRow(**row._mapping) for row in rows]

    def measured(self) -> list[Measured]:
        """What was measured on which devices, of metrics that can make a front."""
        with self._read() as connection:
            described = connection.execute(select(devices.c.id, devices.c.name))
            names = {row.id: row.name for row in described}
            own = measurements.c
            return [
                Measured(metric=metric, device=device, device_name=names[device] or device)
                for metric in _values(connection, own.metric)
                if metric not in COLUMNS and is_maximized(metric) is not None
                for device in _values(connection, own.device, own.metric == metric)
                if device is not None
            ]

    def ways(self, metric: str, device: str) -> list[Way]:
        """How a metric was measured on a device of that id."""
        found: list[dict[str, Any]] = [{}]
        own = measurements.c
        same = [own.metric == metric, own.device == device]
        with self._read() as connection:
            for name in WAYS:
                found = [
                    {**way, name: value}
                    for way in found
                    for value in _values(
                        connection, own[name], *same, *(own[k] == v for k, v in way.items())
                    )
                ]
        return [Way(**way) for way in found]

    def save_dataset(self, row: DatasetRow) -> None:
        """Describe a data set; the first description stays."""
        self._insert_new(datasets, columns_of(row))

    def dataset(self, content_hash: str) -> DatasetRow | None:
        """The data set of that content hash."""
        found = self._one(datasets, "hash", content_hash)
        if found is None:
            return None
        columns = dict(found._mapping)
        return DatasetRow(**{**columns, "classes": tuple(columns["classes"])})

    def save_recipe(self, row: RecipeRow) -> None:
        """Write a recipe under its digest."""
        self._insert_new(recipes, columns_of(row))

    def recipe(self, digest: str) -> RecipeRow | None:
        """The recipe of that digest."""
        found = self._one(recipes, "digest", digest)
        return None if found is None else RecipeRow(**found._mapping)

    def save_device(self, row: DeviceRow) -> None:
        """Describe a device; the first description stays."""
        self._insert_new(devices, columns_of(row))

    def device(self, device_id: str) -> DeviceRow | None:
        """The device of that id."""
        found = self._one(devices, "id", device_id)
        return None if found is None else DeviceRow(**found._mapping)

    def _where(self, table: Table, wanted: dict[str, Any]) -> Sequence[Row[Any]]:
        given = [table.c[name] == value for name, value in wanted.items() if value is not None]
        with self._read() as connection:
            return connection.execute(select(table).where(*given).order_by(table.c.id)).all()

    def _one(self, table: Table, name: str, value: str) -> Row[Any] | None:
        with self._read() as connection:
            return connection.execute(select(table).where(table.c[name] == value)).first()

    def _insert_new(self, table: Table, columns: dict[str, Any]) -> None:
        with self._write() as connection:
            insert_new(connection, table, [columns])


MOST_VALUES = 100


def _values(connection: Connection, column: Any, *where: Any) -> list[Any]:
    """A column's values, None first: one step along an index for each, however many rows."""
    query = select(column).where(*where)
    none = connection.execute(query.where(column.is_(None)).limit(1)).first()
    found: list[Any] = []
    while len(found) < MOST_VALUES:
        later = query.where(column > found[-1] if found else column.is_not(None))
        row = connection.execute(later.order_by(column).limit(1)).first()
        if row is None:
            break
        found.append(row[0])
    return [None, *found] if none is not None else found
