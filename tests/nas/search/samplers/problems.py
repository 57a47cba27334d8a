"""Small problems with a known answer, for every sampler's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nas.search.samplers.contract import (
    ObjectiveSpec,
    Problem,
    Sampler,
    TrialRecord,
    TrialState,
)
from search_spaces.space import Choices, Decision

DECISIONS = (
    *(Decision(f"kernel{i}", (3, 5, 7)) for i in range(4)),
    *(Decision(f"skip{i}", ("none", "identity")) for i in range(2)),
)
OBJECTIVES = (ObjectiveSpec("accuracy", True), ObjectiveSpec("macs", False, known=True))


def macs(choices: Sequence[Choices]) -> dict[str, np.ndarray]:
    return {"macs": np.array([sum(float(c[f"kernel{i}"]) ** 2 for i in range(4)) for c in choices])}


def accuracy(choices: Choices) -> float:
    """Grows with kernels, less and less; kernels 0 and 1 should agree."""
    gain = sum(1 - np.exp(-float(choices[f"kernel{i}"]) / (2 + i)) for i in range(4))
    same = 0.3 * (choices["kernel0"] == choices["kernel1"])
    return float(gain + same + 0.2 * (choices["skip0"] == "identity"))


def make_problem(**changes: object) -> Problem:
    return replace(Problem(decisions=DECISIONS, objectives=OBJECTIVES, known_costs=macs), **changes)


def completed(record: TrialRecord) -> TrialRecord:
    values = (accuracy(record.choices), float(macs([record.choices])["macs"][0]))
    return replace(record, state=TrialState.COMPLETED, values=values)


def run(sampler: Sampler, trials: int, batch: int = 1) -> list[TrialRecord]:
    """Ask and tell until that many trials are told."""
    told: list[TrialRecord] = []
    while len(told) < trials:
        for record in sampler.ask(min(batch, trials - len(told))):
            told.append(sampler.tell(completed(record)))
    return told
