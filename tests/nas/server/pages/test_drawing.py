"""The drawing of a network and the charts: they show what they are given, all of it."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.plots.figure import Axis
from nas.server.pages import charts
from nas.server.pages.drawing import draw, parts_of
from search_spaces.published import get_published, published_names


@pytest.mark.parametrize("name", published_names()[::9])
def test_every_block_is_a_slab_and_the_parts_cost_what_the_network_costs(name: str) -> None:
    architecture = get_published(name)
    parts = parts_of(architecture)
    drawing = draw(architecture, parts, name)
    blocks = len(list(architecture.walk()))
    assert drawing.count("<rect") == blocks + 2  # stem and head
    assert sum(part.cost_shares[0] for part in parts) == pytest.approx(1)
    assert sum(part.cost_shares[1] for part in parts) == pytest.approx(1)
    assert (parts[0].in_size, parts[-1].out_size) == (architecture.resolution, 1)
    for before, after in itertools.pairwise(parts):
        assert before.out_size == after.in_size


@given(st.floats(1e-3, 1e12), st.floats(1.01, 1e6), st.booleans())
def test_ticks_are_few_round_and_within_the_axis(low: float, factor: float, log: bool) -> None:
    high = low * factor
    found = charts.ticks(low, high, log)
    assert found == sorted(set(found))
    assert all(low * (1 - 1e-9) - 1e-9 <= tick <= high * (1 + 1e-9) + 1e-9 for tick in found)
    assert len(found) <= 12


def test_a_chart_shows_every_point_and_escapes_their_names() -> None:
    points = [
        charts.Point(x=10.0**n, y=float(n), title=f"<b>{n}</b>", href=f"/models/{n}", error=0.1)
        for n in range(4)
    ]
    line = charts.Line(label="a", points=points)
    drawn = charts.line_chart([line], Axis(title="x", log=True), Axis(title="y"), "a & b")
    assert drawn.count("<circle") == 4
    assert "<b>" not in drawn
    assert 'aria-label="a &amp; b"' in drawn
    assert all(math.isfinite(float(part.split('"')[0])) for part in drawn.split('cx="')[1:])
    assert (
        charts.line_chart([charts.Line(label="a", points=[])], Axis(title=""), Axis(title=""), "")
        == ""
    )
