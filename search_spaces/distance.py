"""How unlike two networks are, as one number: what `nearest` minimises.

Stages are paired in order, so that the sum is smallest. What counts:

| difference | distance |
| --- | --- |
| channels of stem, head, hidden layer, a pair of stages | log2 of the ratio; 1 where one has none |
| stem's kernel, stride, activation | 0.25 each |
| stride of a pair of stages | 1 |
| a block that only one of a pair of stages has | 1 |
| a stage without a partner | 1, and 1 a block |
| a pair of blocks | at most 1: see `block_distance` |

Resolution, classes, input channels, dropout, drop-connect, batch-norm's settings and padding
do not count: two networks at distance 0 have the same layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from search_spaces.architecture import Architecture, Block, Operator, Stage


def distance(one: Architecture, other: Architecture) -> float:
    """How unlike two networks are; 0.0 for the same layers, and the same both ways.

    >>> from search_spaces.published import get_published
    >>> b0, b1 = get_published("efficientnet_b0"), get_published("efficientnet_b1")
    >>> distance(b0, b0), distance(b0, b1)    # B1 has seven blocks more
    (0.0, 7.0)
    """
    total = channels_distance(one.stem.channels, other.stem.channels)
    for name in ("kernel_size", "stride", "activation"):
        total += 0.25 * (getattr(one.stem, name) != getattr(other.stem, name))
    total += channels_distance(one.head.channels, other.head.channels)
    total += channels_distance(one.head.hidden_channels, other.head.hidden_channels)
    entries = _entries(one), _entries(other)
    costs = [
        [_stage_distance(a, i, b, j) for b, j in zip(other.stages, entries[1])]
        for a, i in zip(one.stages, entries[0])
    ]
    stages, _ = align(
        [alone(len(stage.blocks)) for stage in one.stages],
        [alone(len(stage.blocks)) for stage in other.stages],
        lambda i, j: costs[i][j],
    )
    return total + stages


def channels_distance(one: int, other: int) -> float:
    """Log2 of the ratio; 1.0 where only one is left out (0)."""
    if one and other:
        return abs(math.log2(one / other))
    return float(one != other)


def alone(blocks: int) -> float:
    """What a stage without a partner costs."""
    return 1.0 + blocks


def block_distance(one: Block, one_channels: int, other: Block, other_channels: int) -> float:
    """How unlike two blocks are, from 0.0 to 1.0, after so many channels each.

    Operator 0.3; kernel and expansion up to 0.2 each; squeeze-excitation up to 0.1; skip 0.1;
    activation 0.05; groups and an activation after the pointwise layer 0.05.
    """
    expansions = (
        one.inner_channels(one_channels) / one_channels,
        other.inner_channels(other_channels) / other_channels,
    )
    if Operator.CONV in (one.operator, other.operator):
        expansions = (1.0, 1.0)  # a conv has no inner width; its operator says so already
    squeezed = [
        b.squeeze_excitation.channels / b.inner_channels(c) if b.squeeze_excitation else 0.0
        for b, c in ((one, one_channels), (other, other_channels))
    ]
    return (
        0.3 * (one.operator is not other.operator)
        + 0.2 * min(1.0, abs(one.kernel_size - other.kernel_size) / 4)
        + 0.2 * min(1.0, abs(math.log2(expansions[0] / expansions[1])) / 2)
        + 0.1 * _ratio_distance(*squeezed)
        + 0.1 * (one.skip is not other.skip)
        + 0.05 * (one.activation is not other.activation)
        + 0.05
        * ((one.groups, one.pointwise_activation) != (other.groups, other.pointwise_activation))
    )


def align(
    one: Sequence[float], other: Sequence[float], pair: Callable[[int, int], float]
) -> tuple[float, list[tuple[int, int]]]:
    """Pair two sequences in order at the smallest cost.

    Args:
        one, other: What each member costs that is left without a partner.
        pair: What the pair of the i-th of `one` and the j-th of `other` costs.

    Returns:
        The cost, and the pairs.
    """
    best: list[list[float]] = [[0.0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for j, cost in enumerate(other):
        best[0][j + 1] = best[0][j] + cost
    for i, cost in enumerate(one):
        best[i + 1][0] = best[i][0] + cost
        for j in range(len(other)):
            best[i + 1][j + 1] = min(
                best[i][j] + pair(i, j), best[i][j + 1] + cost, best[i + 1][j] + other[j]
            )
    pairs, i, j = [], len(one), len(other)
    while i and j:
        if best[i][j] == best[i - 1][j - 1] + pair(i - 1, j - 1):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i][j] == best[i - 1][j] + one[i - 1]:
            i -= 1
        else:
            j -= 1
    return best[-1][-1], pairs[::-1]


def _entries(architecture: Architecture) -> list[int]:
    """Channels before each stage."""
    stages = architecture.stages[:-1]
    return [architecture.stem.channels, *(stage.out_channels for stage in stages)]


def _stage_distance(one: Stage, one_channels: int, other: Stage, other_channels: int) -> float:
    total = channels_distance(one.out_channels, other.out_channels)
    total += one.blocks[0].stride != other.blocks[0].stride
    total += abs(len(one.blocks) - len(other.blocks))
    for a, b in zip(one.blocks, other.blocks):
        total += block_distance(a, one_channels, b, other_channels)
        one_channels, other_channels = a.out_channels, b.out_channels
    return total


def _ratio_distance(one: float, other: float) -> float:
    if one and other:
        return min(1.0, abs(math.log2(one / other)))
    return float(one != other)
