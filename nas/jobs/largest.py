"""The largest network that a job's search may train, for which a trial's resources must do."""

from __future__ import annotations

import numpy as np

from nas.cost import count
from nas.jobs.plan import SAMPLES, Plan, costs_by_name
from search_spaces.architecture import Architecture
from search_spaces.errors import SearchSpaceError
from search_spaces.space import Choices

ROUNDS = 3


def largest_network(plan: Plan) -> Architecture:
    """The member of the space within the job's bounds that takes the most memory in training, as
    nearly as changing one decision at a time from the largest of a sample finds it."""
    rng = np.random.default_rng(0)
    sample = [plan.space.sample_choices(rng) for _ in range(SAMPLES)]
    best: Choices = max(sample, key=lambda choices: _size(plan, choices))
    size = _size(plan, best)
    for _ in range(ROUNDS):
        before = size
        for decision in plan.space.decisions:
            for option in decision.options:
                tried = {**best, decision.name: option}
                if (found := _size(plan, tried)) > size:
                    best, size = tried, found
        if size == before:
            break
    return plan.space.decode(best)


def _size(plan: Plan, choices: Choices) -> tuple[float, float]:
    """Orders by how little the bounds are broken, then by what training keeps: a batch's
    activations, and weights, gradients, momentum and average."""
    try:
        costs = count(plan.space.decode(choices))
    except SearchSpaceError:
        return -np.inf, 0.0
    known = costs_by_name(costs)
    broken = sum(bound.violation(known[bound.metric]) for bound in plan.constraints)
    return -broken, plan.spec.recipe.batch_size * costs.activations + 4.0 * costs.parameters
