"""One network, or one trial without a network, as `nas show` prints it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nas.cli.output import print_json, print_table, quantity

if TYPE_CHECKING:
    from nas.store import Store, TrialRow
    from search_spaces.architecture import Architecture


def show_choices(store: Store, name: str, trial: TrialRow, as_json: bool) -> None:
    """A trial without a network: what was chosen, and what came of it."""
    evaluation = store.evaluation(trial.evaluation) if trial.evaluation else None
    if as_json:
        evaluations = [] if evaluation is None else [asdict(evaluation)]
        print_json({**asdict(trial), "evaluations": evaluations})
        return
    ended = f", {trial.state}" + (f" ({trial.reason})" if trial.reason else "")
    print_table(("decision", "choice"), trial.choices.items(), title=f"Trial {name}{ended}")
    if evaluation is not None:
        named = {"val_accuracy": evaluation.val_accuracy, "test_accuracy": evaluation.test_accuracy}
        numbers = {**{k: v for k, v in named.items() if v is not None}, **evaluation.metrics}
        rows = [(metric, f"{value:.6g}") for metric, value in numbers.items()]
        print_table(("metric", "value"), rows, title="")


def print_blocks(name: str, architecture: Architecture) -> None:
    """A network: stem, blocks stage by stage, head; and what each stage costs."""
    from nas.cost import count_stages

    costs = count_stages(architecture)
    rows: list[tuple[Any, ...]] = []
    stem, head = architecture.stem, architecture.head
    rows.append(
        (
            "stem",
            f"conv {stem.kernel_size}x{stem.kernel_size}",
            architecture.resolution,
            stem.channels,
            stem.stride,
            "",
            "",
            quantity(costs["stem"].macs),
        )
    )
    for placed in architecture.walk():
        block, se = placed.block, placed.block.squeeze_excitation
        stage = costs[f"stages.{placed.stage}"] if placed.index == 0 else None
        rows.append(
            (
                f"stage {placed.stage + 1}" if placed.index == 0 else "",
                f"{block.operator.value} {block.kernel_size}x{block.kernel_size}"
                + (
                    f" e{block.expanded_channels / placed.in_channels:g}"
                    if block.expanded_channels
                    else ""
                ),
                placed.in_size,
                block.out_channels,
                block.stride,
                "" if se is None else f"se {se.channels}",
                "" if block.skip.value == "none" else block.skip.value,
                "" if stage is None else quantity(stage.macs),
            )
        )
    rows.append(
        (
            "head",
            f"classes {architecture.num_classes}",
            "",
            head.channels or "",
            "",
            "",
            "",
            quantity(costs["head"].macs),
        )
    )
    print_table(
        ("", "block", "px", "channels", "stride", "squeeze", "skip", "MACs"),
        rows,
        title=f"{name}, fingerprint {architecture.fingerprint}",
    )
