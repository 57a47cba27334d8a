"""Costs from choices: equal to decoding and counting each, and to the papers' own numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cost import COST_METRICS, count
from nas.cost.spaces import (
    FEW,
    choices_matrix,
    count_choices,
    known_costs,
    matrix_choices,
    sample_matrix,
)
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidSpaceError
from search_spaces.space import SearchSpace
from search_spaces.spaces import SPACES, get_space
from search_spaces.spaces.attentive_nas import ATTENTIVE_NAS, MODEL_NAMES, attentive_nas_choices
from search_spaces.spaces.nas_bench_macro import NAS_BENCH_MACRO, macro_choices, macro_name
from tests.search_spaces.strategies import spaces


def assert_counted_like_each(space: SearchSpace, matrix: np.ndarray) -> None:
    table = count_choices(space, matrix)
    assert len(table) == len(matrix)
    for i, choices in enumerate(matrix_choices(space, matrix)):
        assert table[i] == count(space.decode(choices))


@pytest.mark.parametrize("name", sorted(SPACES))
def test_every_built_in_space_is_counted_like_each_network(name: str) -> None:
    space = SPACES[name]
    assert_counted_like_each(space, sample_matrix(space, np.random.default_rng(0), 40))


@given(spaces, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_space_is_counted_like_each_network(space: SearchSpace, seed: int) -> None:
    assert_counted_like_each(space, sample_matrix(space, np.random.default_rng(seed), 8))


@pytest.mark.parametrize("count_of_rows", [0, 1, FEW - 1, FEW, FEW + 1])
def test_known_costs_are_the_same_however_many_are_asked(count_of_rows: int) -> None:
    space = get_space("once_for_all")
    matrix = sample_matrix(space, np.random.default_rng(1), count_of_rows)
    known = known_costs(space, matrix_choices(space, matrix))
    table = count_choices(space, matrix)
    for name in COST_METRICS:
        assert known[name].dtype == np.float64
        assert known[name].tolist() == getattr(table, name).tolist()


def test_choices_and_rows_are_two_forms_of_the_same() -> None:
    space = get_space("attentive_nas")
    matrix = sample_matrix(space, np.random.default_rng(2), 50)
    assert (choices_matrix(space, matrix_choices(space, matrix)) == matrix).all()
    assert matrix_choices(space, choices_matrix(space, [])) == []


def test_sampled_rows_are_uniform_over_every_decisions_options() -> None:
    space = get_space("efficientnet_v2")
    matrix = sample_matrix(space, np.random.default_rng(3), 6_000)
    for column, decision in zip(matrix.T, space.decisions):
        share = 6_000 / len(decision.options)
        counts = np.bincount(column, minlength=len(decision.options))
        assert abs(counts - share).max() < 5 * np.sqrt(share)


def test_inactive_answers_may_be_absent() -> None:
    space = get_space("once_for_all")
    full = matrix_choices(space, sample_matrix(space, np.random.default_rng(4), FEW))
    active = [
        {d.name: one[d.name] for d in space.decisions if space.is_active(d, one)} for one in full
    ]
    assert active != full
    assert known_costs(space, active)["macs"].tolist() == known_costs(space, full)["macs"].tolist()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3), int), r"whole numbers in 2 columns.*'mobilenet_v1'.*shape \(2, 3\)"),
        (np.zeros(2, int), r"shape \(2,\)"),
        (np.zeros((1, 2)), "float64"),
        (np.array([[0, 4]]), "0 to 3 for decision 'width_multiplier', but got 4 in row 0"),
        (np.array([[0, 0], [-1, 0]]), "0 to 3 for decision 'resolution', but got -1 in row 1"),
    ],
)
def test_a_wrong_matrix_is_refused(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidSpaceError, match=message):
        count_choices(get_space("mobilenet_v1"), matrix)


@pytest.mark.parametrize("value", [225, "224", [224]])
def test_a_wrong_answer_is_refused(value: object) -> None:
    choices = [{"resolution": value, "width_multiplier": 1.0}]
    with pytest.raises(InvalidSpaceError, match="'resolution' must be one of"):
        choices_matrix(get_space("mobilenet_v1"), choices)  # type: ignore[arg-type]


# Where the papers' numbers can be counted: `shared/reference/ground_truth.md` has the sources.


def test_mobilenet_v1s_sixteen_networks() -> None:
    """MobileNetV1's Tables 6 and 7, recounted: MACs at 224, 192, 160 and 128 pixels."""
    golden = {
        1.0: (4_231_976, (568_740_352, 418_121_728, 290_675_200, 186_400_768)),
        0.75: (2_585_560, (325_400_448, 239_273_472, 166_396_800, 106_770_432)),
        0.5: (1_331_592, (149_497_088, 109_970_432, 76_524_800, 49_160_192)),
        0.25: (470_072, (41_030_272, 30_212_608, 21_059_200, 13_570_048)),
    }
    space = get_space("mobilenet_v1")
    assert space.size == 16
    for width, (parameters, macs) in golden.items():
        answers = [{"resolution": r, "width_multiplier": width} for r in (224, 192, 160, 128)]
        known = known_costs(space, answers)
        assert tuple(known["macs"]) == macs
        assert set(known["parameters"]) == {parameters}


def unused_shortcut_weights(architecture: Architecture) -> int:
    """Weights that AttentiveNAS's own code makes for every shortcut, the identities too.

    Its printed parameters count them; they take part in nothing, and our networks lack them.
    """
    return sum(
        place.in_channels * place.block.out_channels
        for place in architecture.walk()
        if place.block.stride == 1 and place.in_channels == place.block.out_channels
    )


@pytest.mark.parametrize(
    ("name", "printed_mmacs", "macs", "printed_parameters", "parameters"),
    [
        ("a0", 203.4, 203_389_568, 9_064_648, 8_954_184),
        ("a1", 279.2, 279_238_816, 9_563_336, 9_452_872),
        ("a2", 316.7, 316_730_080, 11_306_560, 11_149_824),
        ("a3", 356.5, 356_518_400, 12_999_072, 12_784_928),
        ("a4", 443.5, 443_530_752, 11_997_928, 11_809_640),
        ("a5", 490.5, 490_520_064, 12_833_240, 12_597_464),
        ("a6", 709.0, 709_007_232, 15_441_448, 15_154_792),
    ],
)
def test_attentive_nas_a0_to_a6(
    name: str, printed_mmacs: float, macs: int, printed_parameters: int, parameters: int
) -> None:
    architecture = ATTENTIVE_NAS.decode(attentive_nas_choices(name))
    costs = count(architecture)
    assert (costs.macs, costs.parameters) == (macs, parameters)
    assert round(macs / 1e6, 1) == printed_mmacs
    assert parameters + unused_shortcut_weights(architecture) == printed_parameters


def test_attentive_nas_smallest_and_largest_network() -> None:
    smallest, largest = (
        ATTENTIVE_NAS.decode({d.name: pick(d.options) for d in ATTENTIVE_NAS.decisions})
        for pick in (min, max)
    )
    assert MODEL_NAMES[0] == "a0"
    assert smallest == ATTENTIVE_NAS.decode(attentive_nas_choices("a0"))
    assert round(count(smallest).macs / 1e6, 1) == 203.4
    assert round(count(largest).macs / 1e6, 1) == 1939.3
    assert count(largest).parameters + unused_shortcut_weights(largest) == 23_934_704


def test_attentive_nas_smallest_is_below_every_sample() -> None:
    matrix = sample_matrix(ATTENTIVE_NAS, np.random.default_rng(0), 5_000)
    table = count_choices(ATTENTIVE_NAS, matrix)
    assert table.macs.min() > 203_389_568
    assert table.macs.max() < 1_939_335_808


def test_proxyless_nas_mobile_is_a_member() -> None:
    """ProxylessNAS-Mobile (arXiv 1812.00332, Figure 5): 4,080,512 parameters, 320 M MACs."""
    kernels = ("53", "7355", "7555", "5555", "7777", "7")
    expansions = ("33", "3333", "6333", "6333", "6633", "6")
    space = get_space("proxyless_nas")
    choices = {d.name: "zero" for d in space.decisions}
    for stage, (ks, es) in enumerate(zip(kernels, expansions), start=2):
        for slot, (k, e) in enumerate(zip(ks, es), start=1):
            choices[f"stage{stage}.{slot}.block"] = f"mbconv{e}_{k}x{k}"
    space.check_choices(choices)
    costs = count(space.decode(choices))
    assert (costs.parameters, costs.macs) == (4_080_512, 320_427_584)


def test_fbnet_c_is_a_member() -> None:
    """FBNet-C as timm's `fbnetc_100` has it: 5,572,200 parameters."""
    rows = (
        "k3_e1",
        "k3_e6 k3_e1 k3_e1 skip",
        "k5_e6 k5_e3 k5_e6 k3_e6",
        "k5_e6 k5_e3 k5_e6 k5_e6",
        "k5_e6 k5_e6 k5_e6 k5_e3",
        "k5_e6 k5_e6 k5_e6 k5_e6",
        "k3_e6",
    )
    space = get_space("fbnet")
    choices = {
        f"stage{i}.{slot}.block": option
        for i, row in enumerate(rows, start=1)
        for slot, option in enumerate(row.split(), start=1)
    }
    space.check_choices(choices)
    assert count(space.decode(choices)).parameters == 5_572_200


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("02012100", 890_666, 47_327_744), ("11111221", 2_181_386, 65_012_224)],
)
def test_rows_of_nas_bench_macro(name: str, parameters: int, macs: int) -> None:
    costs = count(NAS_BENCH_MACRO.decode(macro_choices(name)))
    assert (costs.parameters, costs.macs) == (parameters, macs)


def macro_rows() -> dict[str, dict[str, int]]:
    path = "shared/data/nas_bench_macro/nas-bench-macro_cifar10.json"
    for folder in Path(__file__).resolve().parents:
        if (folder / path).is_file():
            rows: dict[str, dict[str, int]] = json.loads((folder / path).read_text())
            return rows
    pytest.skip(f"no {path} beside the repository")


def test_all_rows_of_nas_bench_macro() -> None:
    rows = macro_rows()
    assert len(rows) == NAS_BENCH_MACRO.size == 6_561
    choices = [macro_choices(digits) for digits in rows]
    assert [macro_name(one) for one in choices] == list(rows)
    known = known_costs(NAS_BENCH_MACRO, choices)
    assert known["parameters"].tolist() == [row["params"] for row in rows.values()]
    assert known["macs"].tolist() == [row["flops"] for row in rows.values()]
