"""How commands answer: tables for people, one JSON document for scripts, logs to standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.quantity import format_quantity

# what goes into a file or a pipe is not cut to a screen's width
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON document to standard output; NaN becomes null, which JSON has."""
    sys.stdout.write(json.dumps(_finite(value), indent=2, default=str) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None
) -> None:
    """Write a table to standard output; numbers to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    cells = [[_cell(value) for value in row] for row in rows]
    for i, column in enumerate(columns):
        numeric = bool(cells) and all(row[i][:1].isdigit() or row[i] in "-" for row in cells)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=i == 0)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(value: float | None, error: float | None = None) -> str:
    """An accuracy with its standard error, in percent; a table's own scale stays as it is.

    >>> percent(0.98125, 0.007), percent(None), percent(93.6)
    ('98.1 ±0.7 %', '-', '93.6')
    """
    if value is None or math.isnan(value):
        return "-"
    if abs(value) > 1.0:
        return f"{value:.6g}"
    if error is None or math.isnan(error):
        return f"{100 * value:.1f} %"
    return f"{100 * value:.1f} ±{100 * error:.1f} %"


def quantity(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else format_quantity(value)


def duration(seconds: float | None) -> str:
    """A time as people say it.

    >>> duration(42.0), duration(125.0), duration(7322.0)
    ('42 s', '2 min 05 s', '2 h 02 min')
    """
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
