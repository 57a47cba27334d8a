"""A baseline made larger or smaller: rules, targets and the integer solver. Nothing is trained."""

from nas.scaling.coefficients import PAPER, Coefficients, coefficient_grid, compound
from nas.scaling.transform import Rounding, Shape, build, scale, shape_of

__all__ = [
    "PAPER",
    "Coefficients",
    "Rounding",
    "Shape",
    "build",
    "coefficient_grid",
    "compound",
    "scale",
    "shape_of",
]
