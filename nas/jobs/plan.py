"""Plan: what a job file means with its data and its space; all of it is checked at the start."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nas.cost import COST_METRICS, Costs, count
from nas.cost.spaces import known_costs
from nas.data import ImageData
from nas.errors import InvalidRequestError
from nas.evaluation.contract import EvaluationKey, Evaluator
from nas.jobs.spec import EvaluatorSpec, JobSpec
from nas.quantity import Bound, parse_quantity
from nas.search.candidates import Candidate
from nas.search.choices import violation_of
from nas.search.driver import Proposal
from nas.search.objectives import Reward, parse_constraints, parse_objectives
from nas.search.records import architecture_row
from nas.search.samplers.contract import ObjectiveSpec, Problem
from nas.search.stopping import HalvingSettings
from nas.training.recipe import Recipe, TrainOn
from search_spaces.architecture import Architecture
from search_spaces.errors import SearchSpaceError
from search_spaces.space import Choices, SearchSpace
from search_spaces.spaces import get_space

SAMPLES = 200
"""Networks drawn to learn how a space's costs are spread."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A job with everything it needs, short of a store and an executor.

    Args:
        space: The job's space for the data's classes and channels.
        reference: Reference point of the hypervolume, in the objectives' order.
        artifacts: Folder or URL of the artifact location.
    """

    spec: JobSpec
    data: ImageData
    space: SearchSpace
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[Bound, ...]
    reward: Reward
    reference: tuple[float, ...]
    artifacts: str

    @property
    def data_hash(self) -> str:
        """What must be the same for the job to go on."""
        return self.data.content_hash

    def space_document(self) -> dict[str, Any]:
        """The space as the store keeps it."""
        return self.space.to_dict()

    def describe(self) -> str:
        """The data in a few words."""
        parts = ("train", "val", "test")
        sizes = ", ".join(f"{len(getattr(self.data, part)):,} {part}" for part in parts)
        height, width = self.data.train.images.shape[1:3]
        return f"{len(self.data.classes)} classes, {sizes} images of {width} x {height}"

    @property
    def notes(self) -> list[str]:
        """What was odd about the data."""
        return [f"data: {note}" for note in self.data.notes]

    def evaluator(self, recipe: Recipe, train_on: TrainOn = "train") -> Evaluator:
        """What evaluates networks in this job under that recipe."""
        return make_evaluator(self, recipe, train_on)

    def candidate(
        self,
        architecture: Architecture,
        recipe: Recipe,
        *,
        choices: Choices | None = None,
        seed: int | None = None,
        train_on: TrainOn = "train",
        costs: Costs | None = None,
    ) -> Candidate:
        """An evaluation of a network, under its key."""
        evaluator = self.evaluator(recipe, train_on)
        trains = self.spec.evaluator.name == "training"
        key = EvaluationKey(
            subject=architecture.fingerprint,
            dataset=self.data.content_hash if trains else "",
            split=self.data.split if trains else "",
            recipe=recipe.digest if trains else "",
            evaluator=evaluator.identity,
            seed=self.spec.search.seed if seed is None else seed,
            train_on=train_on,
        )
        costs = costs or count(architecture)
        return Candidate(
            key=key,
            evaluator=evaluator,
            architecture=architecture,
            choices=dict(choices or {}),
            costs=costs_by_name(costs),
            network=architecture_row(architecture, costs),
        )

    @property
    def stopping(self) -> HalvingSettings | None:
        """When trials are stopped early, if they are.

        Raises:
            InvalidRequestError: If nobody says how long a whole evaluation is.
        """
        wanted = self.spec.search.early_stopping
        if wanted is None:
            return None
        full = wanted.full
        if full is None and self.spec.evaluator.name == "training":
            full = float(self.spec.recipe.epochs)
        if full is None:
            raise InvalidRequestError(
                "`search.early_stopping.full` must say how many reports a whole evaluation gives."
            )
        return HalvingSettings(full=full, first=wanted.first, eta=wanted.eta, least=wanted.least)

    def problem(self) -> Problem:
        """What the job's sampler is told; costs and constraints are known to it exactly."""
        costs = partial(known_costs, self.space)
        return Problem(
            decisions=self.space.decisions,
            objectives=self.objectives,
            seed=self.spec.search.seed,
            known_costs=costs,
            constraint_violation=violation_of(self.constraints, costs)
            if self.constraints
            else None,
            reference=self.reference,
        )

    def propose(self, choices: Choices) -> Proposal:
        """What choices of the space mean: a network with its costs, or why there is none."""
        try:
            architecture = self.space.decode(choices)
        except SearchSpaceError as error:
            return Proposal(reason=str(error))
        costs = count(architecture)
        candidate = self.candidate(architecture, self.spec.recipe, choices=choices, costs=costs)
        return Proposal(costs=candidate.costs, candidate=candidate)


def costs_by_name(costs: Costs) -> dict[str, float]:
    """Exact costs as a mapping, in the order of `COST_METRICS`."""
    return {name: float(getattr(costs, name)) for name in COST_METRICS}


def make_evaluator(plan: Plan, recipe: Recipe, train_on: TrainOn) -> Evaluator:
    """The job's evaluator: training by a recipe, or the user's own function."""
    spec: EvaluatorSpec = plan.spec.evaluator
    if spec.name == "python":
        from nas.evaluation.python import PythonEvaluator

        if spec.function is None:
            raise InvalidRequestError(
                "`evaluator.function` must name a function as 'package.module:function'."
            )
        return PythonEvaluator(path=spec.function)
    from nas.evaluation.training import TrainingEvaluator

    spec_device = plan.spec.execution.device
    return TrainingEvaluator(
        data=plan.spec.data,
        recipe=recipe,
        artifacts=plan.artifacts,
        content_hash=plan.data.content_hash,
        device=None if spec_device == "auto" else spec_device,
        train_on=train_on,
        keep_weights=True,
        gpu_share=plan.spec.execution.gpus_per_trial,
    )


def make_plan(spec: JobSpec, data: ImageData, artifacts: str) -> Plan:
    """Work a job file out against its data; everything that can be wrong with it is said here.

    Raises:
        InvalidRequestError, SearchSpaceError: If the space, an objective, a constraint, the
            sampler or the reference point is wrong.
    """
    space = job_space(spec, data)
    objectives = parse_objectives(spec.search.objectives, spec.evaluator.metrics)
    constraints = parse_constraints(spec.search.constraints)
    sample = _sample_costs(space)
    check_constraints(constraints, sample, space.name)
    reward = _reward(spec, sample)
    return Plan(
        spec=spec,
        data=data,
        space=space,
        objectives=objectives,
        constraints=constraints,
        reward=reward,
        reference=_reference(spec, objectives, constraints, sample, len(data.classes), reward),
        artifacts=artifacts,
    )


def job_space(spec: JobSpec, data: ImageData) -> SearchSpace:
    """The job's space, for the data's classes and channels."""
    space = (
        get_space(spec.space) if isinstance(spec.space, str) else SearchSpace.from_dict(spec.space)
    )
    return space.for_task(
        num_classes=len(data.classes),
        input_channels=int(data.train.images.shape[3]),
        resolution=spec.resolution,
    )


def check_constraints(
    constraints: Sequence[Bound], sample: Mapping[str, Sequence[float]], name: str
) -> None:
    """Refuse a bound so far out that the search could only fail, before anything runs."""
    for bound in constraints:
        if bound.at_most and bound.limit < 0.1 * min(sample[bound.metric]):
            raise InvalidRequestError(
                f"No network of space {name!r} comes near {bound}: the smallest of {SAMPLES} has "
                f"{min(sample[bound.metric]):,.0f}. Raise the bound or choose another space."
            )


def _sample_costs(space: SearchSpace) -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    rows = [count(space.sample(rng)) for _ in range(SAMPLES)]
    return {name: [float(getattr(row, name)) for row in rows] for name in COST_METRICS}


def _reward(spec: JobSpec, sample: Mapping[str, Sequence[float]]) -> Reward:
    wanted = spec.search.reward
    if wanted.metric not in COST_METRICS:
        raise InvalidRequestError(
            f"`search.reward.metric` must be one of {', '.join(COST_METRICS)}, "
            f"but got {wanted.metric!r}."
        )
    target = (
        statistics.median(sample[wanted.metric])
        if wanted.target is None
        else parse_quantity(wanted.target)
    )
    if target <= 0:
        raise InvalidRequestError(f"`search.reward.target` must be above 0, but got {target:g}.")
    return Reward(metric=wanted.metric, target=target, exponent=wanted.exponent)


def _reference(
    spec: JobSpec,
    objectives: Sequence[ObjectiveSpec],
    constraints: Sequence[Bound],
    sample: Mapping[str, Sequence[float]],
    num_classes: int,
    reward: Reward,
) -> tuple[float, ...]:
    """The user's reference point; else chance for accuracy, and for a cost its bound or the
    largest seen in a sample of the space."""
    unknown = set(spec.search.reference) - {o.metric for o in objectives}
    if unknown:
        raise InvalidRequestError(
            f"`search.reference` must name objectives, but got {', '.join(sorted(unknown))}."
        )
    bounds = {b.metric: b.limit for b in constraints if b.at_most}
    point = []
    for objective in objectives:
        name = objective.metric
        if name in spec.search.reference:
            point.append(float(spec.search.reference[name]))
        elif name in sample:
            point.append(bounds.get(name, max(sample[name])))
        else:
            point.append(1.0 / num_classes if objective.maximize else 0.0)
    return tuple(point)
