"""Bare decisions: what is searched where choices mean no network, as names and options."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import InvalidRequestError
from nas.quantity import Bound
from search_spaces.space import Choices, Decision, Option

CostFunction = Callable[[list[dict[str, Option]]], Any]
"""Many choices to one number each."""

ManyCosts = Callable[[Sequence[Choices]], Mapping[str, NDArray[np.float64]]]
"""Many choices to arrays by metric, as a `Problem` has it."""


def read_decisions(space: Mapping[str, Iterable[Any]]) -> tuple[Decision, ...]:
    """Read a mapping of name to options, or say which is wrong.

    >>> read_decisions({"kernel": [3, 5]})
    (Decision(name='kernel', options=(3, 5), active_when=None),)
    """
    if not isinstance(space, Mapping) or not space:
        raise InvalidRequestError(
            f"A space must map one or more names to their options, but got {space!r:.80}."
        )
    return tuple(Decision(_name(name), _options(name, space[name])) for name in space)


def choices_digest(choices: Choices) -> str:
    """32 hexadecimal digits, the same for equal choices in every run."""
    text = json.dumps(dict(choices), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def known_costs(
    functions: Mapping[str, CostFunction],
) -> Callable[[Sequence[Choices]], dict[str, NDArray[np.float64]]]:
    """Join functions of many choices, one a metric, to what a `Problem` wants; what they give
    is checked."""

    def costs(choices: Sequence[Choices]) -> dict[str, NDArray[np.float64]]:
        rows = [dict(one) for one in choices]
        return {name: _numbers(name, f(rows), len(rows)) for name, f in functions.items()}

    return costs


def violation_of(
    bounds: Sequence[Bound], costs: ManyCosts
) -> Callable[[Sequence[Choices]], NDArray[np.float64]]:
    """Many choices to how far each is beyond the bounds on known costs, as a `Problem` has it."""

    def violation(choices: Sequence[Choices]) -> NDArray[np.float64]:
        found, total = costs(choices), np.zeros(len(choices))
        for bound in bounds:
            total += [bound.violation(value) for value in found[bound.metric]]
        return total

    return violation


def _numbers(name: str, given: Any, count: int) -> NDArray[np.float64]:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0))
    if array.shape != (count,):
        raise InvalidRequestError(
            f"`known_costs[{name!r}]` must give one number a choice, {count} here, "
            f"but gave {given!r:.80}."
        )
    return array


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(f"A decision's name must be a text, but got {name!r:.80}.")
    return name


def _options(name: str, options: Any) -> tuple[Option, ...]:
    if isinstance(options, (str, bytes, Mapping)) or not isinstance(options, Iterable):
        raise InvalidRequestError(
            f"The options of {name!r} must be a list, but got {options!r:.80}."
        )
    found = tuple(o.item() if isinstance(o, np.generic) else o for o in options)
    for option in found:
        finite = not isinstance(option, float) or math.isfinite(option)
        if not isinstance(option, (int, float, str)) or not finite:
            raise InvalidRequestError(
                f"An option must be a number or a text, but {name!r} has {option!r:.80}."
            )
    if not found or len(set(found)) < len(found):
        raise InvalidRequestError(
            f"{name!r} must have one or more options, none twice, but got {list(found)!r:.80}."
        )
    return found
