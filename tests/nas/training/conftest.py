"""A small part of the digits, and a network that learns them in seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.data import DataSpec, ImageData, load_data
from nas.data.images import Part
from search_spaces.architecture import (
    Architecture,
    Block,
    Head,
    Operator,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)


def first(part: Part, count: int) -> Part:
    return Part(part.images[:count], part.labels[:count])


@pytest.fixture(scope="session")
def digits() -> ImageData:
    data = load_data(DataSpec())
    return replace(data, train=first(data.train, 300), val=first(data.val, 100))


@pytest.fixture
def tiny() -> Architecture:
    """Two blocks with all that training treats specially: squeeze-excitation, dropouts, a skip."""
    block = Block(
        operator=Operator.MBCONV,
        out_channels=16,
        expanded_channels=32,
        squeeze_excitation=SqueezeExcitation(channels=4),
        skip=Skip.IDENTITY,
    )
    first_block = Block(operator=Operator.CONV, out_channels=16, stride=2)
    return Architecture(
        stem=Stem(channels=8, stride=1),
        stages=(Stage(blocks=(first_block, block)),),
        head=Head(channels=32),
        resolution=8,
        input_channels=1,
        num_classes=10,
        dropout=0.1,
        drop_connect=0.2,
    )
