"""Factors to networks: the papers' families, to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cost import count
from nas.errors import InvalidRequestError
from nas.scaling import Coefficients, Rounding, compound, scale, shape_of
from search_spaces.architecture import Architecture, Block, Operator, Skip, Stage, Stem
from search_spaces.parts import SqueezeExcitation
from search_spaces.published import get_published
from tests.nas.scaling.networks import baselines

B0 = get_published("efficientnet_b0")

# name, width, depth, resolution, as published; parameters and MACs as counted
FAMILY = [
    ("efficientnet_b0", 1.0, 1.0, 224, 5_288_548, 385_814_752),
    ("efficientnet_b1", 1.0, 1.1, 240, 7_794_184, 686_802_832),
    ("efficientnet_b2", 1.1, 1.2, 260, 9_109_994, 993_561_872),
    ("efficientnet_b3", 1.2, 1.4, 300, 12_233_232, 1_827_141_392),
    ("efficientnet_b4", 1.4, 1.8, 380, 19_341_616, 4_393_771_024),
    ("efficientnet_b5", 1.6, 2.2, 456, 30_389_784, 10_266_384_752),
    ("efficientnet_b6", 1.8, 2.6, 528, 43_040_704, 19_067_593_536),
    ("efficientnet_b7", 2.0, 3.1, 600, 66_347_960, 37_745_884_192),
    ("efficientnet_b8", 2.2, 3.6, 672, 87_413_142, 62_597_461_568),
    ("efficientnet_l2", 4.3, 5.3, 800, 480_309_308, 475_703_653_280),
]


@pytest.mark.parametrize(("name", "width", "depth", "resolution", "parameters", "macs"), FAMILY)
def test_b0_at_the_published_coefficients_is_the_published_network(
    name: str, width: float, depth: float, resolution: int, parameters: int, macs: int
) -> None:
    member = scale(B0, Coefficients(depth=depth, width=width, resolution=resolution / 224))
    published = get_published(name)
    assert replace(member, dropout=published.dropout) == published
    assert (count(member).parameters, count(member).macs) == (parameters, macs)


@pytest.mark.parametrize(
    ("phi", "resolution", "parameters", "macs"),
    [
        (1, 258, 9_109_994, 992_629_472),
        (2, 296, 12_255_408, 1_810_522_464),
        (3, 341, 16_350_296, 3_250_916_456),
        (4, 392, 25_916_448, 6_319_727_088),
        (5, 451, 33_726_740, 11_374_487_904),
        (6, 518, 45_464_648, 20_094_026_560),
        (7, 596, 68_741_810, 39_663_901_696),
    ],
)
def test_the_pure_rule_gives_its_members(
    phi: int, resolution: int, parameters: int, macs: int
) -> None:
    member = scale(B0, compound(1.2, 1.1, 1.15, phi))
    costs = count(member)
    assert (member.resolution, costs.parameters, costs.macs) == (resolution, parameters, macs)


@pytest.mark.parametrize(
    ("coefficients", "macs"),
    [
        (Coefficients(depth=4), 1_575_132_640),
        (Coefficients(width=2), 1_449_958_848),
        (Coefficients(resolution=2), 1_537_537_408),
        (Coefficients(depth=1.4, width=1.2, resolution=291 / 224), 1_800_091_280),
    ],
)
def test_the_papers_table_7_as_recounted(coefficients: Coefficients, macs: int) -> None:
    assert count(scale(B0, coefficients)).macs == macs


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
@pytest.mark.parametrize("width", [0.25, 0.35, 0.5, 0.75, 1.3, 1.4])
def test_a_mobilenet_times_a_width_is_the_published_one(name: str, width: float) -> None:
    rounding = Rounding(channels="slim" if name == "mobilenet_v1" else "round_filters", head="up")
    wide = scale(get_published(name), Coefficients(width=width), rounding)
    made = __import__(f"search_spaces.published.{name}", fromlist=[name])
    assert wide == getattr(made, name)(width)


@pytest.mark.parametrize("baseline", baselines(), ids=lambda a: a.fingerprint[:6])
def test_coefficients_of_one_change_nothing(baseline: Architecture) -> None:
    for rounding in (Rounding(), Rounding(repeats="nearest", stem=False, head="no")):
        assert scale(baseline, Coefficients(), rounding) == baseline


@settings(max_examples=60, deadline=None)
@given(
    baseline=st.sampled_from(baselines()),
    small=st.tuples(*[st.floats(0.2, 3.0)] * 3),
    growth=st.tuples(*[st.floats(1.0, 2.0)] * 3),
)
def test_larger_coefficients_never_make_a_smaller_network(
    baseline: Architecture,
    small: tuple[float, float, float],
    growth: tuple[float, float, float],
) -> None:
    d, w, r = small
    low = Coefficients(depth=d, width=w, resolution=r)
    high = Coefficients(depth=d * growth[0], width=w * growth[1], resolution=r * growth[2])
    less, more = count(scale(baseline, low)), count(scale(baseline, high))
    assert less.macs <= more.macs
    assert less.parameters <= more.parameters


def test_depth_adds_copies_of_the_last_block_and_takes_from_the_end() -> None:
    def block(kernel_size: int, stride: int = 1) -> Block:
        return Block(
            operator=Operator.MBCONV, out_channels=16, expanded_channels=48, skip=Skip.IDENTITY,
            kernel_size=kernel_size, stride=stride,
        )  # fmt: skip

    baseline = Architecture(
        stem=Stem(channels=16), stages=(Stage(blocks=(block(3, 2), block(5), block(7))),)
    )

    def kernels(depth: float) -> list[int]:
        member = scale(baseline, Coefficients(depth=depth))
        assert [b.stride for b in member.stages[0].blocks][1:] == [1] * (
            len(member.stages[0].blocks) - 1
        )
        return [b.kernel_size for b in member.stages[0].blocks]

    assert kernels(5 / 3) == [3, 5, 7, 7, 7]
    assert kernels(2 / 3) == [3, 5]
    assert kernels(0.01) == [3]


def test_a_copy_of_a_block_that_changed_the_shape_gets_the_skip_of_its_network() -> None:
    deeper = scale(B0, Coefficients(depth=2))
    assert [b.skip for b in deeper.stages[0].blocks] == [Skip.NONE, Skip.IDENTITY]
    plain = scale(get_published("mobilenet_v1"), Coefficients(depth=2))
    assert {b.skip for stage in plain.stages for b in stage.blocks} == {Skip.NONE}


def test_mobilenet_v3_style_squeeze_follows_the_expanded_channels() -> None:
    def block(expanded: int, squeezed: int, out: int) -> Block:
        return Block(
            operator=Operator.MBCONV, out_channels=out, expanded_channels=expanded,
            squeeze_excitation=SqueezeExcitation(channels=squeezed),
        )  # fmt: skip

    # two blocks of MobileNetV3-Large (arXiv 1905.02244, Table 1): SE of a quarter, times 8
    baseline = Architecture(
        stem=Stem(channels=24), stages=(Stage(blocks=(block(72, 24, 40), block(120, 32, 40))),)
    )
    narrow = scale(baseline, Coefficients(width=0.75))
    assert [
        (b.expanded_channels, b.squeeze_excitation.channels)
        for b in narrow.stages[0].blocks
        if b.squeeze_excitation
    ] == [(72, 24), (96, 24)]  # inputs 18 -> 24 (16 is below 90 %) and 30 -> 32; 3 times; a quarter


def test_groups_shrink_where_they_no_longer_divide() -> None:
    block = Block(operator=Operator.CONV, out_channels=30, groups=6)
    baseline = Architecture(stem=Stem(channels=12), stages=(Stage(blocks=(block,)),))
    wide = scale(baseline, Coefficients(width=1.5))  # 12 -> 24 (16 is less than 90 %), 30 -> 48
    assert (wide.stem.channels, wide.stages[0].blocks[0].groups) == (24, 6)
    wider = scale(baseline, Coefficients(width=2.6))  # 32 and 80
    assert wider.stages[0].blocks[0].groups == 2


def test_lite_leaves_stem_head_and_the_end_stages_repeats() -> None:
    rounding = Rounding(stem=False, head="no", end_repeats=False)
    shape = shape_of(B0, Coefficients(depth=1.8, width=1.4), rounding)
    assert (shape.stem, shape.head, shape.repeats) == (32, (1280, 0), (1, 4, 4, 6, 6, 8, 1))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_coefficient_that_scales_nothing_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequestError, match=r"`width` must be above 0"):
        Coefficients(width=value)
