"""A table of results in a file: read, checked, and looked up by choices.

Columns are decisions, metrics and known costs. CSV has a line of names first; JSON is a list of
mappings, a mapping of column to list, or a mapping of name to mapping (the names are then a
column `key`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import InvalidRequestError
from search_spaces.space import Choices, Decision, Option

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")  # names such as 0120 are text
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,30})?([eE][+-]?\d{1,2})?")

MAX_OPTIONS = 256
"""Different values from which on a column is no decision, unless it is named as one."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A file's cells as they stand there: text in CSV, plain values in JSON.

    Args:
        places: How messages call each row.
        digest: Of the file's content; 64 hexadecimal digits.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    places: Sequence[str]
    digest: str

    def column(self, name: str, what: str) -> Sequence[Any]:
        """The cells of a column, or an error that says what there is."""
        if name not in self.columns:
            raise InvalidRequestError(
                f"{what} {name!r} is not a column of {self.name}; its columns are "
                f"{_listed(self.columns)}."
            )
        return self.columns[name]


@dataclass(frozen=True, eq=False)
class Table:
    """A table with its decisions told from its numbers.

    Args:
        rows: The choices of each row, all of the decisions' options.
        numbers: Every other column that is numeric; NaN where a cell is empty.
    """

    name: str
    digest: str
    decisions: tuple[Decision, ...]
    rows: tuple[Choices, ...]
    numbers: Mapping[str, NDArray[np.float64]]
    places: Mapping[tuple[Option, ...], int]

    def find(self, choices: Choices) -> int | None:
        """The place of the row with these choices; None where there is none."""
        return self.places.get(tuple([choices[d.name] for d in self.decisions]))

    def look_up(
        self, metrics: Collection[str], choices: Sequence[Choices]
    ) -> dict[str, NDArray[np.float64]]:
        """Metrics of many choices; NaN where there is no such row."""
        places = [self.find(one) for one in choices]
        rows = np.array([-1 if place is None else place for place in places], dtype=np.intp)
        missing = rows < 0
        return {name: np.where(missing, np.nan, self.numbers[name][rows]) for name in metrics}

    def metrics(self, row: int) -> dict[str, float]:
        """What the row holds beside its choices, as far as there are numbers."""
        found = {name: float(column[row]) for name, column in self.numbers.items()}
        return {name: value for name, value in found.items() if math.isfinite(value)}


def read_cells(path: Path) -> Cells:
    """Read a .csv or .json file; nothing is made of its columns yet."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidRequestError(f"Cannot read the table {path}: {reason}.") from None
    if path.suffix.lower() == ".csv":
        columns, places = _from_csv(text, path.name)
    elif path.suffix.lower() == ".json":
        columns, places = _from_json(text, path.name)
    else:
        raise InvalidRequestError(f"A table must be a .csv or a .json file, but got {path}.")
    if not places:
        raise InvalidRequestError(f"The table {path.name} has no rows.")
    return Cells(path.name, columns, places, hashlib.sha256(content).hexdigest())


def make_table(
    cells: Cells,
    decisions: Sequence[str | Decision] = (),
    *,
    measured: Collection[str] = (),
    known: Collection[str] = (),
) -> Table:
    """Tell decisions from numbers, and check every cell that is used.

    Args:
        decisions: Their columns, or decisions whose options are given (rows with others are left
            out); if empty, all columns that are not `measured`, `known` or usually a metric.
        measured: Columns of metrics; an empty cell is a value that is missing.
        known: Columns of known costs; every row must have a number.

    Raises:
        InvalidRequestError: In one sentence, with file, line and column.
    """
    for name in (*measured, *known):
        cells.column(name, "Metric")
    given: Sequence[str | Decision] = tuple(decisions) or _rest(cells, {*measured, *known})
    names = [d.name if isinstance(d, Decision) else d for d in given]
    both = [name for name in names if name in measured or name in known]
    if both:
        raise InvalidRequestError(f"{both[0]!r} can't be both a decision and a metric.")
    typed = {n: _typed(cells, n, cells.column(n, "Decision")) for n in names}
    found = tuple(d if isinstance(d, Decision) else Decision(d, _sorted(typed[d])) for d in given)
    kept = _rows_within(found, typed, len(cells.places))
    if not kept:
        raise InvalidRequestError(f"No row of {cells.name} has choices of the job's space.")
    numbers = {n: _numbers(cells, n, empty=n in measured) for n in (*measured, *known)}
    for name, column in cells.columns.items():
        if name not in typed and name not in numbers and _is_numeric(column):
            numbers[name] = _numbers(cells, name, empty=True)
    rows = tuple({n: typed[n][i] for n in names} for i in kept)
    return Table(
        name=cells.name,
        digest=cells.digest,
        decisions=found,
        rows=rows,
        numbers={name: column[kept] for name, column in numbers.items()},
        places=_places(cells, rows, kept),
    )


def usually_a_metric(name: str) -> bool:
    """Whether a column's name says that it is a metric, whatever the job names."""
    usual = ("accuracy", "macs", "parameters", "activations", "memory_bytes")
    return name.removeprefix("val_").removeprefix("test_") in usual or name.endswith("_se")


def _from_csv(text: str, name: str) -> tuple[dict[str, list[Any]], list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [column.strip() for column in next(reader, [])]
        _check_header(header, name)
        rows, places = [], []
        for row in reader:
            if not row:
                continue
            place = f"{name}, line {reader.line_num}"
            if len(row) != len(header):
                raise InvalidRequestError(
                    f"{place}: it has {len(row)} cells, but there are {len(header)} columns."
                )
            rows.append(row)
            places.append(place)
    except csv.Error as error:
        raise InvalidRequestError(f"{name}, line {reader.line_num}: {error}.") from None
    columns = {column: [row[i].strip() for row in rows] for i, column in enumerate(header)}
    return columns, places


def _check_header(header: Sequence[str], name: str) -> None:
    if not header:
        raise InvalidRequestError(f"The table {name} is empty; its first line must name columns.")
    for i, column in enumerate(header):
        if not column or column in header[:i]:
            what = f"{column!r} twice" if column else "a column without a name"
            raise InvalidRequestError(f"The table {name} has {what}.")


def _from_json(text: str, name: str) -> tuple[dict[str, list[Any]], list[str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"The table {name} is not JSON: {error}.") from None
    if isinstance(document, dict) and all(isinstance(v, dict) for v in document.values()):
        document = [{"key": key, **row} for key, row in document.items()]
    if isinstance(document, list) and all(isinstance(row, dict) for row in document):
        names = list(dict.fromkeys(column for row in document for column in row))
        columns = {column: [row.get(column) for row in document] for column in names}
        return columns, [f"{name}, row {i + 1}" for i in range(len(document))]
    if isinstance(document, dict) and all(isinstance(v, list) for v in document.values()):
        lengths = {column: len(cells) for column, cells in document.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidRequestError(
                f"The columns of {name} must be equally long, but got {lengths!r:.200}."
            )
        count = next(iter(lengths.values()), 0)
        return document, [f"{name}, row {i + 1}" for i in range(count)]
    raise InvalidRequestError(
        f"The table {name} must be a list of mappings, or a mapping of column to list."
    )


def _rest(cells: Cells, metrics: Collection[str]) -> tuple[str, ...]:
    rest = tuple(n for n in cells.columns if n not in metrics and not usually_a_metric(n))
    for name in rest:
        different = len({str(cell) for cell in cells.columns[name]})
        if different > MAX_OPTIONS:
            raise InvalidRequestError(
                f"Column {name!r} of {cells.name} has {different:,} different values, too many to "
                f"be taken for a decision; name the decisions in `evaluator.decisions`."
            )
    if not rest:
        raise InvalidRequestError(f"No column of {cells.name} is left to be a decision.")
    return rest


def _typed(cells: Cells, name: str, column: Sequence[Any]) -> list[Option]:
    """A decision's cells: whole numbers if all are, else numbers if all are, else text."""
    for place, cell in zip(cells.places, column):
        if cell is None or cell == "" or not isinstance(cell, (str, int, float)):
            raise InvalidRequestError(
                f"{place}: decision {name!r} must be a number or a text, but got {cell!r:.60}."
            )
    texts = [cell for cell in column if isinstance(cell, str)]
    if all(_NUMBER.fullmatch(text) for text in set(texts)):
        kind = int if all(_WHOLE.fullmatch(text) for text in set(texts)) else float
        return [kind(cell) if isinstance(cell, str) else cell for cell in column]
    return list(column)


def _sorted(options: Iterable[Option]) -> tuple[Option, ...]:
    return tuple(sorted(set(options), key=lambda o: (isinstance(o, str), o)))


def _rows_within(
    decisions: Sequence[Decision], typed: Mapping[str, list[Option]], count: int
) -> list[int]:
    """Rows whose choices are all among the options; the options' own form is kept."""
    kept = range(count)
    for decision in decisions:
        form = {option: option for option in decision.options}
        form.update({str(option): option for option in decision.options})
        column = typed[decision.name]
        column[:] = [form.get(cell, form.get(str(cell), cell)) for cell in column]
        kept = [i for i in kept if column[i] in form]  # type: ignore[assignment]
    return list(kept)


def _numbers(cells: Cells, name: str, *, empty: bool) -> NDArray[np.float64]:
    values = []
    for place, cell in zip(cells.places, cells.columns[name]):
        value = _number(cell)
        if value is None or not (empty or math.isfinite(value)) or math.isinf(value):
            got = "an empty cell" if cell in ("", None) else f"{cell!r:.60}"
            raise InvalidRequestError(f"{place}: {name!r} must be a number, but got {got}.")
        values.append(value)
    return np.array(values)


def _is_numeric(column: Sequence[Any]) -> bool:
    found = [_number(cell) for cell in column]
    return all(value is not None and not math.isinf(value) for value in found)


def _number(cell: Any) -> float | None:
    if cell is None or cell == "":
        return math.nan
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def _places(
    cells: Cells, rows: Sequence[Choices], kept: Sequence[int]
) -> dict[tuple[Option, ...], int]:
    places: dict[tuple[Option, ...], int] = {}
    for place, (row, i) in enumerate(zip(rows, kept)):
        first = places.setdefault(tuple(row.values()), place)
        if first != place:
            choice = ", ".join(f"{name}={option}" for name, option in row.items())
            raise InvalidRequestError(
                f"{cells.places[i]}: the choice {choice:.120} is there twice, first in "
                f"{cells.places[kept[first]].rpartition(', ')[2]}."
            )
    return places


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
