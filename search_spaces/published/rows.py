"""Rows as the papers' tables have them, and the stages that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from search_spaces.architecture import Activation, Block, Operator, Skip, SqueezeExcitation, Stage
from search_spaces.channels import make_divisible
from search_spaces.stage_space import SqueezeRule


class Row(NamedTuple):
    """Equal blocks in sequence; only the first of them strides.

    Args:
        expansion: Expanded over input channels. At 1 there is no expanding layer: a separable
            block, or one convolution where it is `fused`.
        se_ratio: Squeezed channels over those that the family's rule names; 0 for none.
        activation: Of these blocks, where it is not the family's.
    """

    expansion: float
    kernel_size: int
    stride: int
    channels: int
    repeats: int = 1
    se_ratio: float = 0.0
    skip: Skip = Skip.IDENTITY
    fused: bool = False
    activation: Activation | None = None


def build_stages(
    stages: Iterable[Sequence[Row]],
    in_channels: int,
    activation: Activation,
    squeeze: SqueezeRule,
) -> tuple[Stage, ...]:
    """Resolve rows to blocks; each sequence of rows is a stage."""
    built = []
    for rows in stages:
        blocks = []
        for row in rows:
            for repeat in range(row.repeats):
                stride = row.stride if repeat == 0 else 1
                blocks.append(_block(row, in_channels, stride, activation, squeeze))
                in_channels = row.channels
        built.append(Stage(blocks=tuple(blocks)))
    return tuple(built)


def _block(
    row: Row, in_channels: int, stride: int, activation: Activation, squeeze: SqueezeRule
) -> Block:
    expanded = make_divisible(in_channels * row.expansion)
    if row.expansion == 1:
        operator, inner = (Operator.CONV if row.fused else Operator.SEPARABLE), in_channels
    else:
        operator, inner = (Operator.FUSED_MBCONV if row.fused else Operator.MBCONV), expanded
    squeezed: SqueezeExcitation | None = None
    if row.se_ratio:
        squeezed = squeeze.build(row.se_ratio, in_channels, inner)
    return Block(
        operator=operator,
        out_channels=row.channels,
        expanded_channels=expanded,
        kernel_size=row.kernel_size,
        stride=stride,
        activation=row.activation or activation,
        squeeze_excitation=squeezed,
        skip=row.skip,
    )
