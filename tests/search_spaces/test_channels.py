"""The papers' rounding rules, by the papers' own numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.channels import (
    make_divisible,
    round_filters,
    round_filters_v2,
    round_repeats,
    scale_channels_slim,
)

B0 = (32, 16, 24, 40, 80, 112, 192, 320, 1280)


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (1.0, B0),
        (1.1, (32, 16, 24, 48, 88, 120, 208, 352, 1408)),
        (1.2, (40, 24, 32, 48, 96, 136, 232, 384, 1536)),
        (1.4, (48, 24, 32, 56, 112, 160, 272, 448, 1792)),
        (2.0, (64, 32, 48, 80, 160, 224, 384, 640, 2560)),
    ],
)
def test_b0_to_b7s_channels(width, channels):
    assert tuple(round_filters(c, width) for c in B0) == channels


def test_the_ten_percent_rule_fires_once_within_b0_to_b7():
    fired = {
        (width, c)
        for width in (1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
        for c in B0
        if round_filters(c, width) != round_filters_v2(c, width)
    }
    assert fired == {(1.2, 16)}


@pytest.mark.parametrize(
    ("depth", "repeats"),
    [
        (1.0, (1, 2, 2, 3, 3, 4, 1)),
        (1.1, (2, 3, 3, 4, 4, 5, 2)),
        (1.4, (2, 3, 3, 5, 5, 6, 2)),
        (2.6, (3, 6, 6, 8, 8, 11, 3)),
        (3.1, (4, 7, 7, 10, 10, 13, 4)),
    ],
)
def test_b0_to_b7s_repeats(depth, repeats):
    assert tuple(round_repeats(n, depth) for n in (1, 2, 2, 3, 3, 4, 1)) == repeats


def test_slims_rule_needs_no_divisor():
    assert [scale_channels_slim(c, 0.35) for c in (32, 64, 16)] == [11, 22, 8]


@given(st.floats(1, 5_000), st.sampled_from([1, 4, 8, 16]))
def test_divisible_channels_are_near_and_never_below_nine_tenths(channels, divisor):
    rounded = make_divisible(channels, divisor)
    assert rounded % divisor == 0
    assert rounded >= 0.9 * channels
    assert abs(rounded - channels) <= divisor
