"""What rule a network's squeeze-excitations follow, read off its resolved numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from search_spaces.architecture import Architecture, Block, SqueezeExcitation
from search_spaces.space import SqueezeRule

Widen = Callable[[SqueezeExcitation, int, int, int], SqueezeExcitation]
"""(squeeze-excitation, old input, new input, new inner channels) -> the scaled one."""

_RULES = (
    SqueezeRule(of="input"),  # EfficientNet, MnasNet, TinyNet
    SqueezeRule(of="expanded", divisor=8),  # MobileNetV3, Once-for-all, AttentiveNAS
    SqueezeRule(of="expanded"),
    SqueezeRule(of="input", divisor=8),
)
_SHARES = (1 / 4, 1 / 2, 1 / 8, 1 / 12, 1 / 16, 1 / 24, 1 / 6, 1 / 3, 1.0)


@lru_cache(maxsize=64)
def infer_squeeze(architecture: Architecture) -> Widen:
    """How to widen a network's squeeze-excitations: by the rule that gives all its own widths.

    A genotype stores widths, not rules. The first rule of the papers that gives every width of
    the network with one share is taken: a share of the block's input, cut to a whole number, at
    least 1 (EfficientNet, MnasNet); then a share of the expanded channels, rounded to 8
    (MobileNetV3, Once-for-all); then the two other combinations. Where none does, every block
    keeps its own share of its input, cut, at least 1.
    """
    placed = [
        (p.block.squeeze_excitation.channels, p.in_channels, p.block.inner_channels(p.in_channels))
        for p in architecture.walk()
        if p.block.squeeze_excitation is not None
    ]
    for rule in _RULES:
        for share in _SHARES:
            if all(rule.build(share, i, e).channels == width for width, i, e in placed):
                return _by_rule(rule, share)
    return _by_own_share


def _by_rule(rule: SqueezeRule, share: float) -> Widen:
    def widen(
        old: SqueezeExcitation, old_in: int, new_in: int, new_inner: int
    ) -> SqueezeExcitation:
        return replace(old, channels=rule.build(share, new_in, new_inner).channels)

    return widen


def _by_own_share(
    old: SqueezeExcitation, old_in: int, new_in: int, new_inner: int
) -> SqueezeExcitation:
    return replace(old, channels=max(1, old.channels * new_in // old_in))


def squeeze_of(block: Block, widen: Widen, old_in: int, new_in: int) -> Block:
    """The block with its squeeze-excitation at the width that its new channels ask for."""
    if block.squeeze_excitation is None:
        return block
    inner = block.inner_channels(new_in)
    return replace(block, squeeze_excitation=widen(block.squeeze_excitation, old_in, new_in, inner))
