"""The genotype: one network as plain frozen data, independent of any weights.

Everything is a resolved integer (expanded channels, squeezed channels), never a ratio that a
rule must be known to read. What has no effect is put into one form when an architecture is
made, so that equal networks are equal here and have equal fingerprints:

- identity blocks are dropped (they have no layers);
- an identity skip is none where the block changes the shape, a projected one is an identity
  where it doesn't;
- expanded channels, an activation after the pointwise layer and the like are cleared on
  operators that don't have them;
- drop-connect is 0 where no block but the first has a skip, and the padding is torch's where
  nothing strides.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from search_spaces.errors import InvalidArchitectureError
from search_spaces.parts import (
    Activation,
    Block,
    Gate,
    Head,
    InvalidFieldError,
    Operator,
    Padding,
    Skip,
    SqueezeExcitation,
    Stem,
    check_members,
    check_share,
    check_whole,
)
from search_spaces.plain import PlainError, from_plain, short, to_plain

__all__ = [
    "Activation",
    "Architecture",
    "Block",
    "Gate",
    "Head",
    "InvalidFieldError",
    "Operator",
    "Padding",
    "PlacedBlock",
    "Skip",
    "SqueezeExcitation",
    "Stage",
    "Stem",
    "strided",
]

FORMAT_VERSION = 1
MAX_RESOLUTION = 8_192
MAX_CLASSES = 10_000_000
MAX_BLOCKS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Consecutive blocks at one output resolution, together scaled in depth and width.

    Only the first block of a stage may have stride 2. How a network is cut into stages decides
    how it scales, so it is part of what the network is, and of its fingerprint.
    """

    blocks: tuple[Block, ...]

    @property
    def out_channels(self) -> int:
        return self.blocks[-1].out_channels


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """A block with where it stands: its stage, its place there, and its shapes (pixels a side)."""

    stage: int
    index: int
    block: Block
    in_channels: int
    in_size: int
    out_size: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network: stem, stages, head, and what it reads and answers.

    Args:
        resolution: Side of the square input, in pixels.
        input_channels: 1 for grey, 3 for RGB.
        num_classes: Outputs of the classifier.
        dropout: Share dropped before the classifier, in training only.
        drop_connect: Share of the last block dropped in training; it grows linearly from 0 at
            the first block, as in EfficientNet (block i of N has `drop_connect * i / N`).
        batch_norm_eps, batch_norm_momentum: As torch defines them (TensorFlow's momentum
            0.99 is 0.01 here).

    Raises:
        InvalidArchitectureError: If a field breaks its rule, or blocks don't fit together.

    >>> block = Block(operator=Operator.SEPARABLE, out_channels=16, skip=Skip.IDENTITY)
    >>> tiny = Architecture(stem=Stem(channels=8), stages=(Stage(blocks=(block,)),), resolution=32)
    >>> tiny.stages[0].blocks[0].skip.value    # 8 to 16 channels: there is nothing to add
    'none'
    >>> Architecture.from_json(tiny.to_json()) == tiny
    True
    """

    stem: Stem
    stages: tuple[Stage, ...]
    head: Head = Head()  # noqa: RUF009 - frozen, so one instance may be shared
    resolution: int = 224
    input_channels: int = 3
    num_classes: int = 1000
    dropout: float = 0.0
    drop_connect: float = 0.0
    batch_norm_eps: float = 1e-5
    batch_norm_momentum: float = 0.1
    padding: Padding = Padding.TORCH

    def __post_init__(self) -> None:
        check_whole("resolution", self.resolution, 1, MAX_RESOLUTION)
        check_whole("input_channels", self.input_channels, 1, 64)
        check_whole("num_classes", self.num_classes, 1, MAX_CLASSES)
        check_share("dropout", self.dropout)
        check_share("drop_connect", self.drop_connect)
        check_members(self, padding=Padding)
        for name in ("batch_norm_eps", "batch_norm_momentum"):
            value = getattr(self, name)
            if type(value) is not float or not 0.0 < value <= 1.0:
                raise InvalidFieldError(
                    name, f"must be above 0.0, up to 1.0, but got {short(value)}."
                )
        object.__setattr__(self, "stages", _chain(self.stem.channels, self.stages))
        blocks = [block for stage in self.stages for block in stage.blocks]
        if all(block.skip is Skip.NONE for block in blocks[1:]):
            object.__setattr__(self, "drop_connect", 0.0)
        parts: list[Stem | Block] = [self.stem, *blocks]
        pooled = any(block.skip is Skip.POOL and block.stride > 1 for block in blocks)
        if not pooled and all(part.stride == 1 or part.kernel_size == 1 for part in parts):
            object.__setattr__(self, "padding", Padding.TORCH)

    def walk(self) -> Iterator[PlacedBlock]:
        """Go through the blocks in order, with the shapes that each sees."""
        channels, size = self.stem.channels, strided(self.resolution, self.stem.stride)
        for s, stage in enumerate(self.stages):
            for b, block in enumerate(stage.blocks):
                out_size = strided(size, block.stride)
                yield PlacedBlock(s, b, block, channels, size, out_size)
                channels, size = block.out_channels, out_size

    @cached_property
    def _plain(self) -> dict[str, Any]:
        """The plain form, for reading only: it is made once for fingerprints and JSON."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits, the same in every run, process, Python and format version."""
        return _digest(self._plain)

    @cached_property
    def body_fingerprint(self) -> str:
        """The same, of what does not depend on the task: without resolution, input channels
        and classes. Transfer, warm starts and weight sharing go by it."""
        task = ("resolution", "input_channels", "num_classes")
        body = {k: v for k, v in self._plain.items() if k not in task}
        return _digest({"body": body})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the version of the format; defaults are left out."""
        return {"version": FORMAT_VERSION, **to_plain(self)}

    def to_json(self, indent: int | None = None) -> str:
        """The canonical JSON form: sorted keys, no spaces unless `indent` asks for them."""
        separators = (",", ": ") if indent else (",", ":")
        document = {"version": FORMAT_VERSION, **self._plain}
        return json.dumps(document, sort_keys=True, separators=separators, indent=indent)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read `to_dict`'s form; an unknown field or a wrong value is named with its place."""
        if not isinstance(data, Mapping):
            raise InvalidArchitectureError(
                f"An architecture must be a mapping, but got {type(data).__name__}."
            )
        version = data.get("version", FORMAT_VERSION)
        if type(version) is not int or version != FORMAT_VERSION:
            raise InvalidArchitectureError(
                f"`version` must be {FORMAT_VERSION}, but got {short(version)}. "
                "Update this package."
            )
        try:
            return from_plain(cls, {k: v for k, v in data.items() if k != "version"})
        except InvalidArchitectureError:
            raise
        except PlainError as error:
            raise InvalidFieldError(error.path, error.problem) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json`'s form."""
        try:
            data = json.loads(text, object_pairs_hook=_without_duplicates)
        except (ValueError, RecursionError) as error:
            raise InvalidArchitectureError(
                f"An architecture must be JSON, but got: {error}"
            ) from None
        return cls.from_dict(data)


def strided(size: int, stride: int) -> int:
    """Pixels a side after a layer of that stride: both paddings give the size divided, upwards.

    >>> strided(15, 2), strided(224, 2)
    (8, 112)
    """
    return -(-size // stride)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the field {short(twice)} twice in one mapping")
    return data


def _digest(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _chain(in_channels: int, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Fit the blocks together: check groups, drop what has no effect."""
    chained = []
    for s, stage in enumerate(stages):
        blocks = []
        for b, block in enumerate(stage.blocks):
            place = f"stages[{s}].blocks[{b}]"
            if b and block.stride > 1:
                raise InvalidFieldError(
                    f"{place}.stride", "must be 1 but in a stage's first block; begin a new stage."
                )
            settled = settle(block, in_channels)
            if settled is None:
                if block.stride > 1 or block.out_channels != in_channels:
                    raise InvalidFieldError(
                        f"{place}.operator",
                        "must not be 'identity' where channels or size change; "
                        "use a conv block of kernel 1 with activation 'none'.",
                    )
                continue
            _check_groups(place, block, in_channels)
            blocks.append(settled)
            in_channels = block.out_channels
        if blocks:
            chained.append(Stage(blocks=tuple(blocks)))
    if not chained:
        raise InvalidFieldError("stages", "must hold at least one block that computes something.")
    if sum(len(stage.blocks) for stage in chained) > MAX_BLOCKS:
        raise InvalidFieldError("stages", f"must hold at most {MAX_BLOCKS} blocks.")
    return tuple(chained)


def settle(block: Block, in_channels: int) -> Block | None:
    """The block in its one form after so many channels; None for identity, which has no layers."""
    if block.operator is Operator.IDENTITY:
        return None
    same_shape = block.stride == 1 and block.out_channels == in_channels
    if block.skip is Skip.IDENTITY and not same_shape:
        return replace(block, skip=Skip.NONE)
    if block.skip is Skip.PROJECTION and same_shape:
        return replace(block, skip=Skip.IDENTITY)
    return block


def _check_groups(place: str, block: Block, in_channels: int) -> None:
    """Grouped layers need every channel number that they touch to divide by the groups."""
    touched = [block.out_channels, in_channels]
    if block.expanded_channels is not None:
        touched.append(block.expanded_channels)
    if any(channels % block.groups for channels in touched):
        raise InvalidFieldError(
            f"{place}.groups",
            f"must divide the block's channels {tuple(touched)}, but got {block.groups}.",
        )
