"""The compound rule and its grid."""

from __future__ import annotations

import math

import pytest

from nas.errors import InvalidRequestError
from nas.scaling import PAPER, Coefficients, coefficient_grid, compound


def test_the_papers_coefficients_have_a_product_of_1_92() -> None:
    assert PAPER.product == pytest.approx(1.2 * 1.1**2 * 1.15**2)
    assert f"{PAPER.product:.3f}" == "1.920"


def test_phi_0_is_the_baseline_and_a_negative_phi_shrinks() -> None:
    assert compound(1.2, 1.1, 1.15, 0) == Coefficients()
    assert compound(1.2, 1.1, 1.15, -1).depth == pytest.approx(1 / 1.2)


def test_the_grid_holds_every_point_of_its_axes_near_the_product_and_no_other() -> None:
    axis = [1.0 + i / 20 for i in range(23)]
    near = {
        (round(a, 2), round(b, 2), round(c, 2))
        for a in axis
        for b in axis
        for c in axis
        if abs(a * b**2 * c**2 - 2.0) <= 0.1 + 1e-12
    }
    grid = coefficient_grid(2.0, tolerance=0.05, step=0.05)
    assert {(c.depth, c.width, c.resolution) for c in grid} == {n for n in near if max(n) <= 2.1}


def test_a_short_grid_is_spread_and_keeps_within_the_whole_one() -> None:
    whole = coefficient_grid()
    short = coefficient_grid(at_most=8)
    assert len(short) == 8
    assert set(short) <= set(whole)
    shares = [math.log(c.depth) / math.log(c.product) for c in short]
    assert max(shares) - min(shares) > 0.5
    assert coefficient_grid(at_most=8) == short


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"product": 1.0}, "factor on cost"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"step": -0.1}, "step"),
        ({"at_most": 0}, "at_most"),
        ({"betas": ()}, "betas"),
        ({"tolerance": 1e-9, "step": 0.3}, "tolerance"),
    ],
)
def test_a_grid_without_points_is_refused(arguments: dict[str, float], names: str) -> None:
    with pytest.raises(InvalidRequestError, match=names):
        coefficient_grid(**arguments)  # type: ignore[arg-type]


def test_a_phi_beyond_numbers_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="phi"):
        compound(1.2, 1.1, 1.15, 1e6)
