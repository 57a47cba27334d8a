"""The shapes near a shape: small steps of channels, blocks and pixels, and their combinations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.scaling.rules.contract import Rule
from nas.scaling.transform import Rounding, Shape
from search_spaces.architecture import Architecture

CHANNEL_STEP = 8
_STAGE_STEPS = (-2, -1, 1, 2)
_HEAD_STEPS = (-16, -8, -4, -2, -1, 1, 2, 4, 8, 16)
_PIXEL_STEPS = tuple(s for s in range(-6, 7) if s)
_MOST_FOR_TRIPLES = 90
_NEAR, _CLOSE = 24, 40


@dataclass(frozen=True, slots=True)
class Move:
    """One small change of a shape.

    Args:
        place: What it changes; two moves at one place exclude each other.
        to: The place's new value: repeats, channels (added to every block of a stage), pixels.
        distance: How much of the MACs it shifts, about.
    """

    place: tuple[str, int]
    to: int
    distance: float

    def apply(self, shape: Shape) -> Shape:
        kind, i = self.place
        if kind == "stem":
            return replace(shape, stem=self.to)
        if kind == "resolution":
            return replace(shape, resolution=self.to)
        if kind == "head":
            first, second = shape.head
            return replace(shape, head=(self.to, second) if i == 0 else (first, self.to))
        if kind == "repeats":
            return replace(shape, repeats=(*shape.repeats[:i], self.to, *shape.repeats[i + 1 :]))
        added = self.to - shape.channels[i][-1]
        widths = tuple(max(1, c + added) for c in shape.channels[i])
        return replace(shape, channels=(*shape.channels[:i], widths, *shape.channels[i + 1 :]))


def free_dimensions(rule: Rule) -> frozenset[str]:
    """The dimensions that a rule scales: only these may be adjusted."""
    ends = [rule.coefficients(phi) for phi in (-3.0, 3.0)]
    names = ("depth", "width", "resolution")
    return frozenset(n for n in names if any(getattr(c, n) != 1.0 for c in ends))


def moves(baseline: Architecture, rule: Rule, shape: Shape) -> list[Move]:
    """The single moves around a shape, of what its rule scales; those of resolution last."""
    free, rounding, stages = free_dimensions(rule), rule.rounding, len(shape.repeats)
    found: list[Move] = []
    if "depth" in free:
        steps = (-2, -1, 1, 2) if free == {"depth"} else (-1, 1)
        found += _repeat_moves(shape, rounding, steps)
    if "width" in free:
        for i, widths in enumerate(shape.channels):
            found += _channel_moves(("channels", i), widths[-1], 2.0 / stages, _STAGE_STEPS)
        if rounding.stem:
            found += _channel_moves(("stem", 0), shape.stem, 2.0 / stages, (-1, 1))
        found += _head_moves(baseline, shape, rounding)
    if "resolution" in free:
        found += _pixel_moves(baseline, shape, rounding)
    return found


def inside(box: list[Move], singles: list[Move]) -> list[Move]:
    """The moves that lead no farther than those of the box do."""
    reach: dict[tuple[str, int], list[int]] = {}
    for move in box:
        reach.setdefault(move.place, []).append(move.to)
    return [
        m
        for m in singles
        if m.place in reach and min(reach[m.place]) <= m.to <= max(reach[m.place])
    ]


def steps_between(shape: Shape, other: Shape) -> list[Move]:
    """The moves that lead from one shape to another, one for each place where they differ."""
    places = [(("stem", 0), shape.stem, other.stem)]
    for i, (old, new) in enumerate(zip(shape.channels, other.channels)):
        places.append((("channels", i), old[-1], new[-1]))
    for i, (was, now) in enumerate(zip(shape.repeats, other.repeats)):
        places.append((("repeats", i), was, now))
    for i, (was, now) in enumerate(zip(shape.head, other.head)):
        places.append((("head", i), was, now))
    places.append((("resolution", 0), shape.resolution, other.resolution))
    return [Move(place, now, 0.0) for place, was, now in places if was != now]


def propose(
    singles: list[Move],
    changes: NDArray[np.float64],
    start: NDArray[np.float64],
    tolerance: float,
) -> Iterator[tuple[Move, ...]]:
    """Sets of moves worth counting exactly, the most promising first.

    Up to three moves at different places and another resolution, as if the logarithms of their
    effects added up. First those that are expected within `tolerance` under the targets, by
    distance; then the others, by how near they are expected to come from below.

    Args:
        singles: The moves, and in `changes`, of shape (moves, targets), what each adds to the
            logarithm of each load (a cost over its limit).
        start: The logarithms of the loads before, of shape (targets,).
    """
    structural = [i for i, move in enumerate(singles) if move.place[0] != "resolution"]
    pixels = [i for i, move in enumerate(singles) if move.place[0] == "resolution"]
    sets = _sets([singles[i].place for i in structural])
    chosen = np.array([*structural, -1])[sets]  # (sets, 3) into singles; -1 is no move
    scales = np.array([*pixels, -1])
    padded = np.vstack([changes, np.zeros((1, changes.shape[1]))])
    distance = np.array([*(move.distance for move in singles), 0.0])
    effects = padded[chosen].sum(axis=1)[:, None, :] + padded[scales][None, :, :]
    gap = -np.max(start + effects, axis=2)  # (sets, resolutions), about 1 - load
    far = distance[chosen].sum(axis=1)[:, None] + distance[scales][None, :]
    within = np.flatnonzero((gap >= 0.0) & (gap <= tolerance))
    first = within[np.argsort(far.flat[within], kind="stable")][:_NEAR]
    off = np.where(gap >= 0.0, gap, -4.0 * gap).ravel()  # those above are hardly worth a count
    off[first] = math.inf
    second = np.argsort(off, kind="stable")[:_CLOSE]
    for flat in (*first, *second):
        row, column = divmod(int(flat), len(scales))
        yield tuple(singles[i] for i in (*chosen[row], scales[column]) if i >= 0)


def _sets(places: list[tuple[str, int]]) -> NDArray[np.intp]:
    """Sets of none to three members at different places, of shape (sets, 3); padded with the
    index after the last."""
    count = len(places)
    place = np.array([sorted(set(places)).index(p) for p in places], dtype=np.intp)
    found = [np.full((1, 3), count, dtype=np.intp)]
    for size in (1, 2, 3) if count <= _MOST_FOR_TRIPLES else (1, 2):
        index = np.array(list(itertools.combinations(range(count), size)), dtype=np.intp)
        index = index.reshape(-1, size)
        clash = np.zeros(len(index), dtype=bool)
        for a, b in itertools.combinations(range(size), 2):
            clash |= place[index[:, a]] == place[index[:, b]]
        index = index[~clash]
        found.append(np.pad(index, ((0, 0), (0, 3 - size)), constant_values=count))
    return np.concatenate(found)


def _repeat_moves(shape: Shape, rounding: Rounding, steps: tuple[int, ...]) -> Iterator[Move]:
    last = len(shape.repeats) - 1
    for i, blocks in enumerate(shape.repeats):
        if not rounding.end_repeats and i in (0, last):
            continue
        for to in (blocks + step for step in steps):
            if to >= 1:
                yield Move(("repeats", i), to, abs(math.log(to / blocks)) / (last + 1))


def _channel_moves(
    place: tuple[str, int], channels: int, weight: float, steps: tuple[int, ...]
) -> Iterator[Move]:
    for step in steps:
        to = channels + step * CHANNEL_STEP
        if to >= CHANNEL_STEP:
            yield Move(place, to, abs(math.log(to / channels)) * weight)


def _head_moves(baseline: Architecture, shape: Shape, rounding: Rounding) -> Iterator[Move]:
    last = 1 if shape.head[1] else 0  # the layer before the classifier
    channels = shape.head[last]
    smallest = (baseline.head.channels, baseline.head.hidden_channels)[last]
    if not channels or rounding.head == "no":
        return
    for move in _channel_moves(("head", last), channels, 1.0 / len(shape.repeats), _HEAD_STEPS):
        if rounding.head == "yes" or move.to >= smallest:
            yield move


def _pixel_moves(baseline: Architecture, shape: Shape, rounding: Rounding) -> Iterator[Move]:
    highest = max(baseline.resolution, rounding.max_resolution or 10**9)
    for step in _PIXEL_STEPS:
        to = shape.resolution + step * rounding.resolution_step
        if 1 <= to <= highest:
            distance = 2.0 * abs(math.log(to / shape.resolution))
            yield Move(("resolution", 0), to, distance)
