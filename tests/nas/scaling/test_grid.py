"""Coefficients by what networks really cost."""

from __future__ import annotations

import pytest

from nas.cost import COST_METRICS, count
from nas.errors import InvalidRequestError
from nas.scaling import grid_under_cost, scale
from search_spaces.architecture import Architecture
from search_spaces.published import get_published

B0 = get_published("efficientnet_b0")


def cost_of(metric: str):  # type: ignore[no-untyped-def]
    return lambda architecture: float(getattr(count(architecture), metric))


@pytest.mark.parametrize("metric", COST_METRICS)
def test_every_candidate_costs_the_factor_and_is_a_network_of_its_own(metric: str) -> None:
    cost = cost_of(metric)
    grid = grid_under_cost(B0, cost, 2.0, tolerance=0.1, step=0.1)
    networks: list[Architecture] = [scale(B0, coefficients) for coefficients in grid]
    assert len({network.fingerprint for network in networks}) == len(networks) > 0
    for network in networks:
        assert cost(network) == pytest.approx(2.0 * cost(B0), rel=0.1)


def test_a_dimension_that_costs_nothing_stays_unless_asked_for() -> None:
    parameters = cost_of("parameters")
    assert {c.resolution for c in grid_under_cost(B0, parameters, step=0.1)} == {1.0}
    asked = grid_under_cost(B0, parameters, step=0.1, gammas=(1.0, 1.2))
    assert {c.resolution for c in asked} == {1.0, 1.2}


def test_an_own_factor_and_axes() -> None:
    grid = grid_under_cost(B0, cost_of("macs"), 4.0, alphas=(1.0,), betas=(1.4,), step=0.01)
    assert {(c.depth, c.width) for c in grid} == {(1.0, 1.4)}
    assert len(grid_under_cost(B0, cost_of("macs"), step=0.1, tolerance=0.2, at_most=3)) == 3


def test_a_grid_without_networks_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="No network of the grid costs 2 times"):
        grid_under_cost(B0, cost_of("macs"), step=0.5, tolerance=1e-6)
