"""Which network of a front becomes the baseline, B0's part in the EfficientNet paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.errors import InvalidRequestError
from nas.pareto import knee
from nas.quantity import parse_quantity
from nas.search.objectives import Reward
from search_spaces.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMember:
    """A network of the front with what the choice needs to know."""

    architecture: Architecture
    trial: int
    accuracy: float
    accuracy_se: float
    costs: Mapping[str, float]


Rule = Callable[[Sequence[FrontMember], Reward], FrontMember]


def _best_reward(front: Sequence[FrontMember], reward: Reward) -> FrontMember:
    return max(front, key=lambda m: reward.value(m.accuracy, m.costs[reward.metric]))


def _knee(front: Sequence[FrontMember], reward: Reward) -> FrontMember:
    points = np.array([[m.accuracy, np.log(m.costs[reward.metric])] for m in front])
    return front[knee(points, np.array([True, False]))]


RULES: Mapping[str, Rule] = {"best-reward": _best_reward, "knee": _knee}
"""Ways to choose by name; `nearest:400M` and a trial's number are understood beside them."""


FAMILY = "family"
"""The choice by a family of two; it needs training, see `nas.studies.ancestry`."""


def is_front_rule(how: str) -> bool:
    """Whether a choice is one of the front, rather than a network's name."""
    kind, colon, _ = how.partition(":")
    return how in (*RULES, FAMILY) or (colon == ":" and kind in ("nearest", "trial"))


def choose_baseline(front: Sequence[FrontMember], how: str, reward: Reward) -> FrontMember:
    """Choose a network of a front.

    Args:
        how: 'best-reward' (the paper's), 'knee', 'nearest:400M' (the member whose cost, the
            reward's metric, is nearest to that), or 'trial:12'.

    Raises:
        InvalidRequestError: If the front is empty, or `how` is none of these.
    """
    if not front:
        raise InvalidRequestError(
            "A baseline needs a front with at least one network, but it is empty. Run more trials."
        )
    check_rule(how)
    if how in RULES:
        return RULES[how](front, reward)
    kind, _, value = how.partition(":")
    if kind == "nearest":
        cost = parse_quantity(value)
        return min(front, key=lambda m: abs(m.costs[reward.metric] - cost))
    for member in front:
        if member.trial == int(value):
            return member
    there = ", ".join(str(m.trial) for m in front)
    raise InvalidRequestError(f"Trial {value} is not on the front; these are: {there}.")


def check_rule(how: str) -> None:
    """Refuse what names no way to choose, before anything is trained for it."""
    kind, _, value = how.partition(":")
    if how in (*RULES, FAMILY) or (kind == "trial" and value.isdecimal()):
        return
    if kind == "nearest" and value:
        parse_quantity(value)
        return
    raise InvalidRequestError(
        f"`baseline` must be {', '.join(RULES)}, {FAMILY}, 'nearest:400M', 'trial:12' or a "
        f"network's name, but got {how!r}."
    )
