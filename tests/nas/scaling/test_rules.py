"""What every scaling rule promises, and what each paper says of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nas.cost import count
from nas.errors import InvalidRequestError
from nas.scaling import Coefficients, compound
from nas.scaling.rules import RULES, Rule, get_rule
from nas.scaling.rules.efficientnet_x import EfficientNetX
from nas.scaling.rules.tinynet import TINYNETS
from search_spaces.architecture import Architecture
from search_spaces.published import get_published
from tests.nas.scaling.networks import baselines

B0 = get_published("efficientnet_b0")
MOBILENET_V1 = get_published("mobilenet_v1")


@pytest.mark.parametrize("name", RULES)
class TestEveryRule:
    def test_phi_0_is_the_baseline(self, name: str) -> None:
        for baseline in baselines():
            assert get_rule(name).at(baseline, 0) == baseline

    def test_it_grows_with_phi_and_shrinks_without(self, name: str) -> None:
        macs = [count(get_rule(name).at(B0, phi)).macs for phi in (-3, -1.5, 0, 1.5, 3, 4.5)]
        assert macs == sorted(macs)
        assert macs[0] < macs[2] < macs[-1]

    def test_any_moderate_phi_gives_a_network_of_every_baseline(self, name: str) -> None:
        rule = get_rule(name)
        for baseline in baselines():
            for phi in (-5.0, -0.3, 0.7, 5.0):
                member = rule.at(baseline, phi)
                assert member == rule.scale(baseline, rule.coefficients(phi))
                assert len(member.stages) == len(baseline.stages)

    def test_it_stands_under_its_own_name_with_one_line(self, name: str) -> None:
        rule = get_rule(name)
        assert isinstance(rule, Rule)
        assert rule.name == name
        assert 10 < len(rule.summary) < 80

    def test_a_senseless_phi_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidRequestError):
            get_rule(name).at(B0, 1e6)


@pytest.mark.parametrize("s", [0.25, 2.0, 4.0])
@pytest.mark.parametrize("name", ["width", "depth", "resolution", "fast", "mobilenet"])
def test_a_rule_by_cost_multiplies_it_nominally(name: str, s: float) -> None:
    assert get_rule(name).coefficients(math.log2(s)).product == pytest.approx(s)


def test_dwr_at_four_times_the_macs() -> None:
    four = get_rule("fast").coefficients(2)
    assert (round(four.depth, 3), round(four.width, 3), round(four.resolution, 3)) == (
        1.149,
        1.741,
        1.072,
    )
    uniform = get_rule("fast", alpha=1 / 3).coefficients(2)
    assert uniform.depth == pytest.approx(uniform.width**2) == pytest.approx(uniform.resolution**2)


# arXiv 1704.04861, Tables 6 and 7, as counted
MOBILENET_CELLS = {
    1.0: (4_231_976, 568_740_352, 418_121_728, 290_675_200, 186_400_768),
    0.75: (2_585_560, 325_400_448, 239_273_472, 166_396_800, 106_770_432),
    0.5: (1_331_592, 149_497_088, 109_970_432, 76_524_800, 49_160_192),
    0.25: (470_072, 41_030_272, 30_212_608, 21_059_200, 13_570_048),
}


@pytest.mark.parametrize("width", MOBILENET_CELLS)
@pytest.mark.parametrize("column", range(4))
def test_the_16_cells_of_mobilenets_two_multipliers(width: float, column: int) -> None:
    pixels = (224, 192, 160, 128)[column]
    member = get_rule("mobilenet").scale(
        MOBILENET_V1, Coefficients(width=width, resolution=pixels / 224)
    )
    parameters, *macs = MOBILENET_CELLS[width]
    costs = count(member)
    assert (member.resolution, costs.parameters, costs.macs) == (pixels, parameters, macs[column])


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("a", 6_187_972, 336.9e6),
        ("b", 3_730_562, 200.7e6),
        ("c", 2_457_234, 99.5e6),
        ("d", 2_338_446, 51.6e6),
        ("e", 2_042_972, 24.4e6),
    ],
)
def test_tinynets_have_their_published_costs(name: str, parameters: int, macs: float) -> None:
    made = get_rule("tinynet").scale(B0, TINYNETS[name])
    assert same_but_for_training(made, f"tinynet_{name}")
    costs = count(made)
    assert (costs.parameters, round(costs.macs / 1e5)) == (parameters, round(macs / 1e5))


def test_tinynets_lie_on_the_shrinking_path() -> None:
    rule = get_rule("tinynet")
    assert rule.coefficients(math.log2(99.5e6 / 385.8e6)) == TINYNETS["c"]
    assert TINYNETS["c"].width < rule.coefficients(-1).width < TINYNETS["a"].width


@pytest.mark.parametrize("member", range(9))
def test_published_phi_is_the_members_number(member: int) -> None:
    published = get_published(f"efficientnet_b{member}")
    made = get_rule("published").at(B0, member)
    assert replace(made, dropout=published.dropout) == published


def test_between_published_members_the_path_runs_on() -> None:
    rule = get_rule("published")
    assert 1.4 < rule.coefficients(4.5).width < 1.6
    assert rule.coefficients(9).width > 2.2
    assert rule.coefficients(-1).depth < 1.0


@pytest.mark.parametrize(
    ("family", "prefix", "member", "parameters", "macs"),
    [
        ("efficientnet_lite", "efficientnet_lite", 0, 4_652_008, 385_187_552),
        ("efficientnet_lite", "efficientnet_lite", 1, 5_416_680, 600_185_232),
        ("efficientnet_lite", "efficientnet_lite", 2, 6_092_072, 859_736_272),
        ("efficientnet_lite", "efficientnet_lite", 3, 8_197_096, 1_383_321_872),
        ("efficientnet_lite", "efficientnet_lite", 4, 13_006_568, 2_553_034_336),
        ("efficientnet_v2", "efficientnet_v2_b", 0, 7_139_704, 718_086_176),
        ("efficientnet_v2", "efficientnet_v2_b", 1, 8_141_052, 1_196_819_360),
        ("efficientnet_v2", "efficientnet_v2_b", 2, 10_096_086, 1_697_542_832),
        ("efficientnet_v2", "efficientnet_v2_b", 3, 14_358_406, 3_011_458_816),
    ],
)
def test_the_other_published_families(
    family: str, prefix: str, member: int, parameters: int, macs: int
) -> None:
    made = get_rule("published", family=family).at(get_published(f"{prefix}0"), member)
    assert same_but_for_training(made, f"{prefix}{member}")
    assert (count(made).parameters, count(made).macs) == (parameters, macs)


def same_but_for_training(made: Architecture, name: str) -> bool:
    """Whether it is that published network; dropout and batch-norm's settings are its own."""
    published = get_published(name)
    return published == replace(
        made,
        dropout=published.dropout,
        drop_connect=published.drop_connect,
        batch_norm_eps=published.batch_norm_eps,
        batch_norm_momentum=published.batch_norm_momentum,
    )


@pytest.mark.parametrize(
    ("baseline", "name", "width", "head"),
    [
        ("mobilenet_v3_large", "mobilenet_v3_large_0.75", 0.75, "up"),
        ("mobilenet_v3_small", "mobilenet_v3_small_0.75", 0.75, "up"),
        ("mnasnet_a1", "mnasnet_a1_1.4", 1.4, "no"),
        ("mnasnet_a1", "mnasnet_a1_0.75", 0.75, "no"),
        ("mnasnet_a1", "mnasnet_a1_0.5", 0.5, "no"),
        ("mnasnet_a1", "mnasnet_a1_0.35", 0.35, "no"),
    ],
)
def test_the_width_multiplier_makes_other_papers_networks(
    baseline: str, name: str, width: float, head: str
) -> None:
    rule = get_rule("mobilenet", rounding={"head": head})
    assert same_but_for_training(
        rule.scale(get_published(baseline), Coefficients(width=width)), name
    )


def test_efficientnet_v2_deepens_late_stages_more_and_stops_at_480_pixels() -> None:
    rule = get_rule("efficientnet_v2")
    member = rule.at(B0, 7)
    growth = [len(m.blocks) / len(b.blocks) for m, b in zip(member.stages, B0.stages)]
    assert member.resolution == 480
    assert growth[0] < growth[3] < growth[-1]
    assert rule.at(replace(B0, resolution=512), 3).resolution == 512


def test_efficientnet_x_has_its_members_at_whole_phi() -> None:
    tpu, gpu = EfficientNetX(), EfficientNetX(device="gpu")
    assert (tpu.coefficients(7).width, tpu.coefficients(7).depth) == (3.26, 3.44)
    assert (gpu.coefficients(7).width, gpu.coefficients(7).depth) == (2.58, 5.46)
    assert tpu.at(B0, 4).resolution == 299


def test_compound_takes_coefficients_of_its_own() -> None:
    rule = get_rule("compound", alpha=1.1, beta=1.2, gamma=1.05)
    assert rule.coefficients(2) == compound(1.1, 1.2, 1.05, 2)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("magic", {}, r"`rule` must be one of compound, .*but got 'magic'"),
        ("compound", {"alpha": "big"}, r"`alpha` must be a number, but got 'big'"),
        ("compound", {"alpha": -1.0}, r"`depth` must be above 0"),
        ("compound", {"omega": 1}, r"`omega` is not a known field"),
        ("fast", {"alpha": 2.0}, r"`alpha` must be from 0 to 1"),
        ("mobilenet", {"width_share": -1.0}, r"`width_share` must be from 0 to 1"),
        ("published", {"family": "resnet"}, r"`family` must be one of"),
        ("efficientnet_x", {"device": "abacus"}, r"`device` must be one of"),
        ("width", {"rounding": {"head": "sometimes"}}, r"`head` must be one of"),
    ],
)
def test_a_wrong_rule_or_setting_is_named(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        get_rule(name, **options)
