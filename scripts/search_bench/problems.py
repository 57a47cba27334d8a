"""Problems with a known answer: tables of trained networks, and synthetic accuracies over spaces.

Synthetic accuracies are seeded: an effect of every option, interactions of pairs, and noise.
Their costs are real: exact MACs of the MnasNet and Once-for-all spaces, and of two plain MBConv
spaces that are written out here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.cost.spaces import count_choices
from nas.pareto import hypervolume, non_dominated_rank
from nas.search.samplers.rows import Codes, encode
from search_spaces.space import Choices, Decision
from search_spaces.spaces import get_space

Array = NDArray[np.float64]
Space = tuple[tuple[Decision, ...], Callable[[Codes], Array]]


@dataclass(frozen=True)
class Bench:
    """A problem with a known answer: option indices to exact cost and true accuracy."""

    name: str
    decisions: tuple[Decision, ...]
    cost: Callable[[Codes], Array]
    accuracy: Callable[[Codes], Array]
    reference: tuple[float, float]
    volume: float
    noise: float = 0.0

    def share(self, points: Sequence[tuple[float, float]]) -> float:
        """Of the true hypervolume, for points of accuracy and cost."""
        return hypervolume(points, self.reference, (True, False)) / self.volume


def problems(data: Path | None) -> dict[str, Callable[[], Bench]]:
    """Names to what makes them; the tables only where their folder is given."""
    found: dict[str, Callable[[], Bench]] = {}
    if data is not None:
        found["nas-bench-macro"] = lambda: nas_bench_macro(data)
        found["nas-bench-201"] = lambda: nas_bench_201(data)
    for space in SPACES:
        found[space] = lambda space=space: synthetic(space, False, 0)
        found[f"{space}-saturating"] = lambda space=space: synthetic(space, True, 0)
    return found


def table_bench(
    name: str,
    decisions: tuple[Decision, ...],
    rows: Sequence[Choices],
    values: Sequence[tuple[float, float]],
    reference: tuple[float, float],
) -> Bench:
    """A table with every row; values are (accuracy, cost)."""
    index = np.zeros([len(d.options) for d in decisions], dtype=int)
    index[tuple(encode(decisions, rows).T)] = np.arange(len(rows))
    table = np.array(values)

    def column(i: int) -> Callable[[Codes], Array]:
        return lambda codes: table[index[tuple(codes.T)], i]

    volume = hypervolume(table, reference, (True, False))
    return Bench(name, decisions, column(1), column(0), reference, volume)


def nas_bench_macro(data: Path) -> Bench:
    """Mean accuracy of three trainings against MFLOPs, all 3^8 networks."""
    table = json.loads((data / "nas_bench_macro" / "nas-bench-macro_cifar10.json").read_text())
    decisions = tuple(Decision(f"x{i}", (0, 1, 2)) for i in range(8))
    rows = [{d.name: int(c) for d, c in zip(decisions, key)} for key in table]
    values = [(row["mean_acc"], row["flops"] / 1e6) for row in table.values()]
    return table_bench("nas-bench-macro", decisions, rows, values, (80.0, 110.0))


def nas_bench_201(data: Path) -> Bench:
    """CIFAR-100 accuracy after 12 epochs against MMACs, all 5^6 cells."""
    with (data / "nasbench201" / "nb201_merged.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    operators = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    decisions = tuple(Decision(f"x{i}", operators) for i in range(6))

    def row(cell: str) -> Choices:
        chosen = [edge.split("~")[0] for edge in cell.replace("+", "").split("|") if edge]
        return {d.name: operator for d, operator in zip(decisions, chosen)}

    rows = [row(line["arch"]) for line in table]
    values = [(float(line["c100_test_12ep"]), float(line["macs"]) / 1e6) for line in table]
    return table_bench("nas-bench-201", decisions, rows, values, (20.0, 225.0))


def of_space(name: str) -> Space:
    """One of our spaces, and its exact MMACs."""
    space = get_space(name)
    return space.decisions, lambda codes: count_choices(space, codes).macs / 1e6


def per_block_space() -> Space:
    """45 decisions: five stages of a depth and four blocks, each with a kernel and an expansion
    (the space of Once-for-all, arXiv 1908.09791), and its MMACs at 224 pixels."""
    stages = ((16, 24, 56, 2), (24, 40, 28, 2), (40, 80, 14, 2), (80, 112, 14, 1), (112, 160, 7, 2))
    decisions: list[Decision] = []
    for s in range(len(stages)):
        decisions.append(Decision(f"stage{s}.depth", (2, 3, 4)))
        for b in range(4):
            decisions.append(Decision(f"stage{s}.{b}.kernel", (3, 5, 7)))
            decisions.append(Decision(f"stage{s}.{b}.expansion", (3, 4, 6)))

    def cost(codes: Codes) -> Array:
        total = np.full(len(codes), 15e6)
        chosen = iter(numbers(decisions, codes))
        for in_channels, channels, size, stride in stages:
            depth = next(chosen)
            for b in range(4):
                first = b == 0
                block = mbconv_macs(
                    in_channels if first else channels,
                    channels,
                    next(chosen),
                    next(chosen),
                    size,
                    stride if first else 1,
                )
                total += np.where(b < depth, block, 0.0)
        return total / 1e6

    return tuple(decisions), cost


def per_stage_space() -> Space:
    """28 decisions: seven stages as EfficientNet-B0's (arXiv 1905.11946, Table 1), each with an
    expansion, a kernel, a depth and a width factor; and its MMACs at 224 pixels."""
    stages = ((16, 112, 1), (24, 56, 2), (40, 28, 2), (80, 14, 2), (112, 14, 1), (192, 7, 2))
    stages = (*stages, (320, 7, 1))
    decisions: list[Decision] = []
    for s in range(len(stages)):
        decisions.append(Decision(f"stage{s}.expansion", (1, 3, 4, 6)))
        decisions.append(Decision(f"stage{s}.kernel", (3, 5, 7)))
        decisions.append(Decision(f"stage{s}.depth", (1, 2, 3, 4)))
        decisions.append(Decision(f"stage{s}.width", (0.75, 1.0, 1.25)))

    def cost(codes: Codes) -> Array:
        total, inputs = np.full(len(codes), 10e6), np.full(len(codes), 32.0)
        chosen = iter(numbers(decisions, codes))
        for channels, size, stride in stages:
            expansion, kernel, depth, width = (next(chosen) for _ in range(4))
            outputs = np.round(channels * width / 8) * 8
            for b in range(4):
                block = mbconv_macs(
                    inputs, outputs, kernel, expansion, size, stride if not b else 1
                )
                total += np.where(b < depth, block, 0.0)
                inputs = outputs
        return total / 1e6

    return tuple(decisions), cost


def numbers(decisions: Sequence[Decision], codes: Codes) -> Iterator[Array]:
    """The options chosen, decision by decision."""
    for decision, column in zip(decisions, codes.T):
        yield np.array([float(option) for option in decision.options])[column]


def mbconv_macs(
    in_channels: Any, out_channels: Any, kernel: Any, expansion: Any, size: int, stride: int
) -> Any:
    """Expansion (none at 1), depthwise and projection; `size` is the side after the stride."""
    inner = in_channels * expansion
    expand = np.where(expansion > 1, in_channels * inner * (size * stride) ** 2, 0.0)
    return expand + (kernel**2 * inner + inner * out_channels) * size**2


SPACES: dict[str, Callable[[], Space]] = {
    "mnasnet": lambda: of_space("mnasnet"),
    "once-for-all": lambda: of_space("once_for_all"),
    "mbconv-28": per_stage_space,
    "mbconv-45": per_block_space,
}


def synthetic(space: str, saturates: bool, seed: int) -> Bench:
    """Effects of every option, larger for larger options more often than not, and of pairs.

    With `saturates` the sum goes through a curve that flattens towards the top.
    """
    decisions, cost = SPACES[space]()
    rng = np.random.default_rng([seed, len(decisions), saturates])
    effects = [_effects(len(d.options), rng) for d in decisions]
    pairs = [_pair(decisions, rng) for _ in range(3 * len(decisions))]

    def parts(codes: Codes) -> tuple[Array, Array]:
        alone = np.sum([e[codes[:, j]] for j, e in enumerate(effects)], axis=0)
        together = np.sum([table[codes[:, a], codes[:, b]] for a, b, table in pairs], axis=0)
        return alone, together

    counts = [len(d.options) for d in decisions]
    some = (np.random.default_rng(0).random((4_000, len(counts))) * counts).astype(np.int16)
    alone, together = parts(some)
    center, alone_sd, together_sd = alone.mean(), alone.std(), together.std()

    def accuracy(codes: Codes) -> Array:
        alone, together = parts(codes)
        score = (alone - center) / alone_sd + 0.5 * together / together_sd
        return 78.0 - 2.7 * np.exp(-0.35 * (score + 1)) if saturates else 74.0 + score

    reference = (float(np.quantile(accuracy(some), 0.02)), float(cost(some).max()))
    name = f"{space}{'-saturating' if saturates else ''}"
    bench = Bench(name, decisions, cost, accuracy, reference, 1.0, noise=0.1)
    return replace(bench, volume=evolved_volume(bench))


def _effects(count: int, rng: np.random.Generator) -> Array:
    grows = np.linspace(0, 1, count) ** 0.6 * rng.choice([1.0, 1.0, 1.0, 1.0, 0.3, -0.3])
    return np.asarray(rng.gamma(1.0) * (grows + 0.25 * rng.normal(size=count)))


def _pair(decisions: Sequence[Decision], rng: np.random.Generator) -> tuple[int, int, Array]:
    a, b = rng.choice(len(decisions), 2, replace=False)
    table = rng.normal(size=(len(decisions[a].options), len(decisions[b].options)))
    return int(a), int(b), table - table.mean(0) - table.mean(1, keepdims=True)


def evolved_volume(bench: Bench, evaluations: int = 20_000, population: int = 100) -> float:
    """Hypervolume of a plain NSGA-II without noise."""
    rng = np.random.default_rng(0)
    counts = np.array([len(d.options) for d in bench.decisions])

    def random_codes(count: int) -> Codes:
        return (rng.random((count, len(counts))) * counts).astype(np.int16)

    def points_of(codes: Codes) -> Array:
        return np.stack([bench.accuracy(codes), bench.cost(codes)], axis=1)

    codes = random_codes(population)
    points = points_of(codes)
    seen = [points]
    for _ in range(evaluations // population - 1):
        parents = codes[rng.integers(population, size=(2, population))]
        children = np.where(rng.random(codes.shape) < 0.5, parents[0], parents[1])
        mutated = rng.random(codes.shape) < 1 / len(counts)
        children = np.where(mutated, random_codes(population), children)
        codes, points = (
            np.concatenate([codes, children]),
            np.concatenate([points, points_of(children)]),
        )
        seen.append(points[population:])
        codes, first = np.unique(codes, axis=0, return_index=True)
        points = points[first]
        rank = non_dominated_rank(points, (True, False))
        kept = np.lexsort((-crowding(points, rank), rank))[:population]
        codes, points = codes[kept], points[kept]
    return hypervolume(np.concatenate(seen), bench.reference, (True, False))


def crowding(points: Array, rank: NDArray[np.int64]) -> Array:
    """Distance to the neighbours of the same rank, in every objective (Deb et al. 2002)."""
    distance = np.zeros(len(points))
    for r in range(int(rank.max()) + 1):
        (members,) = np.nonzero(rank == r)
        for values in points[members].T:
            order = np.argsort(values)
            gaps = np.full(len(members), np.inf)
            gaps[order[1:-1]] = values[order[2:]] - values[order[:-2]]
            distance[members] += gaps / (np.ptp(values) or 1.0)
    return distance
