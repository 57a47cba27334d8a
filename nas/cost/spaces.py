"""Exact costs of many of a space's networks at once, from their choices, without decoding them.

A row of a matrix holds one network's choices: for every decision, in the space's order, the
index of the option. What a block costs depends on few of them, so each block that occurs is
counted once (by the same function as in `count`), and the rows look their blocks up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nas.cost.costs import (
    BYTES,
    COST_METRICS,
    CostTable,
    Part,
    _block_part,
    _head_part,
    _stem_part,
    count_many,
)
from search_spaces.architecture import settle, strided
from search_spaces.channels import ROUNDING
from search_spaces.decoding import (
    Choices,
    Question,
    StageQuestions,
    build_block,
    build_head,
    build_stem,
)
from search_spaces.errors import InvalidSpaceError
from search_spaces.space import Option, SearchSpace

Indices = NDArray[np.int64]

FEW = 32
"""Below so many choices, decoding each is faster."""

_NOTHING = Part(0, 0, 0, 0, 0)

Known = dict[tuple[int, ...], Part]
"""A stage's blocks that were counted: slot, answers, channels in and out, and size to part."""

MOST_KNOWN = 100_000
"""Blocks a stage that are remembered; a search prices the same ones in every suggestion."""


@lru_cache(maxsize=16)
def _known_parts(space: SearchSpace) -> list[Known]:
    return [{} for _ in space.stage_questions]


def count_choices(space: SearchSpace, matrix: NDArray[np.integer]) -> CostTable:
    """Count the exact costs of many networks; equal to decoding and counting each.

    Args:
        matrix: Option indices, shape (n, decisions); inactive ones are not read.

    Raises:
        InvalidSpaceError: If the matrix has another shape, or an index no option.

    >>> from search_spaces.spaces import get_space
    >>> space = get_space("mobilenet_v1")
    >>> count_choices(space, np.array([[3, 3], [0, 0]])).macs    # 1.0 at 224, 0.25 at 128
    array([568740352,  13570048])
    """
    columns = _Columns(space, _checked(space, matrix))
    resolutions = [int(option) for option in space.questions[0].options]
    resolution, width, stem, head, hidden = (columns.of(q) for q in space.questions)
    widths = [float(option) for option in space.questions[1].options]
    stems = [[build_stem(space, int(c), w) for w in widths] for c in space.questions[2].options]
    total = _Total(columns.rows)
    total.add(
        _looked_up(
            lambda r, c, w: _stem_part(stems[c][w], space.input_channels, resolutions[r]),
            (resolution, len(resolutions)),
            (stem, len(stems)),
            (width, len(widths)),
        )
    )
    channels = _Channels.of(
        [part.channels for row in stems for part in row], stem * len(widths) + width
    )
    sizes = [strided(size, space.stem_stride) for size in resolutions]
    known = _known_parts(space)
    for number, questions in enumerate(space.stage_questions):
        channels = _add_stage(
            space, questions, columns, total, (resolution, sizes), width, channels, known[number]
        )
        sizes = [strided(size, questions.stage.stride) for size in sizes]
    heads, inner = (space.questions[i].options for i in (3, 4))
    total.add(
        _looked_up(
            lambda h, i, w, c, r: _head_part(
                build_head(space, int(heads[h]), int(inner[i]), widths[w], channels.values[c]),
                space.num_classes,
                channels.values[c],
                sizes[r],
            ),
            (head, len(heads)),
            (hidden, len(inner)),
            (width, len(widths)),
            (channels.index, len(channels.values)),
            (resolution, len(resolutions)),
        )
    )
    return total.table()


def known_costs(
    space: SearchSpace, choices: Sequence[Choices]
) -> Mapping[str, NDArray[np.float64]]:
    """The exact costs of many choices by metric, as a sampler's `Problem.known_costs` wants them.

    >>> from search_spaces.spaces import get_space
    >>> space = get_space("mobilenet_v1")
    >>> known_costs(space, [{"resolution": 224, "width_multiplier": 0.75}])["parameters"]
    array([2585560.])
    """
    if len(choices) < FEW:
        table = count_many(space.decode(one) for one in choices)
    else:
        table = count_choices(space, choices_matrix(space, choices))
    return {name: getattr(table, name).astype(np.float64) for name in COST_METRICS}


def choices_matrix(space: SearchSpace, choices: Sequence[Choices]) -> Indices:
    """Choices as rows of option indices; an answer that is missing, as inactive ones may, is 0.

    Raises:
        InvalidSpaceError: If an answer is not among its decision's options.
    """
    columns = []
    for decision in space.decisions:
        index = {option: i for i, option in enumerate(decision.options)}
        try:
            columns.append([index[c[decision.name]] if decision.name in c else 0 for c in choices])
        except (KeyError, TypeError):
            for one in choices:
                Question(decision.name, decision.options).answer({decision.name: 0, **one})
            raise
    return np.array(columns, dtype=np.int64).reshape(len(space.decisions), len(choices)).T


def matrix_choices(space: SearchSpace, matrix: NDArray[np.integer]) -> list[dict[str, Option]]:
    """Rows of option indices as choices."""
    rows = _checked(space, matrix).tolist()
    return [{d.name: d.options[i] for d, i in zip(space.decisions, row)} for row in rows]


def sample_matrix(space: SearchSpace, rng: np.random.Generator, count: int) -> Indices:
    """That many uniform choices at once, shape (count, decisions)."""
    options = np.array([len(d.options) for d in space.decisions], dtype=np.int64)
    return rng.integers(0, options, size=(count, len(options)))


def _checked(space: SearchSpace, matrix: NDArray[np.integer]) -> Indices:
    matrix = np.asarray(matrix)
    wanted = len(space.decisions)
    if matrix.ndim != 2 or matrix.shape[1] != wanted or matrix.dtype.kind not in "iu":
        raise InvalidSpaceError(
            f"`matrix` must hold whole numbers in {wanted} columns, one a decision of "
            f"{space.name!r}, but got {matrix.dtype} of shape {matrix.shape}."
        )
    options = np.array([len(d.options) for d in space.decisions], dtype=np.int64)
    wrong = (matrix < 0) | (matrix >= options)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InvalidSpaceError(
            f"`matrix` must hold 0 to {options[column] - 1} for decision "
            f"{space.decisions[column].name!r}, but got {matrix[row, column]} in row {row}."
        )
    return matrix.astype(np.int64, copy=False)


class _Columns:
    """A matrix by the questions that its columns answer."""

    def __init__(self, space: SearchSpace, matrix: Indices) -> None:
        by_column = np.ascontiguousarray(matrix.T)
        self.rows = len(matrix)
        self._columns: dict[str, Indices] = {
            d.name: by_column[i] for i, d in enumerate(space.decisions)
        }
        self._zeros = np.zeros(self.rows, dtype=np.int64)

    def of(self, question: Question) -> Indices:
        """Option indices, shape (n,); zeros for a question with one option."""
        return self._columns.get(question.name, self._zeros)


class _Channels:
    """The channels of every row: `values[index]`, with few values."""

    def __init__(self, values: list[int], index: Indices) -> None:
        self.values, self.index = values, index

    @classmethod
    def of(cls, table: Sequence[int], code: Indices) -> _Channels:
        """Channels looked up by code, equal values made one."""
        values, index = np.unique(np.array(table, dtype=np.int64), return_inverse=True)
        return cls(values.tolist(), index[code])


class _Total:
    """Running sums of parts, shape (n, 5), and their largest peak."""

    def __init__(self, rows: int) -> None:
        self.sums = np.zeros((rows, len(Part._fields)), dtype=np.int64)
        self.peak = np.zeros(rows, dtype=np.int64)

    def add(self, parts: Indices, times: Indices | None = None) -> None:
        self.sums += parts if times is None else parts * times[:, None]
        peak = parts[:, 4] if times is None else np.where(times > 0, parts[:, 4], 0)
        np.maximum(self.peak, peak, out=self.peak)

    def table(self) -> CostTable:
        macs, parameters, activations, statistics, _ = self.sums.T
        memory = BYTES * (self.peak + parameters + statistics)
        return CostTable(macs.copy(), parameters.copy(), activations.copy(), memory)


def _add_stage(
    space: SearchSpace,
    questions: StageQuestions,
    columns: _Columns,
    total: _Total,
    placed: tuple[Indices, list[int]],
    width: Indices,
    channels: _Channels,
    known: Known,
) -> _Channels:
    """Add the stage's blocks to the total; returns its output channels."""
    resolution, sizes = placed
    out = _out_channels(space, questions, columns, width)
    repeats, change = (columns.of(q) for q in questions.shape[2:])
    depths = np.array(list(questions.stage.depths()), dtype=np.int64)
    depth = depths[repeats * len(questions.shape[3].options) + change]

    def parts(slot: int, entry: _Channels, sizes: list[int]) -> Indices:
        stage, asked = questions.stage, questions.slot(slot)
        options = [q.options or (None,) for q in asked]
        stride = stage.stride if slot == 1 else 1

        def part(*key: int) -> Part:
            *picks, i, o, r = key
            reads, puts, size = entry.values[i], out.values[o], sizes[r]
            asked_for = (slot, *picks, reads, puts, size)
            if asked_for in known:
                return known[asked_for]
            answers = [of[pick] for of, pick in zip(options, picks)]
            block = build_block(stage, answers, reads, puts, stride, space.squeeze)
            settled = settle(block, reads)
            found = _NOTHING if settled is None else _block_part(settled, reads, size)
            if len(known) < MOST_KNOWN:
                known[asked_for] = found
            return found

        return _looked_up(
            part,
            *((columns.of(q), len(of)) for q, of in zip(asked, options)),
            (entry.index, len(entry.values)),
            (out.index, len(out.values)),
            (resolution, len(sizes)),
        )

    total.add(parts(1, channels, sizes))
    sizes = [strided(size, questions.stage.stride) for size in sizes]
    most = questions.stage.most_blocks
    if questions.stage.per_block:
        for slot in range(2, most + 1):
            total.add(parts(slot, out, sizes), times=(depth >= slot).astype(np.int64))
    elif most > 1:
        total.add(parts(2, out, sizes), times=depth - 1)
    return out


def _out_channels(
    space: SearchSpace, questions: StageQuestions, columns: _Columns, width: Indices
) -> _Channels:
    scale, widths = ROUNDING[space.rounding], space.questions[1].options
    base, factor = questions.shape[:2]
    table = [
        scale(int(b), float(f) * float(w))
        for b in base.options
        for f in factor.options
        for w in widths
    ]
    code = columns.of(base) * len(factor.options) + columns.of(factor)
    return _Channels.of(table, code * len(widths) + width)


def _looked_up(part: Callable[..., Part], *keys: tuple[Indices, int]) -> Indices:
    """The parts of every row, shape (n, 5), each different key counted once.

    Args:
        keys: Index and number of values, of all that a part depends on.
    """
    shape = tuple(size for _, size in keys)
    code = np.zeros_like(keys[0][0])
    for index, size in keys:
        if size > 1:
            code = code * size + index
    found, place = np.unique(code, return_inverse=True)
    unravelled = np.unravel_index(found, shape)
    parts = [part(*key) for key in zip(*(axis.tolist() for axis in unravelled))]
    table = np.array(parts, dtype=np.int64).reshape(len(parts), len(Part._fields))
    return table[place]
