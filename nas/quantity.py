"""Numbers as people write them: 400M, 1.2G, and bounds such as `macs <= 400M`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from nas.errors import InvalidRequestError

_DECIMAL = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12}
_BINARY = {"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z]*)\s*")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_TIME = re.compile(r"(\d+\.?\d*|\.\d+)\s*(s|min|m|h|d)\s*")
_BOUND = re.compile(r"\s*([A-Za-z_][\w.@/-]*)\s*(<=|>=)\s*(\S.*?)\s*")


def parse_quantity(text: str | float) -> float:
    """Read a number with an optional unit: k, M, G, T (1000s) or Ki, Mi, Gi, Ti (1024s).

    >>> parse_quantity("1.2G"), parse_quantity("400M"), parse_quantity("64Mi")
    (1200000000.0, 400000000.0, 67108864.0)
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    match = _NUMBER.fullmatch(text) if isinstance(text, str) and len(text) < 64 else None
    unit = match[2].lower() if match else ""
    factor = _DECIMAL.get(unit, _BINARY.get(unit))
    if match is None or factor is None or not math.isfinite(float(match[1])):
        raise InvalidRequestError(
            f"A quantity must be a number such as 400M, 1.2G or 64Mi, but got {text!r:.80}."
        )
    return float(match[1]) * factor


def parse_duration(text: str | float) -> float:
    """Read a time as seconds: 90, 45s, 30m, 2h, 1h30m, 1d.

    >>> parse_duration("2h"), parse_duration("1h 30m"), parse_duration(90)
    (7200.0, 5400.0, 90.0)
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    short = text.strip().lower() if isinstance(text, str) and len(text) < 64 else ""
    parts = _TIME.findall(short)
    if parts and not _TIME.sub("", short):
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if short.replace(".", "", 1).isdigit():
        return float(short)
    raise InvalidRequestError(f"A time must be like 45s, 30m, 2h or 1h30m, but got {text!r:.80}.")


def format_quantity(value: float) -> str:
    """Write a number in three significant digits with its unit.

    >>> format_quantity(385_814_752), format_quantity(999.6), format_quantity(5_288_548)
    ('386 M', '1 k', '5.29 M')
    """
    for factor, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on a metric: at most `limit`, or at least."""

    metric: str
    limit: float
    at_most: bool = True

    def violation(self, value: float) -> float:
        """How far a value is beyond the limit, relative to it; 0 within, infinite for NaN."""
        if math.isnan(value):
            return math.inf
        excess = value - self.limit if self.at_most else self.limit - value
        return max(0.0, excess) / (abs(self.limit) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.at_most else '>='} {format_quantity(self.limit)}"


def parse_bound(text: str, metrics: Collection[str]) -> Bound:
    """Read `METRIC <= NUMBER` or `METRIC >= NUMBER`.

    >>> parse_bound("macs <= 400M", ["macs"])
    Bound(metric='macs', limit=400000000.0, at_most=True)
    """
    match = _BOUND.fullmatch(text) if isinstance(text, str) and len(text) < 200 else None
    if match is None:
        raise InvalidRequestError(
            f"A bound must read like 'macs <= 400M' or 'accuracy >= 0.9', but got {text!r:.80}."
        )
    if match[1] not in metrics:
        raise InvalidRequestError(
            f"A bound must be on one of {', '.join(sorted(metrics))}, but got {match[1]!r}."
        )
    return Bound(match[1], parse_quantity(match[3]), match[2] == "<=")
