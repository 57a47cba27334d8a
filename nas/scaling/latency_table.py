"""Latency of a network as the sum of its blocks', from a table that the user gives."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nas.errors import InvalidRequestError
from search_spaces.architecture import Architecture, Operator, PlacedBlock


class BlockKey(NamedTuple):
    """What a table tells blocks apart by: an MBConv at a place, as its columns are named.

    Args:
        hw_in: Pixels a side of the block's input.
        expand: Expanded over input channels; 1 for a block without expansion.
        k: Kernel size.
        se: 1 with squeeze-excitation, else 0.
    """

    hw_in: int
    cin: int
    cout: int
    expand: int
    stride: int
    k: int
    se: int

    def __str__(self) -> str:
        squeeze = "with" if self.se else "without"
        return (
            f"{self.cin} to {self.cout} channels at {self.hw_in} pixels, expansion "
            f"{self.expand}, kernel {self.k}, stride {self.stride}, {squeeze} squeeze-excitation"
        )


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """A latency model: what the blocks take, plus a fixed share for stem and head.

    Activations, groups and the width of squeeze-excitations are no columns of such tables; blocks
    are taken as measured. A network with a block that is not in the table is refused by name.

    Args:
        blocks_ms: Milliseconds of every block known.
        fixed_ms: What stem, head and the call itself take, for any network.
        name: How messages call the table.
    """

    blocks_ms: Mapping[BlockKey, float]
    fixed_ms: float = 0.0
    name: str = "the latency table"

    def __call__(self, architecture: Architecture) -> float:
        """Milliseconds of one forward pass.

        Raises:
            InvalidRequestError: If a block is not in the table.
        """
        total = self.fixed_ms
        for placed in architecture.walk():
            key = _key(placed)
            if key is None or key not in self.blocks_ms:
                kind = placed.block.operator.value
                what = f"{kind}, {key}" if key else f"a {kind} block of a kind it cannot hold"
                raise InvalidRequestError(
                    f"Block {placed.index + 1} of stage {placed.stage + 1} is not in {self.name}: "
                    f"{what}."
                )
            total += self.blocks_ms[key]
        return total


def read_latency_table(path: str | Path, column: str, *, fixed_ms: float = 0.0) -> LatencyTable:
    """Read a CSV file with the columns hw_in, cin, cout, expand, stride, k, se and a latency.

    Args:
        column: Name of the latency's column, in milliseconds.
        fixed_ms: See `LatencyTable`.

    Raises:
        InvalidRequestError: If the file, a column or a row is not as said; it names the line.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            needed = [*BlockKey._fields, column]
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidRequestError(
                    f"A latency table needs the columns {', '.join(needed)}, but {str(path)!r} "
                    f"lacks {', '.join(missing)}."
                )
            blocks = dict(_row(row, column, reader.line_num, path) for row in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequestError(
            f"A latency table must be a readable CSV file, but {str(path)!r} is not: {error}."
        ) from None
    if not blocks or not 0.0 <= fixed_ms < math.inf:
        raise InvalidRequestError(
            f"A latency table must hold at least one block and `fixed_ms` be 0 or more, "
            f"but {str(path)!r} holds {len(blocks)} and `fixed_ms` is {fixed_ms!r}."
        )
    return LatencyTable(blocks, fixed_ms, f"the latency table {Path(path).name!r}")


def _row(
    row: Mapping[str, str | None], column: str, line: int, path: str | Path
) -> tuple[BlockKey, float]:
    try:
        key = BlockKey(*(int(row[name] or "") for name in BlockKey._fields))
        latency_ms = float(row[column] or "")
    except (TypeError, ValueError):
        latency_ms = math.nan
    if not 0.0 < latency_ms < math.inf:
        raise InvalidRequestError(
            f"Line {line} of {str(path)!r} must hold whole numbers and a latency above 0 ms in "
            f"{column!r}, but holds {', '.join(str(value) for value in row.values())!r:.120}."
        )
    return key, latency_ms


def _key(placed: PlacedBlock) -> BlockKey | None:
    """The table's name for a block; None for one that is no MBConv of a whole expansion."""
    block = placed.block
    expanded = block.expanded_channels or placed.in_channels
    plain = block.operator in (Operator.MBCONV, Operator.SEPARABLE) and block.groups == 1
    if not plain or block.pointwise_activation or expanded % placed.in_channels:
        return None
    return BlockKey(
        hw_in=placed.in_size,
        cin=placed.in_channels,
        cout=block.out_channels,
        expand=expanded // placed.in_channels,
        stride=block.stride,
        k=block.kernel_size,
        se=int(block.squeeze_excitation is not None),
    )
