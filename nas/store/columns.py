"""Column types that mean the same in SQLite and PostgreSQL, and the JSON form of plain values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Double, Integer, Text
from sqlalchemy.types import TypeDecorator

SPECIAL = "$number"


class UtcTime(TypeDecorator[datetime]):
    """An aware time, in UTC on the way out; SQLite keeps no zone, so a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"A stored time must have a time zone, but got {value!r}.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from anywhere (a worker's traceback, a file's name): what PostgreSQL can't hold,
    zero characters and halves of surrogate pairs, becomes a replacement character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        text = str(value)  # psycopg would write an enum's name
        if text.isascii() and "\0" not in text:
            return text
        return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


class Number(TypeDecorator[float]):
    """A float; NaN is no value, as SQLite has it (PostgreSQL would sort it above all others)."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        return None if value is None or math.isnan(value) else float(value)


class Whole(TypeDecorator[int]):
    """An integer of 64 bits, NumPy's included (sqlite3 would store those as bytes)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


# Plain JSON and not JSONB: it gives back what was written, the order of keys and 1e16 as a float.
Document = JSON(none_as_null=True)
# SQLite counts a primary key up by itself only where its type is exactly INTEGER.
Counter = BigInteger().with_variant(Integer(), "sqlite")


def dumps(value: Any) -> str:
    """JSON text of plain values; NaN and infinities, which JSON lacks, survive as mappings.

    >>> dumps({"loss": [1.5, float("inf")]})
    '{"loss":[1.5,{"$number":"inf"}]}'
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)
    except ValueError:
        return json.dumps(_tagged(value), allow_nan=False, separators=(",", ":"), default=_plain)


def loads(text: str | bytes) -> Any:
    """Read what `dumps` wrote; psycopg hands it over as bytes.

    >>> loads('{"loss":[1.5,{"$number":"inf"}]}')
    {'loss': [1.5, inf]}
    """
    text = text.decode() if isinstance(text, bytes) else text
    return json.loads(text, object_hook=_untagged if SPECIAL in text else None)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return value.tolist()
    raise TypeError(f"Only plain values can be stored, but got {type(value).__name__}.")


def _tagged(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {SPECIAL: repr(float(value))}
    if isinstance(value, Mapping):
        return {key: _tagged(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_tagged(inner) for inner in value]
    return _tagged(value.tolist()) if hasattr(value, "tolist") else value


def _untagged(mapping: dict[str, Any]) -> Any:
    return float(mapping[SPECIAL]) if mapping.keys() == {SPECIAL} else mapping
