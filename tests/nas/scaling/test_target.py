"""Targets as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InvalidRequestError
from nas.quantity import Bound
from nas.scaling import parse_phis, parse_target, parse_targets
from search_spaces.published import get_published

B0 = get_published("efficientnet_b0")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("macs<=1.2G", Bound("macs", 1.2e9)),
        ("parameters <= 8M", Bound("parameters", 8e6)),
        ("memory_bytes<=512M", Bound("memory_bytes", 512e6)),
        ("memory_bytes<=512Mi", Bound("memory_bytes", 512 * 2.0**20)),
        ("activations<=900k", Bound("activations", 900e3)),
        (" latency_ms <= 20 ", Bound("latency_ms", 20.0)),
        ("2x", Bound("macs", 2 * 385_814_752)),
        ("0.5X", Bound("macs", 0.5 * 385_814_752)),
        ("parameters<=2x", Bound("parameters", 2 * 5_288_548)),
    ],
)
def test_a_target_is_read(text: str, target: Bound) -> None:
    assert parse_target(text, B0) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must read like"),
        ("fast", "must read like"),
        ("macs 1G", "must read like"),
        ("macs<=", "must read like"),
        ("accuracy<=0.9", "must be on one of macs, .*but got 'accuracy'"),
        ("macs>=1G", "must be an upper bound; write macs<=1G instead of 'macs>=1G'"),
        ("macs<1G", "must be an upper bound"),
        ("macs=1G", "must be an upper bound"),
        ("macs<=1Q", "A quantity must be a number such as 400M"),
        ("macs<=0", "must be above 0"),
        ("macs<=-5", "must be above 0"),
        ("0x", "must be above 0"),
        ("latency_ms<=2x", "write the latency in milliseconds"),
        ("latency_ms<=20ms", "A quantity must be a number"),
    ],
)
def test_a_wrong_target_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message) as error:
        parse_target(text, B0)
    assert "\n" not in str(error.value)


@given(st.text(max_size=300))
def test_any_text_is_a_target_or_a_refusal(text: str) -> None:
    with contextlib.suppress(InvalidRequestError):
        assert parse_target(text, B0).limit > 0


def test_targets_are_on_different_metrics() -> None:
    assert len(parse_targets(["2x", "parameters<=8M"], B0)) == 2
    for texts in ([], ["2x", "macs<=1G"]):
        with pytest.raises(InvalidRequestError, match="each on another metric"):
            parse_targets(texts, B0)


@pytest.mark.parametrize(
    ("text", "phis"),
    [
        ("1", (1.0,)),
        ("3, 1,2,1", (1.0, 2.0, 3.0)),
        ("-2..1", (-2.0, -1.0, 0.0, 1.0)),
        ("0.5,3.5", (0.5, 3.5)),
    ],
)
def test_a_list_of_phi_is_read(text: str, phis: tuple[float, ...]) -> None:
    assert parse_phis(text) == phis


@pytest.mark.parametrize("text", ["", "a", "1,,2", "3..1", "0.5..2", "nan", "inf", "1e9", "1..999"])
def test_a_wrong_list_of_phi_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="A list of phi must read like"):
        parse_phis(text)
