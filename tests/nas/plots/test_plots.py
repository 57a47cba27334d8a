"""Pictures: what they show, and that odd data still make one."""

from __future__ import annotations

import math
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InvalidRequestError
from nas.plots import (
    FORMATS,
    FamilyPoint,
    FrontPoint,
    ProgressPoint,
    family_figure,
    front_figure,
    progress_figure,
    write_plot,
)
from nas.plots.figure import Figure, Series

TRIALS = (
    FrontPoint(name="job/0", x=1e5, y=0.90, y_error=0.01, on_front=True),
    FrontPoint(name="job/1", x=4e5, y=0.97, y_error=0.01, on_front=True, is_baseline=True),
    FrontPoint(name="job/2", x=5e5, y=0.95, details={"parameters": 12_345.0}),
    FrontPoint(name="job/3", x=2e6, y=0.98, y_error=0.01, on_front=True),
    FrontPoint(name="job/4", x=3e6, y=math.nan),
)
FAMILY = tuple(
    FamilyPoint(name=f"scaled-{phi}", phi=phi, x=4e5 * 2**phi, y=0.97 + 0.003 * phi, y_error=0.005)
    for phi in range(4)
)


def find(figure: Figure, label: str) -> Series:
    return next(s for s in figure.panels[0].series if s.label == label)


def test_the_front_is_a_step_line_through_its_points_in_order_of_cost():
    front = find(front_figure(TRIALS[::-1]), "Pareto front (3)")
    assert [(m.x, m.y) for m in front.marks] == [(1e5, 90.0), (4e5, 97.0), (2e6, 98.0)]
    assert front.style.line == "step"
    assert [m.y_error for m in front.marks] == [1.0, 1.0, 1.0]


def test_the_baseline_has_a_star_and_the_family_labels_with_phi():
    figure = front_figure(TRIALS, family=FAMILY[::-1])
    star = find(figure, "Baseline")
    assert star.style.marker == "star"
    assert [(m.x, m.y) for m in star.marks] == [(4e5, 97.0)]
    assert [m.label for m in find(figure, "Family").marks] == ["φ 0", "φ 1", "φ 2", "φ 3"]


def test_a_trial_without_a_value_is_counted_and_not_drawn():
    figure = front_figure(TRIALS)
    assert sum(len(s.marks) for s in figure.panels[0].series if s.label != "Baseline") == 4
    assert "1 trial without a value not shown." in figure.note


@pytest.mark.parametrize(("costs", "log"), [((1e5, 9e5), False), ((1e5, 2e6), True)])
def test_the_cost_axis_is_logarithmic_beyond_a_factor_of_ten(costs, log):
    points = [FrontPoint(name=str(x), x=x, y=0.5) for x in costs]
    assert front_figure(points).panels[0].x.log is log


def test_a_free_trial_keeps_the_axis_linear():
    points = [FrontPoint(name=str(x), x=x, y=0.5) for x in (0.0, 1e5, 1e7)]
    assert front_figure(points).panels[0].x.log is False


def test_failed_trainings_are_cut_off_and_counted():
    failed = [FrontPoint(name=f"bad/{i}", x=2e5, y=0.1) for i in range(2)]
    good = [FrontPoint(name=f"good/{i}", x=2e5, y=0.9) for i in range(10)]
    figure = front_figure([*TRIALS, *good, *failed])
    limits = figure.panels[0].y.limits
    assert limits is not None
    assert 10.0 < limits[0] < 89.0
    assert "2 weaker trials below the picture." in figure.note


shares = st.floats(0.0, 1.0)


@given(
    st.lists(st.tuples(shares, st.floats(0.0, 0.2), st.booleans()), min_size=1, max_size=30),
    st.lists(shares, max_size=4),
)
def test_no_picture_cuts_the_front_or_the_family_or_most_trials(rows, members):
    points = [
        FrontPoint(name=str(i), x=float(i), y=y, y_error=error, on_front=on_front)
        for i, (y, error, on_front) in enumerate(rows)
    ]
    family = [FamilyPoint(name=str(i), phi=i, x=float(i), y=y) for i, y in enumerate(members)]
    limits = front_figure(points, family=family).panels[0].y.limits
    if limits is not None:
        for point in [p for p in points if p.on_front]:
            assert limits[0] <= 100 * (point.y - point.y_error)
            assert 100 * (point.y + point.y_error) <= limits[1]
        assert all(limits[0] <= 100 * member.y <= limits[1] for member in family)
        assert sum(100 * p.y < limits[0] for p in points) <= len(points) / 4


def test_groups_have_their_own_fronts_in_their_own_colours():
    points = [
        FrontPoint(name=f"{group}{i}", x=1e5 * (i + 1), y=0.5 + i / 10, on_front=True, group=group)
        for group in ("nsga2", "random")
        for i in range(3)
    ]
    first, second = front_figure(points).panels[0].series
    assert (first.label, second.label) == ("nsga2: Pareto front (3)", "random: Pareto front (3)")
    assert first.style.color != second.style.color


def test_scaling_rules_are_one_line_each_told_apart_without_colour():
    points = [
        FamilyPoint(name=f"{rule}-{phi}", phi=phi, x=1e5 * 2**phi, y=0.9, group=rule)
        for rule in ("Compound", "Width only")
        for phi in range(3)
    ]
    first, second = family_figure(points).panels[0].series
    assert (first.label, second.label) == ("Compound", "Width only")
    assert first.style.color != second.style.color
    assert first.style.marker != second.style.marker
    assert first.style.dashed != second.style.dashed


ODD = {
    "nothing": front_figure([]),
    "only a NaN": front_figure([FrontPoint(name="a", x=math.nan, y=math.inf)]),
    "one trial": front_figure(TRIALS[:1]),
    "equal trials": front_figure([TRIALS[0]] * 3),
    "negative cost": front_figure([FrontPoint(name="a", x=-1.0, y=0.5), TRIALS[3]]),
    "unknown error": front_figure([FrontPoint(name="a", x=1.0, y=0.5, y_error=math.nan)]),
    "no trial but a family": front_figure([], family=FAMILY),
    "twelve decades": front_figure(
        [FrontPoint(name=str(i), x=10.0**i, y=0.5, on_front=True) for i in range(12)]
    ),
    "many trials": front_figure(
        [FrontPoint(name=str(i), x=1.0 + i, y=0.5 + i / 9e3) for i in range(2_500)]
    ),
    "letters and signs": front_figure(
        [FrontPoint(name="$x_{", x=1.0, y=0.5, on_front=True, group="$\\frac{$ ü 図 </script>")]
    ),
    "wide latencies": front_figure(
        [FrontPoint(name=str(i), x=3.0**i, y=0.5) for i in range(6)], x_metric="latency_ms"
    ),
    "no family": family_figure([]),
    "a family of one": family_figure(FAMILY[:1]),
    "an unmeasured member": family_figure([FamilyPoint(name="a", phi=1, x=1.0, y=math.nan)]),
    "no progress": progress_figure([]),
    "one step": progress_figure([ProgressPoint(trials=1, hypervolume=0.5, best=0.5)]),
    "no best yet": progress_figure([ProgressPoint(trials=1, hypervolume=0.0, best=math.nan)]),
    "progress": progress_figure(
        [ProgressPoint(trials=i, hypervolume=i**0.5, best=i / 9) for i in range(1, 9)]
    ),
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("case", ODD)
# the font has no Chinese: a box in the picture, not an error
@pytest.mark.filterwarnings("ignore:Glyph .* missing:UserWarning")
def test_odd_data_still_make_a_picture(case, ending, tmp_path):
    path = write_plot(tmp_path / f"plot{ending}", ODD[case])
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".html": b"<!doctype html>"}
    assert path.read_bytes().startswith(starts[ending])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_same_data_give_the_same_file(ending, tmp_path):
    first, second = (
        write_plot(tmp_path / f"{i}{ending}", front_figure(TRIALS, family=FAMILY)) for i in "ab"
    )
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (front_figure([]), "No trial has been completed yet."),
        (family_figure([]), "No member of the family has been measured yet."),
        (progress_figure([]), "No trial has been completed yet."),
    ],
)
@pytest.mark.parametrize("ending", [".svg", ".html"])
def test_an_empty_picture_says_so(figure, message, ending, tmp_path):
    assert message in write_plot(tmp_path / f"plot{ending}", figure).read_text()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def read_tags(path: Path) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(path.read_text())
    return parser.found


def test_the_page_loads_nothing_from_elsewhere(tmp_path):
    path = write_plot(tmp_path / "front.html", front_figure(TRIALS))
    tags = read_tags(path)
    assert not [tag for tag, attributes in tags if {"src", "href"} & set(attributes)]
    assert {"link", "iframe", "img", "object"}.isdisjoint(tag for tag, _ in tags)
    assert "plotly.js v" in path.read_text()


def test_a_name_cannot_break_out_of_the_page(tmp_path):
    hostile = '</script><script src="http://x.example/a.js"></script><img src=x onerror=alert(1)>'
    point = FrontPoint(name=hostile, x=1.0, y=0.5, on_front=True, group=hostile)
    path = write_plot(tmp_path / "a.html", front_figure([point], title=hostile))
    plain = write_plot(tmp_path / "b.html", front_figure([TRIALS[0]]))
    assert [tag for tag, _ in read_tags(path)] == [tag for tag, _ in read_tags(plain)]


def test_the_pointer_shows_name_accuracy_macs_and_parameters(tmp_path):
    page = write_plot(tmp_path / "front.html", front_figure(TRIALS)).read_text()
    (mark,) = find(front_figure(TRIALS), "Trials (1)").marks
    assert mark.hover == (
        "job/2",
        "Validation accuracy: 95.00 %",
        "MACs: 500k",
        "Parameters: 12.35k",
    )
    assert "Parameters: 12.35k" in page


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(InvalidRequestError, match=r"\.png, \.svg, \.html, but got 'front\.pdf'"):
        write_plot(tmp_path / "front.pdf", front_figure([]))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequestError, match="folder that can be written to"):
        write_plot(tmp_path / "file" / "front.png", front_figure([]))


def test_importing_plots_loads_no_backend():
    code = "import sys, nas.plots; print({'matplotlib', 'plotly', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
