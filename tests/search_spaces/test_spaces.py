"""What every built-in space promises; a new one needs no test of its own for this."""

import numpy as np
import pytest

from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidSpaceError
from search_spaces.membership import encode, nearest, neighbours
from search_spaces.published import get_published
from search_spaces.space import SearchSpace
from search_spaces.spaces import SPACES
from search_spaces.spaces.attentive_nas import ATTENTIVE_NAS, MODEL_NAMES, attentive_nas_choices
from search_spaces.spaces.nas_bench_macro import macro_choices
from search_spaces.yaml_form import space_from_yaml, space_to_yaml
from tests.search_spaces.examples import efficientnet_b0


@pytest.fixture(params=sorted(SPACES))
def space(request) -> SearchSpace:
    return SPACES[request.param]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("mnasnet", 432**7),  # the paper's 432^5 counts five blocks
        ("proxyless_nas", 6**6 * 7**15),
        ("fbnet", 9**22),
        ("once_for_all", 25 * (9**2 + 9**3 + 9**4) ** 5),  # the paper's: at one resolution
        ("attentive_nas", 440_301_256_704),
        ("mobilenet_v1", 4 * 4),
        ("nas_bench_macro", 3**8),
    ],
)
def test_sizes_are_the_papers(name, size):
    assert SPACES[name].size == size


@pytest.mark.parametrize(
    ("space", "network"),
    [
        ("efficientnet", "efficientnet_b0"),
        ("bignas", "efficientnet_b0"),
        ("efficientnet_v2", "efficientnet_v2_s"),
        *(
            ("mobilenet_v1", f"mobilenet_v1_{width}_{resolution}")
            for width in ("0.75", "0.5", "0.25")
            for resolution in (192, 160, 128)
        ),
    ],
)
def test_published_networks_are_members(space, network):
    assert encode(SPACES[space], get_published(network)) is not None


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_attentive_nas_own_networks_are_members(name):
    choices = attentive_nas_choices(name)
    ATTENTIVE_NAS.check_choices(choices)
    assert encode(ATTENTIVE_NAS, ATTENTIVE_NAS.decode(choices)) == choices


def test_a_wrong_name_of_the_macro_benchmark_is_refused():
    for name in ("0000000", "000000003", "0000000x", ""):
        with pytest.raises(InvalidSpaceError, match="must be eight digits from 0 to 2"):
            macro_choices(name)


def samples(space: SearchSpace, count: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(count)]


def test_every_sample_is_contained(space):
    for architecture in samples(space, 20):
        choices = encode(space, architecture)
        assert choices is not None
        assert space.decode(choices) == architecture


def test_the_first_and_last_options_are_contained(space):
    for pick in (0, -1):
        architecture = space.decode({d.name: d.options[pick] for d in space.decisions})
        assert encode(space, architecture) is not None


def test_it_has_open_decisions_with_different_names(space):
    names = [d.name for d in space.decisions]
    assert names
    assert len(set(names)) == len(names)
    assert space.size > 1
    assert space.description


def test_yaml_and_plain_values_read_back_equal(space):
    assert SearchSpace.from_dict(space.to_dict()) == space
    assert space_from_yaml(space_to_yaml(space)) == space


def test_networks_survive_json(space):
    for architecture in samples(space, 5):
        again = Architecture.from_json(architecture.to_json())
        assert again == architecture
        assert again.fingerprint == architecture.fingerprint


def test_neighbours_are_members(space):
    choices = space.sample_choices(np.random.default_rng(1))
    for neighbour in neighbours(space, choices)[::7]:
        space.check_choices(neighbour)
        assert encode(space, space.decode(neighbour)) is not None


def test_a_known_network_has_a_near_member(space):
    choices, distance = nearest(space, efficientnet_b0())
    space.check_choices(choices)
    assert distance >= 0.0
