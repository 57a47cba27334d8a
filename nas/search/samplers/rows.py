"""Choices as rows of option indices: what numpy works on, for every sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import InvalidRequestError
from nas.search.samplers.contract import Problem
from search_spaces.space import Choices, Decision, Option

Codes = NDArray[np.int16]
"""(n, decisions) option indices."""


def encode(decisions: Sequence[Decision], choices: Sequence[Choices]) -> Codes:
    """Choices to option indices."""
    columns = [{option: i for i, option in enumerate(d.options)} for d in decisions]
    names = [d.name for d in decisions]
    flat = [column[row[name]] for row in choices for name, column in zip(names, columns)]
    return np.array(flat, dtype=np.int16).reshape(len(choices), len(decisions))


def decode(decisions: Sequence[Decision], codes: Codes) -> list[dict[str, Option]]:
    """Option indices to choices.

    >>> decisions = (Decision("kernel", (3, 5)), Decision("skip", ("none", "identity")))
    >>> decode(decisions, encode(decisions, [{"skip": "identity", "kernel": 3}]))
    [{'kernel': 3, 'skip': 'identity'}]
    """
    return [{d.name: d.options[i] for d, i in zip(decisions, row)} for row in codes.tolist()]


def check_choices(problem: Problem, choices: Mapping[str, Any]) -> None:
    """Refuse answers that are missing, unknown or not among the options."""
    names = {d.name for d in problem.decisions}
    for name in choices:
        if name not in names:
            raise InvalidRequestError(f"There is no decision {name!r} in this search.")
    for decision in problem.decisions:
        if choices.get(decision.name) not in decision.options:
            raise InvalidRequestError(
                f"`{decision.name}` must be one of {', '.join(map(repr, decision.options))}, "
                f"but got {choices.get(decision.name)!r}."
            )


class RowIndex:
    """The rows of a finite space, to be found by their nearest neighbour."""

    def __init__(self, problem: Problem) -> None:
        self._decisions = problem.decisions
        self._codes = encode(problem.decisions, problem.rows or ())

    def nearest(self, choices: Choices, rng: np.random.Generator) -> dict[str, Option]:
        """The row with the fewest other answers; one of them by chance where several are."""
        code = encode(self._decisions, [choices])
        distance = (self._codes != code).sum(axis=1)
        nearest = np.flatnonzero(distance == distance.min())
        return decode(self._decisions, self._codes[[rng.choice(nearest)]])[0]
