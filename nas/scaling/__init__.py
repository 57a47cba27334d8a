"""A baseline made larger or smaller: rules, targets and the integer solver. Nothing is trained."""

from nas.scaling.coefficients import PAPER, Coefficients, coefficient_grid, compound
from nas.scaling.grid import grid_under_cost
from nas.scaling.latency_table import LatencyTable, read_latency_table
from nas.scaling.member import LatencyModel, Member, UnmetTargetError, family
from nas.scaling.preview import (
    PreviewRow,
    Throughput,
    estimate_training_memory,
    predict_training_seconds,
    preview,
)
from nas.scaling.request import (
    factor_grid,
    make_members,
    parse_factors,
    parse_target_sets,
)
from nas.scaling.rules import RULES, Rule, get_rule
from nas.scaling.solver import solve
from nas.scaling.target import TARGET_METRICS, parse_phis, parse_target, parse_targets
from nas.scaling.transform import Rounding, Shape, build, scale, shape_of

__all__ = [
    "PAPER",
    "RULES",
    "TARGET_METRICS",
    "Coefficients",
    "LatencyModel",
    "LatencyTable",
    "Member",
    "PreviewRow",
    "Rounding",
    "Rule",
    "Shape",
    "Throughput",
    "UnmetTargetError",
    "build",
    "coefficient_grid",
    "compound",
    "estimate_training_memory",
    "factor_grid",
    "family",
    "get_rule",
    "grid_under_cost",
    "make_members",
    "parse_factors",
    "parse_phis",
    "parse_target",
    "parse_target_sets",
    "parse_targets",
    "predict_training_seconds",
    "preview",
    "read_latency_table",
    "scale",
    "shape_of",
    "solve",
]
