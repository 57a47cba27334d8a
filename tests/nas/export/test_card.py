"""Model cards: their JSON, and what they refuse."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data.resize import RESIZE_RULE
from nas.export import InvalidCardError, ModelCard

CARD = ModelCard(
    classes=("cat", "Hündin", "🐕"),
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.3, 0.25),
    stored_size=(48, 64),
    resolution=96,
    fingerprint="0123456789abcdef" * 2,
    accuracy=0.97,
    accuracy_error=0.004,
)


def test_the_json_form_leaves_nothing_to_be_looked_up():
    data = json.loads(CARD.to_json())
    assert data["classes"] == ["cat", "Hündin", "🐕"]
    assert data["mean"] == [0.4, 0.5, 0.6]
    assert data["std"] == [0.2, 0.3, 0.25]
    assert data["color_order"] == "rgb"
    assert data["stored_size"] == [48, 64]
    assert data["resize_rule"] == RESIZE_RULE
    assert data["input_shape"] == ["batch", 3, 96, 96]
    assert data["input"].endswith("(pixel / 255 - mean) / std")
    assert data["accuracy"] == 0.97
    assert data["accuracy_error"] == 0.004
    assert data["accuracy_metric"] == "test_accuracy"
    assert data["fingerprint"] == CARD.fingerprint
    assert data["package_version"]
    assert ModelCard.from_dict(data) == CARD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", ()),
        ("mean", (0.5, 0.5)),
        ("mean", (0.5, float("nan"), 0.5)),
        ("std", (0.5,)),
        ("std", (0.0, 0.5, 0.5)),
        ("stored_size", (8,)),
        ("stored_size", (0, 8)),
        ("resolution", 1_000_000),
        ("resize_rule", "crop the middle"),
    ],
)
def test_a_wrong_field_is_named(field, value):
    with pytest.raises(InvalidCardError, match=f"`{field}`"):
        replace(CARD, **{field: value})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(CARD.to_dict())), anything)
def test_a_broken_document_is_refused_with_its_own_error(field, value):
    with contextlib.suppress(InvalidCardError):  # and nothing else
        ModelCard.from_dict(CARD.to_dict() | {field: value})


@given(st.text() | anything.map(json.dumps))
def test_text_that_is_no_card_is_refused(text):
    with pytest.raises(InvalidCardError):
        ModelCard.from_json(text)
