"""Choosing a baseline, its coefficients, and the family that grows from it."""

import pytest

from nas.cost import count
from nas.errors import InvalidRequestError
from nas.jobs.plan import costs_by_name
from nas.scaling import PAPER
from nas.search.objectives import Reward
from nas.studies.baseline import FrontMember, choose_baseline
from nas.studies.coefficients import grid_candidates
from nas.studies.family import family_members
from search_spaces.published import get_published

B0 = get_published("efficientnet_b0")
FRONT = [
    FrontMember(
        architecture=get_published(name),
        trial=trial,
        accuracy=accuracy,
        accuracy_se=0.01,
        costs=costs_by_name(count(get_published(name))),
    )
    for trial, (name, accuracy) in enumerate(
        [("mobilenet_v1_0.25", 0.50), ("mobilenet_v2", 0.72), ("efficientnet_b3", 0.73)]
    )
]


@pytest.mark.parametrize(
    ("how", "trial"),
    [("best-reward", 1), ("knee", 1), ("nearest:50M", 0), ("nearest:1.5G", 2), ("trial:2", 2)],
)
def test_a_baseline_is_chosen_as_asked(how: str, trial: int) -> None:
    assert choose_baseline(FRONT, how, Reward()).trial == trial


@pytest.mark.parametrize(
    "how", ["", "best", "nearest", "nearest:", "nearest:x", "trial:9", "trial:-1"]
)
def test_what_names_no_baseline_is_refused(how: str) -> None:
    with pytest.raises(InvalidRequestError):
        choose_baseline(FRONT, how, Reward())


def test_an_empty_front_has_no_baseline() -> None:
    with pytest.raises(InvalidRequestError, match="front"):
        choose_baseline([], "knee", Reward())


def test_the_paper_s_coefficients_are_candidates_and_no_network_comes_twice() -> None:
    networks = grid_candidates(B0, candidates=6, step=0.05, tolerance=0.1)
    assert networks[0].coefficients == PAPER
    assert len({n.architecture.fingerprint for n in networks}) == len(networks) == 6
    for network in networks:
        assert 1.8 <= network.coefficients.product <= 2.2


def test_the_paper_s_family_is_b0_and_then_b2_s_body() -> None:
    members = family_members(B0, PAPER, [1.0, 0.0])
    assert [m.phi for m in members] == [0.0, 1.0]
    assert members[0].architecture == B0
    assert (members[1].architecture.resolution, members[1].costs.parameters) == (258, 9_109_994)
