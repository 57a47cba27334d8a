"""Samplers' settings: frozen classes, read strictly from what a job names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from nas.errors import InvalidRequestError
from search_spaces.plain import PlainError, from_plain

T = TypeVar("T")


def read_options(sampler: str, cls: type[T], options: Mapping[str, Any]) -> T:
    """Read a sampler's options, or name the one that is wrong.

    >>> read_options("gp", GpOptions, {"start": 3})
    Traceback (most recent call last):
    nas.errors.InvalidRequestError: `start` is not an option of sampler 'gp'. Known: startup_trials.
    """
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise InvalidRequestError(
                f"`{name}` is not an option of sampler {sampler!r}. "
                f"Known: {', '.join(known) or 'none'}."
            )
    try:
        return from_plain(cls, dict(options))
    except PlainError as error:
        raise InvalidRequestError(f"Sampler {sampler!r}: {error}") from None


def check_at_least(name: str, value: int, low: int) -> None:
    if value < low:
        raise PlainError(name, f"must be at least {low}, but got {value}.")


def check_share(name: str, value: float | None) -> None:
    if value is not None and not 0.0 <= value <= 1.0:
        raise PlainError(name, f"must be from 0 to 1, but got {value}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomOptions:
    """Uniform over decisions has nothing to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsga2Options:
    """NSGA-II: Deb et al. 2002, with uniform crossover.

    Args:
        mutation_prob: Chance that a decision is drawn anew; None for 1 / number of decisions.
        crossover_prob: Chance that a child has two parents.
        swapping_prob: Chance that a decision comes from the second parent.
    """

    population_size: int = 50
    mutation_prob: float | None = None
    crossover_prob: float = 0.9
    swapping_prob: float = 0.5

    def __post_init__(self) -> None:
        check_at_least("population_size", self.population_size, 2)
        for name in ("mutation_prob", "crossover_prob", "swapping_prob"):
            check_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsga3Options:
    """NSGA-III: Deb and Jain 2014; NSGA-II's settings and the density of reference points."""

    population_size: int = 50
    mutation_prob: float | None = None
    crossover_prob: float = 0.9
    swapping_prob: float = 0.5
    dividing_parameter: int = 3

    def __post_init__(self) -> None:
        check_at_least("population_size", self.population_size, 2)
        check_at_least("dividing_parameter", self.dividing_parameter, 1)
        for name in ("mutation_prob", "crossover_prob", "swapping_prob"):
            check_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class TpeOptions:
    """Tree-structured Parzen estimator, several objectives as Ozaki et al. 2022.

    Args:
        multivariate: Model decisions together; otherwise each by itself.
        startup_trials: Random trials before the model.
        candidates: Draws of which the best is suggested.
    """

    multivariate: bool = True
    startup_trials: int = 10
    candidates: int = 24

    def __post_init__(self) -> None:
        check_at_least("startup_trials", self.startup_trials, 0)
        check_at_least("candidates", self.candidates, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpOptions:
    """Gaussian process with expected hypervolume improvement; slow beyond some 100 trials."""

    startup_trials: int = 10

    def __post_init__(self) -> None:
        check_at_least("startup_trials", self.startup_trials, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCostOptions:
    """Our own sampler.

    Args:
        startup_trials: Trials spread evenly over cost, before the model.
    """

    startup_trials: int = 10

    def __post_init__(self) -> None:
        check_at_least("startup_trials", self.startup_trials, 3)
