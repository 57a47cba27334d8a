"""What the runs of a bench say: a table of medians and quartiles, a JSON, and a plot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

MARKS = (25, 50, 100, 200, 400)


@dataclass(frozen=True)
class Runs:
    """One sampler on one problem.

    Args:
        shares: A run each: shares of the true hypervolume at the marks that it reached.
        seconds: That the sampler took for its suggestions, a run each.
    """

    problem: str
    sampler: str
    shares: tuple[tuple[float, ...], ...]
    seconds: tuple[float, ...]

    def quartiles(self) -> list[tuple[float, float, float]]:
        """Lower quartile, median and upper quartile at every mark."""
        columns = np.quantile(np.array(self.shares), (0.25, 0.5, 0.75), axis=0).T.tolist()
        return [(low, middle, high) for low, middle, high in columns]


def print_table(problem: str, runs: Sequence[Runs], marks: Sequence[int]) -> None:
    """Medians, quartiles beneath, and the best peer's median at each mark."""
    table = Table(title=f"{problem}: share of the true hypervolume, median and quartiles")
    table.add_column("sampler", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    for mark in marks:
        table.add_column(str(mark), justify="right", no_wrap=True)
    table.add_column("s / run", justify="right", no_wrap=True)
    for run in runs:
        cells = [f"{short(m)} [dim]{short(a)}-{short(b)}[/dim]" for a, m, b in run.quartiles()]
        cells += ["" for _ in range(len(marks) - len(cells))]
        table.add_row(run.sampler, str(len(run.shares)), *cells, f"{np.median(run.seconds):.1f}")
    Console(width=150).print(table)


def short(share: float) -> str:
    """Three decimals without the zero.

    >>> short(0.98765)
    '.988'
    """
    return f"{share:.3f}".removeprefix("0")


def lead(runs: Sequence[Runs], ours: str, marks: Sequence[int]) -> list[str]:
    """What ours has with N evaluations beside what the best peer has with 2 N, in sentences."""
    mine = next((r.quartiles() for r in runs if r.sampler == ours), None)
    peers = {r.sampler: r.quartiles() for r in runs if r.sampler != ours}
    if mine is None or not peers:
        return []
    lines = []
    for i in range(min(len(marks) - 1, len(mine))):
        there = {name: rows[i + 1][1] for name, rows in peers.items() if len(rows) > i + 1}
        if there:
            best = max(there, key=there.__getitem__)
            lines.append(
                f"{ours} with {marks[i]}: {mine[i][1]:.3f}; "
                f"best peer with {marks[i + 1]}: {there[best]:.3f} ({best})"
            )
    return lines


def write_json(
    path: Path, runs: Sequence[Runs], marks: Sequence[int], left_out: Mapping[str, str]
) -> None:
    """All that was measured, run by run."""
    document: dict[str, Any] = {
        "marks": list(marks),
        "left_out": dict(left_out),
        "runs": [
            {
                "problem": run.problem,
                "sampler": run.sampler,
                "shares": [list(shares) for shares in run.shares],
                "seconds": list(run.seconds),
                "quartiles": run.quartiles(),
            }
            for run in runs
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_plot(path: Path, runs: Sequence[Runs], marks: Sequence[int]) -> None:
    """A panel a problem: what is missing to the true hypervolume, over evaluations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    problems = list(dict.fromkeys(run.problem for run in runs))
    samplers = list(dict.fromkeys(run.sampler for run in runs))
    columns = min(2, len(problems))
    rows = math.ceil(len(problems) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(5.5 * columns, 4 * rows), squeeze=False, layout="constrained"
    )
    for panel, problem in zip(axes.flat, problems):
        for run in runs:
            if run.problem != problem:
                continue
            low, middle, high = 1 - np.array(run.quartiles()).T
            at, color = marks[: len(middle)], f"C{samplers.index(run.sampler) % 10}"
            width = 2.5 if run.sampler == "known_cost" else 1.2
            panel.plot(at, middle, marker="o", ms=3, lw=width, color=color, label=run.sampler)
            panel.fill_between(at, low, high, color=color, alpha=0.12, lw=0)
        panel.set(title=problem, xscale="log", yscale="log", xlabel="evaluations")
        panel.set_ylabel("missing share of the hypervolume")
        panel.set_xticks(marks, [str(mark) for mark in marks], minor=False)
        panel.minorticks_off()
    for panel in axes.flat[len(problems) :]:
        panel.set_visible(False)
    axes.flat[0].legend(fontsize=7)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
