"""The searches that are compared, each as a generator: it yields a row, and is sent its values.

Rows are option indices; values are (accuracy, cost). Peers that are not installed say so.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from nas.search.samplers import make_sampler
from nas.search.samplers.contract import ObjectiveSpec, Problem, TrialState
from nas.search.samplers.rows import encode
from search_bench.problems import Bench

Search = Generator[list[int], tuple[float, float], None]


@dataclass(frozen=True)
class Peer:
    """A way to search.

    Args:
        needs: Modules that it imports; where one is missing the peer is left out.
        most: Evaluations that it is given at the most, where its suggestions take seconds.
    """

    start: Callable[[Bench, int], Search]
    needs: tuple[str, ...] = field(default=())
    most: int | None = None

    def why_not(self) -> str | None:
        """The reason why it can't run here, or None."""
        for module in self.needs:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    import_module(module)
            except ImportError as error:
                return f"{module} does not import ({error}); `pip install -e .[bench]` brings it"
        return None


def bench_problem(bench: Bench, seed: int) -> Problem:
    """What a job would tell its sampler."""
    return Problem(
        decisions=bench.decisions,
        objectives=(ObjectiveSpec("accuracy", True), ObjectiveSpec("cost", False, known=True)),
        seed=seed,
        known_costs=lambda choices: {"cost": bench.cost(encode(bench.decisions, choices))},
        reference=bench.reference,
    )


def known_cost(bench: Bench, seed: int) -> Search:
    """This project's sampler, told what every job tells it."""
    sampler = make_sampler("known_cost", bench_problem(bench, seed))
    while True:
        (record,) = sampler.ask(1)
        values = yield encode(bench.decisions, [record.choices])[0].tolist()
        sampler.tell(replace(record, state=TrialState.COMPLETED, values=values))


def optuna(name: str, options: dict[str, Any], bench: Bench, seed: int) -> Search:
    """One of Optuna's samplers, as Optuna's own users have it."""
    import optuna

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = getattr(optuna.samplers, name)(seed=seed, **options)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    space = {
        f"x{j}": optuna.distributions.CategoricalDistribution(list(range(len(d.options))))
        for j, d in enumerate(bench.decisions)
    }
    while True:
        trial = study.ask(space)
        values = yield [int(trial.params[name]) for name in space]
        study.tell(trial, values)


def pymoo_nsga2(population: int, bench: Bench, seed: int) -> Search:
    """pymoo's NSGA-II over whole numbers, as its guide to discrete problems has it.

    Its form for mixed variables (`Choice`) was weighed: it finds less on both tables.
    """
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.problems.static import StaticProblem

    last = np.array([len(d.options) - 1 for d in bench.decisions])
    problem = PymooProblem(n_var=len(last), n_obj=2, xl=0, xu=last, vtype=int)
    search = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    search.setup(problem, seed=seed, termination=("n_gen", 10**6), verbose=False)
    while True:
        asked = search.ask()
        losses = []
        for one in asked:
            accuracy, cost = yield [int(index) for index in one.X]
            losses.append([-accuracy, cost])
        Evaluator().eval(StaticProblem(problem, F=np.array(losses)), asked)
        search.tell(infills=asked)


def syne_tune(method: str, bench: Bench, seed: int) -> Search:
    """Syne Tune's multi-objective evolution (`evolution`) or Bayesian optimisation (`ehvi`)."""
    from syne_tune.config_space import choice
    from syne_tune.optimizer.baselines import EHVI
    from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler
    from syne_tune.optimizer.schedulers.multiobjective import multi_objective_regularized_evolution
    from syne_tune.optimizer.schedulers.single_fidelity_scheduler import SingleFidelityScheduler

    space = {f"x{j}": choice(list(range(len(d.options)))) for j, d in enumerate(bench.decisions)}
    metrics = ["loss", "cost"]
    if method == "ehvi":
        import torch

        torch.set_default_dtype(torch.float64)  # it mixes the default with doubles otherwise
        scheduler = EHVI(space, metrics=metrics, random_seed=seed)
    else:
        evolution = multi_objective_regularized_evolution.MultiObjectiveRegularizedEvolution(
            space, population_size=20, sample_size=5, random_seed=seed
        )
        scheduler = SingleFidelityScheduler(
            space, metrics=metrics, searcher=evolution, random_seed=seed
        )
    search = AskTellScheduler(scheduler)
    while True:
        trial = search.ask()
        accuracy, cost = yield [int(trial.config[name]) for name in space]
        search.tell(trial, {"loss": -accuracy, "cost": cost})


def ax(bench: Bench, seed: int) -> Search:
    """Ax's own choice of method for two objectives, told the reference point."""
    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig

    for name in ("ax", "ax.api.client", "botorch", "linear_operator"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    parameters = [
        ChoiceParameterConfig(
            name=f"x{j}",
            values=list(range(len(d.options))),
            parameter_type="int",
            is_ordered=not any(isinstance(option, str) for option in d.options),
        )
        for j, d in enumerate(bench.decisions)
    ]
    client = Client(random_seed=seed)
    client.configure_experiment(parameters=parameters)
    floor, ceiling = bench.reference
    client.configure_optimization(
        objective="accuracy, -cost",
        outcome_constraints=[f"accuracy >= {floor}", f"cost <= {ceiling}"],
    )
    while True:
        for index, chosen in client.get_next_trials(max_trials=1).items():
            accuracy, cost = yield [int(chosen[p.name]) for p in parameters]
            client.complete_trial(index, raw_data={"accuracy": accuracy, "cost": cost})


PEERS: dict[str, Peer] = {
    "known_cost": Peer(known_cost),
    "random": Peer(partial(optuna, "RandomSampler", {})),
    "nsga2": Peer(partial(optuna, "NSGAIISampler", {})),
    "nsga2-20": Peer(partial(optuna, "NSGAIISampler", {"population_size": 20})),
    "tpe": Peer(partial(optuna, "TPESampler", {})),
    "tpe-multivariate": Peer(partial(optuna, "TPESampler", {"multivariate": True})),
    "gp": Peer(partial(optuna, "GPSampler", {}), most=100),
    "pymoo-nsga2-20": Peer(partial(pymoo_nsga2, 20), needs=("pymoo",)),
    "syne-tune-evolution": Peer(partial(syne_tune, "evolution"), needs=("syne_tune",)),
    "syne-tune-ehvi": Peer(partial(syne_tune, "ehvi"), needs=("syne_tune", "botorch"), most=50),
    "ax": Peer(ax, needs=("ax",), most=50),
}
