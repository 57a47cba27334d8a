"""What a network costs, exactly, from its genotype alone: nothing is built, torch is not needed."""

from nas.cost.costs import (
    COST_METRICS,
    Costs,
    CostTable,
    count,
    count_layers,
    count_many,
    count_stages,
)
from nas.cost.layers import Layer

__all__ = [
    "COST_METRICS",
    "CostTable",
    "Costs",
    "Layer",
    "count",
    "count_layers",
    "count_many",
    "count_stages",
]
