"""The tables of published networks, and their names."""

from __future__ import annotations

import pytest

from search_spaces.architecture import Architecture
from search_spaces.errors import UnknownNameError
from search_spaces.published import PUBLISHED, get_published, published_names


def test_every_entry_is_built_and_keeps_its_name() -> None:
    for name in published_names():
        assert isinstance(get_published(name), Architecture)
        assert PUBLISHED[name].name == name
        assert PUBLISHED[name].source


def test_different_names_mean_different_networks() -> None:
    fingerprints = [get_published(name).fingerprint for name in published_names()]
    assert len(set(fingerprints)) == len(fingerprints)


def test_an_unknown_name_is_answered_with_those_near_it() -> None:
    with pytest.raises(UnknownNameError, match="efficientnet_b0"):
        get_published("efficentnet_b0")
    with pytest.raises(UnknownNameError, match="mobilenet_v1"):
        get_published("?")
    with pytest.raises(UnknownNameError, match="tf_tf_efficientnet_b0"):
        get_published("tf_tf_efficientnet_b0")


def test_a_family_answers_to_any_width_and_resolution() -> None:
    assert get_published("mobilenet_v1_0.5_160") == PUBLISHED["mobilenet_v1_0.5_160"].architecture
    assert get_published("mobilenet_v1_0.6_176").stages[0].out_channels == int(64 * 0.6)
    with pytest.raises(UnknownNameError):
        get_published("efficientnet_b0_0.5")
