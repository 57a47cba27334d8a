"""The samplers by name: a new one is one file here and one line below.

Each is imported when it is made: optuna and scipy take a second to load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nas.errors import InvalidRequestError
from nas.search.samplers.contract import ObjectiveSpec, Problem, Sampler

Factory = Callable[[Problem, Mapping[str, Any]], Sampler]


def _optuna(name: str, problem: Problem, options: Mapping[str, Any]) -> Sampler:
    from nas.search.samplers.optuna_samplers import make_optuna_sampler

    return make_optuna_sampler(name, problem, options)


def _known_cost(problem: Problem, options: Mapping[str, Any]) -> Sampler:
    from nas.search.samplers.known_cost import make_known_cost

    return make_known_cost(problem, options)


def _random(problem: Problem, options: Mapping[str, Any]) -> Sampler:
    from nas.search.samplers.random_sampler import make_random

    return make_random(problem, options)


SAMPLERS: dict[str, Factory] = {
    "gp": partial(_optuna, "gp"),
    "known_cost": _known_cost,
    "nsga2": partial(_optuna, "nsga2"),
    "nsga3": partial(_optuna, "nsga3"),
    "random": _random,
    "tpe": partial(_optuna, "tpe"),
}


def make_sampler(name: str, problem: Problem, **options: Any) -> Sampler:
    """Make a sampler by name.

    Args:
        options: The sampler's own settings, such as `population_size`; see its options class.

    Raises:
        InvalidRequestError: If there is no such sampler, or it has no such option or value.
    """
    if name not in SAMPLERS:
        raise InvalidRequestError(
            f"Unknown sampler {name!r}. Available: {', '.join(sorted(SAMPLERS))}."
        )
    return SAMPLERS[name](problem, options)


def sampler_remark(name: str, objectives: Sequence[ObjectiveSpec]) -> str | None:
    """A sentence for who searches where the sampler's strength has nothing to work on.

    >>> sampler_remark("known_cost", [ObjectiveSpec("accuracy", maximize=True)])
    'known_cost: no objective is known before an evaluation; all of them are modelled.'
    """
    known = sum(objective.known for objective in objectives)
    if name != "known_cost" or 0 < known < len(objectives):
        return None
    if known:
        return "known_cost: every objective is known before any evaluation; nothing is modelled."
    return "known_cost: no objective is known before an evaluation; all of them are modelled."
