"""Optuna's samplers by ask and tell, over a study that lives in memory.

The store is the record; the study is rebuilt from it. Three things make a rebuilt sampler go on
exactly where the old one was: trials keep Optuna's system attributes (NSGA's generation), the
trial that opened a generation keeps the study's (who its parents are), and every trial draws from
a random stream of its own, derived from the seed and the trial's number.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from nas.search.samplers.contract import Problem, TrialRecord, TrialState
from nas.search.samplers.options import (
    GpOptions,
    Nsga2Options,
    Nsga3Options,
    TpeOptions,
    read_options,
)
from nas.search.samplers.rows import RowIndex, check_choices
from search_spaces.space import Choices, Option

optuna.logging.set_verbosity(optuna.logging.WARNING)  # it reports every study that is made

Build = Callable[[int], BaseSampler]
"""A seed to one of Optuna's samplers."""

_STATES = {
    TrialState.WAITING: OptunaState.RUNNING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.COMPLETED: OptunaState.COMPLETE,
    # an infeasible or failed trial is one that violates, so that the sampler keeps away from it;
    # Optuna itself ignores trials that fail
    TrialState.INFEASIBLE: OptunaState.COMPLETE,
    TrialState.FAILED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
}
_FAILURE_VIOLATION = 1.0


def make_optuna_sampler(name: str, problem: Problem, options: Mapping[str, Any]) -> OptunaSampler:
    """Make 'nsga2', 'nsga3', 'tpe' or 'gp' from its options (`samplers.options`)."""
    build, joint = _BUILDERS[name](options)
    return OptunaSampler(problem, build, joint=joint)


class OptunaSampler:
    """One of Optuna's samplers as a `Sampler`.

    Args:
        build: Makes Optuna's sampler from a seed; called anew for every suggestion.
        joint: Whether it draws all decisions together, as opposed to one by one.
    """

    def __init__(self, problem: Problem, build: Build, *, joint: bool) -> None:
        self._problem = problem
        self._build = build
        self._joint = joint
        self._space: dict[str, BaseDistribution] = {
            d.name: CategoricalDistribution(d.options) for d in problem.decisions
        }
        self._rows = RowIndex(problem) if problem.rows is not None else None
        self._queue: deque[dict[str, Option]] = deque()
        self._start()

    def _start(self) -> None:
        self._records: list[TrialRecord] = []
        self._constrained = False
        self._study_keys: set[str] = set()
        self._worst: list[float | None] = [None] * len(self._problem.objectives)
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            directions=["maximize" if o.maximize else "minimize" for o in self._problem.objectives],
        )
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)

    def ask(self, count: int) -> list[TrialRecord]:
        return [self._ask_one() for _ in range(count)]

    def enqueue(self, choices: Choices) -> None:
        check_choices(self._problem, choices)
        self._queue.append(dict(choices))

    def tell(self, record: TrialRecord) -> TrialRecord:
        asked = self._records[record.number]
        if asked.state is not TrialState.RUNNING:
            raise ValueError(f"Trial {record.number} was told before; it is {asked.state.value}.")
        told = replace(record, attributes={**asked.attributes, **self._stand_in(record)})
        self._records[record.number] = told
        self._note_worst(told)
        if _violation(told) > 0 and not self._constrained:
            # Optuna takes constraints with a trial's end, and its GP wants them of every trial
            self.restore(self._records)
            return told
        values = _values_for_optuna(told)
        if self._constrained and values is not None:
            trial = optuna.Trial(self._study, self._trial_id(told.number))
            trial.set_constraint("violation", _violation(told))
        self._study.tell(told.number, values, _STATES[told.state])
        return told

    def restore(self, records: Sequence[TrialRecord]) -> None:
        for place, record in enumerate(records):
            if record.number != place:
                raise ValueError(f"Trials must count from 0, but number {place} is missing.")
            check_choices(self._problem, record.choices)
        self._start()
        self._constrained = any(_violation(record) > 0 for record in records)
        self._records = list(records)
        for record in records:
            self._note_worst(record)
            for key, value in record.attributes.get("study", {}).items():
                self._storage.set_study_system_attr(self._study_id, key, value)
            self._study.add_trial(self._as_optuna(record))
        self._study_keys = set(self._storage.get_study_system_attrs(self._study_id))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _ask_one(self) -> TrialRecord:
        number = len(self._records)
        seeds = np.random.SeedSequence([self._problem.seed, number]).generate_state(2)
        self._study.sampler = _AllAtOnce(
            self._build(int(seeds[0])),
            self._space,
            rng=np.random.default_rng(seeds[1]),
            joint=self._joint,
            rows=self._rows,
            fixed=self._queue.popleft() if self._queue else None,
        )
        trial = self._study.ask(fixed_distributions=self._space)
        params = trial.params  # a copy each time it is read
        record = TrialRecord(
            number=number,
            choices={d.name: params[d.name] for d in self._problem.decisions},
            state=TrialState.RUNNING,
            attributes=self._attributes(number),
        )
        self._records.append(record)
        return record

    def _attributes(self, number: int) -> dict[str, Any]:
        """What Optuna noted on the trial, and on the study while it was asked for this one."""
        attributes = self._storage.get_trial_system_attrs(self._trial_id(number))
        # running trials here have all their parameters; Optuna's copy of them is for storages
        # that are shared
        system = {k: v for k, v in attributes.items() if "relative_params" not in k}
        study = self._storage.get_study_system_attrs(self._study_id)
        new = {k: v for k, v in study.items() if k not in self._study_keys}
        self._study_keys |= set(new)
        return {key: value for key, value in (("system", system), ("study", new)) if value}

    def _note_worst(self, record: TrialRecord) -> None:
        for i, value in enumerate(record.values or ()):
            worse = min if self._problem.objectives[i].maximize else max
            worst = self._worst[i]
            self._worst[i] = value if worst is None else worse(worst, value)

    def _stand_in(self, record: TrialRecord) -> dict[str, Any]:
        """Stand-ins for what an infeasible trial has no value of: known costs, else the worst."""
        if record.state not in (TrialState.INFEASIBLE, TrialState.FAILED):
            return {}
        known: Mapping[str, Any] = {}
        if self._problem.known_costs is not None:
            known = self._problem.known_costs([record.choices])
        values = []
        for i, objective in enumerate(self._problem.objectives):
            value = float(known[objective.metric][0]) if objective.metric in known else math.nan
            if not math.isfinite(value):
                value = self._worst[i] or 0.0
            values.append(value)
        return {"stand_in": values}

    def _as_optuna(self, record: TrialRecord) -> FrozenTrial:
        values = _values_for_optuna(record)
        constrained = self._constrained and values is not None
        return create_trial(
            state=_STATES[record.state],
            values=values,
            params=dict(record.choices),
            distributions=self._space,
            system_attrs=dict(record.attributes.get("system", {})),
            constraints={"violation": _violation(record)} if constrained else None,
        )


def _violation(record: TrialRecord) -> float:
    if record.state in (TrialState.INFEASIBLE, TrialState.FAILED):
        return record.violation if record.violation > 0 else _FAILURE_VIOLATION
    return 0.0


def _values_for_optuna(record: TrialRecord) -> list[float] | None:
    if record.state is TrialState.COMPLETED:
        return list(record.values or ())
    return record.attributes.get("stand_in")


class _AllAtOnce(BaseSampler):
    """Answers every decision in one step, whatever the inner sampler leaves open.

    Uniform draws are its own: Optuna's samplers seed their two random streams alike, which
    matters when they are seeded for every trial.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: dict[str, BaseDistribution],
        *,
        rng: np.random.Generator,
        joint: bool,
        rows: RowIndex | None,
        fixed: dict[str, Option] | None,
    ) -> None:
        self._inner = inner
        self._space = space
        self._rng = rng
        self._joint = joint
        self._rows = rows
        self._fixed = fixed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        open_space = {k: v for k, v in self._space.items() if not v.single()}
        # called even when the answer is fixed: it is here that NSGA notes the generation
        found = self._inner.sample_relative(study, trial, open_space if self._joint else {})
        if self._fixed is not None:
            return self._fixed
        choices = {
            name: found[name] if name in found else self._independent(study, trial, name)
            for name in self._space
        }
        return self._rows.nearest(choices, self._rng) if self._rows is not None else choices

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        return self._independent(study, trial, name)

    def _independent(self, study: Study, trial: FrozenTrial, name: str) -> Any:
        distribution = self._space[name]
        if not self._joint and not distribution.single():
            return self._inner.sample_independent(study, trial, name, distribution)
        assert isinstance(distribution, CategoricalDistribution)
        return distribution.choices[self._rng.integers(len(distribution.choices))]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)


def _nsga2(options: Mapping[str, Any]) -> tuple[Build, bool]:
    o = read_options("nsga2", Nsga2Options, options)
    return lambda seed: optuna.samplers.NSGAIISampler(
        population_size=o.population_size,
        mutation_prob=o.mutation_prob,
        crossover_prob=o.crossover_prob,
        swapping_prob=o.swapping_prob,
        seed=seed,
    ), True


def _nsga3(options: Mapping[str, Any]) -> tuple[Build, bool]:
    o = read_options("nsga3", Nsga3Options, options)

    def build(seed: int) -> BaseSampler:
        with warnings.catch_warnings():  # Optuna calls it experimental at every suggestion
            warnings.simplefilter("ignore", ExperimentalWarning)
            return optuna.samplers.NSGAIIISampler(
                population_size=o.population_size,
                mutation_prob=o.mutation_prob,
                crossover_prob=o.crossover_prob,
                swapping_prob=o.swapping_prob,
                dividing_parameter=o.dividing_parameter,
                seed=seed,
            )

    return build, True


def _tpe(options: Mapping[str, Any]) -> tuple[Build, bool]:
    o = read_options("tpe", TpeOptions, options)
    return lambda seed: optuna.samplers.TPESampler(
        multivariate=o.multivariate,
        n_startup_trials=o.startup_trials,
        n_ei_candidates=o.candidates,
        seed=seed,
    ), o.multivariate


def _gp(options: Mapping[str, Any]) -> tuple[Build, bool]:
    o = read_options("gp", GpOptions, options)
    return lambda seed: _OneThreadGp(
        n_startup_trials=o.startup_trials, warn_independent_sampling=False, seed=seed
    ), True


class _OneThreadGp(optuna.samplers.GPSampler):
    """Its tensors are tiny: on a busy machine of two cores, two threads take ten times as long."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().sample_relative(study, trial, search_space)
        finally:
            torch.set_num_threads(threads)


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], tuple[Build, bool]]] = {
    "gp": _gp,
    "nsga2": _nsga2,
    "nsga3": _nsga3,
    "tpe": _tpe,
}
