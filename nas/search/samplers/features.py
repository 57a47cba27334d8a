"""Choices and their costs as columns of numbers for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.search.samplers.rows import Codes
from search_spaces.space import Decision

Array = NDArray[np.float64]

OWN, SHARED, GROWTH, COST = 0, 1, 2, 3
"""Blocks of columns; each has a variance of its own for its linear effects."""

ORDER_SHARE = 0.5
"""How much of the distance between two numeric options is their distance in order."""


@dataclass(frozen=True)
class Layout:
    """The columns of the model's inputs, and whose they are.

    - own: one an option (chosen or not), and for numeric decisions of three or more options one
      a threshold (reached or not), so that squared distance grows with the steps between them;
    - shared: for decisions with the same options (the kernel sizes of all stages, say), how many
      of them chose each, so that what is learned in one stage is a guess for the others;
    - growth: how far up the numeric options are, summed over decisions, so that what larger
      options gain on the whole is learned at once, and each decision's own gain beside that;
    - cost: the costs that are known, on a log-like scale.

    Args:
        decision, option, threshold: Of each own column.
        counting: (own columns, shared and growth columns): own columns times this are those.
        distance, effect: What each column's distance weight and effect variance start from.
        owner: Which distance weight belongs to each column.
        block: OWN, SHARED, GROWTH or COST.
        usual_weight: The prior's middle of each distance weight.
    """

    decision: NDArray[np.intp]
    option: NDArray[np.int16]
    threshold: NDArray[np.bool_]
    counting: Array
    distance: Array
    effect: Array
    owner: NDArray[np.intp]
    block: NDArray[np.intp]
    usual_weight: Array
    blocks: int = 4

    @property
    def weights(self) -> int:
        return len(self.usual_weight)

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Columns whose effects share their distance weight."""
        return np.asarray(self.block == OWN)

    def inputs(self, codes: Codes, costs: Array) -> Array:
        """(n, decisions) option indices and (n, costs) scaled costs to (n, columns)."""
        chosen = codes[:, self.decision]
        own = np.where(self.threshold, chosen >= self.option, chosen == self.option).astype(float)
        return np.concatenate([own, own @ self.counting, costs], axis=1)


def make_layout(decisions: Sequence[Decision], costs: int) -> Layout:
    """Lay out the columns for decisions and that many known costs."""
    own = [column for j, decision in enumerate(decisions) for column in _own(j, decision)]
    families = _families(decisions)
    shared = [(f, i) for f, members in enumerate(families) for i in _options(decisions, members)]
    counting = np.zeros((len(own), len(shared)))
    for column, (f, i) in enumerate(shared):
        for row, (j, option, threshold, _) in enumerate(own):
            if j in families[f] and option == i and not threshold:
                counting[row, column] = len(families[f]) ** -0.5
    count = len(decisions)
    growth = _growth(decisions, own)
    counting = np.concatenate([counting, growth], axis=1)
    sums = growth.shape[1]  # none or one
    distance = np.array([share for *_, share in own] + [0.5] * (len(shared) + sums + costs))
    return Layout(
        decision=np.array([j for j, *_ in own]),
        option=np.array([option for _, option, *_ in own], dtype=np.int16),
        threshold=np.array([threshold for _, _, threshold, _ in own]),
        counting=counting,
        distance=distance,
        effect=np.where(np.arange(len(distance)) < len(own), 2 * distance, 1.0),
        owner=np.array(
            [j for j, *_ in own]
            + [count + f for f, _ in shared]
            + [count + len(families)] * sums
            + [count + len(families) + sums + c for c in range(costs)]
        ),
        block=np.array(
            [OWN] * len(own) + [SHARED] * len(shared) + [GROWTH] * sums + [COST] * costs
        ),
        usual_weight=np.array(
            [1 / count] * count + [0.03] * (len(families) + sums) + [0.3] * costs
        ),
    )


def _own(j: int, decision: Decision) -> list[tuple[int, int, bool, float]]:
    """Decision, option, whether it is a threshold, and weight of a decision's columns."""
    count = len(decision.options)
    numeric = count > 2 and _is_ordered(decision)
    share = ORDER_SHARE if numeric else 0.0
    columns = [(j, i, False, 0.5 * (1 - share)) for i in range(count)]
    return columns + [(j, i, True, share / (count - 1)) for i in range(1, count) if numeric]


def _growth(decisions: Sequence[Decision], own: Sequence[tuple[int, int, bool, float]]) -> Array:
    """(own columns, 1 or 0): what sums up how far up each numeric decision's options are."""
    numeric = [_is_ordered(decision) for decision in decisions]
    if sum(numeric) < 2:
        return np.zeros((len(own), 0))
    column = np.zeros((len(own), 1))
    for row, (j, option, threshold, _) in enumerate(own):
        if numeric[j] and not threshold:
            options = decisions[j].options
            rank = sorted(options).index(options[option])
            column[row] = rank / max(1, len(options) - 1) / sum(numeric) ** 0.5
    return column


def _is_ordered(decision: Decision) -> bool:
    """Whether its options are numbers, of which some are larger."""
    return not any(isinstance(option, str) for option in decision.options)


def _families(decisions: Sequence[Decision]) -> list[list[int]]:
    """Decisions with the same options, where there are several."""
    by_options: dict[tuple[object, ...], list[int]] = {}
    for j, decision in enumerate(decisions):
        by_options.setdefault(decision.options, []).append(j)
    return [members for members in by_options.values() if len(members) > 1]


def _options(decisions: Sequence[Decision], members: list[int]) -> range:
    return range(len(decisions[members[0]].options))
