"""scale(baseline, coefficients) -> the scaled network, by way of its integer shape.

Factors become integers in `shape_of` and a network in `build`; the solver moves between the
two, over the shapes near a rule's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nas.errors import InvalidRequestError
from nas.scaling.coefficients import Coefficients
from nas.scaling.squeeze import Widen, infer_squeeze, squeeze_of
from search_spaces.architecture import (
    MAX_BLOCKS,
    Architecture,
    Block,
    InvalidFieldError,
    Skip,
    Stage,
)
from search_spaces.channels import ROUNDING, make_divisible, round_repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """How factors become integers. The defaults are EfficientNet's.

    Args:
        channels: Name of the rule for channels (`search_spaces.channels.ROUNDING`).
        repeats: 'up' (EfficientNet's ceil) or 'nearest' (TinyNet, fast scaling; at least 1).
        resolution_step: Pixels that the resolution is a multiple of; always the nearest one.
        stem: Whether width reaches the stem.
        head: Whether width reaches the last layer before the classifier: 'yes', 'no', or 'up'
            for one that only grows (MobileNetV2, TinyNet).
        end_repeats: Whether depth reaches the first and the last stage (not so in Lite).
        max_resolution: Pixels that growth stops at; a baseline above keeps its own.
    """

    channels: str = "round_filters"
    repeats: str = "up"
    resolution_step: int = 1
    stem: bool = True
    head: str = "yes"
    end_repeats: bool = True
    max_resolution: int | None = None

    def __post_init__(self) -> None:
        options = {
            "channels": tuple(ROUNDING),
            "repeats": ("up", "nearest"),
            "head": ("yes", "no", "up"),
        }
        for name, allowed in options.items():
            if getattr(self, name) not in allowed:
                raise InvalidRequestError(
                    f"`{name}` must be one of {', '.join(allowed)}, "
                    f"but got {getattr(self, name)!r}."
                )
        if not 1 <= self.resolution_step <= 1024:
            raise InvalidRequestError(
                f"`resolution_step` must be from 1 to 1024, but got {self.resolution_step!r}."
            )
        if self.max_resolution is not None and self.max_resolution < 1:
            raise InvalidRequestError(
                f"`max_resolution` must be at least 1, but got {self.max_resolution!r}."
            )


EFFICIENTNET_ROUNDING = Rounding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The integers that scaling sets; everything else of a network is its baseline's.

    Args:
        channels: Output channels of every block of the baseline, stage by stage.
        repeats: Blocks of every stage.
        head: Channels of the head's convolution, and of its hidden layer (0: there is none).
    """

    stem: int
    channels: tuple[tuple[int, ...], ...]
    repeats: tuple[int, ...]
    head: tuple[int, int]
    resolution: int


def scale(
    architecture: Architecture,
    coefficients: Coefficients,
    rounding: Rounding = EFFICIENTNET_ROUNDING,
) -> Architecture:
    """Make a network deeper, wider and finer, or less of each.

    Width reaches stem, stages and head; depth reaches every stage; expanded and squeezed
    channels follow as `build` says. Dropout and drop-connect stay as they are.

    Raises:
        InvalidArchitectureError: If the result is beyond what an architecture may be.

    >>> from search_spaces.published import get_published
    >>> b2 = scale(get_published("efficientnet_b0"), Coefficients(depth=1.2, width=1.1))
    >>> [stage.out_channels for stage in b2.stages], b2.head.channels
    ([16, 24, 48, 88, 120, 208, 352], 1408)
    """
    return build(architecture, shape_of(architecture, coefficients, rounding))


def shape_of(
    architecture: Architecture,
    coefficients: Coefficients,
    rounding: Rounding = EFFICIENTNET_ROUNDING,
) -> Shape:
    """The integer shape that coefficients mean for a network."""
    widen, width = ROUNDING[rounding.channels], coefficients.width
    stages, head = architecture.stages, architecture.head
    last = len(stages) - 1
    scales_head = rounding.head == "yes" or (rounding.head == "up" and width > 1.0)

    def wider(channels: int, scales: bool = True) -> int:
        return widen(channels, width) if scales and channels else channels

    def deeper(stage: int) -> int:
        blocks = len(stages[stage].blocks)
        if not rounding.end_repeats and stage in (0, last):
            return blocks
        return scale_repeats(blocks, coefficients.depth, rounding.repeats)

    return Shape(
        stem=wider(architecture.stem.channels, rounding.stem),
        channels=tuple(tuple(wider(b.out_channels) for b in s.blocks) for s in stages),
        repeats=tuple(deeper(s) for s in range(len(stages))),
        # before a hidden layer the convolution is one of the body's (MobileNetV3)
        head=(
            wider(head.channels, scales_head or head.hidden_channels > 0),
            wider(head.hidden_channels, scales_head),
        ),
        resolution=_resolution(architecture.resolution, coefficients.resolution, rounding),
    )


def _resolution(pixels: int, factor: float, rounding: Rounding) -> int:
    scaled = pixels if factor == 1.0 else nearest(pixels * factor, rounding.resolution_step)
    return min(scaled, max(pixels, rounding.max_resolution or scaled))


def scale_repeats(blocks: int, depth: float, how: str) -> int:
    """Blocks times depth, up or to the nearest; halves go to the even number, as in Python.

    >>> scale_repeats(3, 1.1, "up"), scale_repeats(3, 1.1, "nearest"), scale_repeats(1, 0.2, "up")
    (4, 3, 1)
    """
    if how == "up":
        return max(1, round_repeats(blocks, depth))
    return max(1, round(blocks * depth))


def nearest(value: float, step: int) -> int:
    """The multiple of `step` nearest to a positive value, at least one step.

    >>> nearest(257.6, 1), nearest(240.1, 4)
    (258, 240)
    """
    return max(1, math.floor(value / step + 0.5)) * step


def build(architecture: Architecture, shape: Shape) -> Architecture:
    """A network of that shape, in everything else like the given one.

    - A stage's first block stays. Added blocks are copies of its last one at stride 1; blocks
      are taken away from its end.
    - A block that changes the shape in the given network, and comes to keep it in this one, gets
      an identity skip if any block there has one: a genotype cannot tell whether it would.
    - Expanded channels keep each block's ratio to its input; a broken ratio (MobileNetV3's 2.3)
      is rounded to a multiple of 8 where the original is one.
    - Squeezed channels follow the rule of the network, as `infer_squeeze` reads it.
    - Groups that no longer divide the channels shrink to the largest number that does.

    Raises:
        InvalidArchitectureError: If the shape is beyond what an architecture may be.
    """
    if sum(shape.repeats) > MAX_BLOCKS:  # before as many are made
        raise InvalidFieldError("stages", f"must hold at most {MAX_BLOCKS:,} blocks.")
    fit = _Fit(
        widen=infer_squeeze(architecture),
        residual=any(b.skip is Skip.IDENTITY for s in architecture.stages for b in s.blocks),
    )
    stages, old_in, new_in = [], architecture.stem.channels, shape.stem
    for stage, widths, repeats in zip(
        architecture.stages, shape.channels, shape.repeats, strict=True
    ):
        stages.append(_build_stage(stage, old_in, new_in, widths, repeats, fit))
        old_in, new_in = stage.out_channels, stages[-1].out_channels
    return replace(
        architecture,
        stem=replace(architecture.stem, channels=shape.stem),
        stages=tuple(stages),
        head=replace(architecture.head, channels=shape.head[0], hidden_channels=shape.head[1]),
        resolution=shape.resolution,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """What a network's blocks have in common when they are fitted to new channels."""

    widen: Widen
    residual: bool


def _build_stage(
    stage: Stage, old_in: int, new_in: int, widths: tuple[int, ...], repeats: int, fit: _Fit
) -> Stage:
    blocks: list[Block] = []
    for block, width in list(zip(stage.blocks, widths))[:repeats]:
        blocks.append(_fit(block, old_in, new_in, width, fit))
        source, source_in = block, old_in
        old_in, new_in = block.out_channels, width
    if repeats > len(blocks):
        copy = _fit(source, source_in, new_in, new_in, fit)
        blocks += [replace(copy, stride=1)] * (repeats - len(blocks))
    return Stage(blocks=tuple(blocks))


def _changes_shape(block: Block, in_channels: int) -> bool:
    return block.stride > 1 or block.out_channels != in_channels


def _fit(block: Block, old_in: int, new_in: int, out_channels: int, fit: _Fit) -> Block:
    """The block at its new input and output channels."""
    skip = block.skip
    if fit.residual and skip is Skip.NONE and _changes_shape(block, old_in):
        skip = Skip.IDENTITY
    expanded = block.expanded_channels
    if expanded is not None:
        expanded = _expand(expanded, old_in, new_in)
    touched = (new_in, out_channels, *(() if expanded is None else (expanded,)))
    block = replace(
        block,
        out_channels=out_channels,
        expanded_channels=expanded,
        skip=skip,
        groups=math.gcd(block.groups, *touched),
    )
    return squeeze_of(block, fit.widen, old_in, new_in)


def _expand(expanded: int, old_in: int, new_in: int) -> int:
    if expanded % old_in == 0:
        return expanded // old_in * new_in
    if new_in == old_in:
        return expanded
    scaled = expanded * new_in / old_in
    return make_divisible(scaled) if expanded % 8 == 0 else max(1, round(scaled))
