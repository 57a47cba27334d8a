"""The papers' rounding rules for channels and repeats."""

from __future__ import annotations

import math


def make_divisible(channels: float, divisor: int = 8, minimum: int | None = None) -> int:
    """Round to a multiple of `divisor`, never below 90 % of `channels`.

    The rule of MobileNetV2, V3 and EfficientNet's `round_filters`
    (tensorflow/tpu, models/official/efficientnet/efficientnet_model.py).

    >>> make_divisible(16 * 1.2), make_divisible(24 * 1.1)
    (24, 24)
    """
    rounded = max(minimum or divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def round_filters(channels: int, width: float, divisor: int = 8) -> int:
    """Scale channels by `width` as EfficientNet-B0 to B7 do.

    A width of exactly 1 leaves any number of channels as it is.

    >>> [round_filters(c, 2.0) for c in (32, 16, 24, 40)]
    [64, 32, 48, 80]
    """
    return channels if width == 1.0 else make_divisible(channels * width, divisor)


def round_filters_v2(channels: int, width: float, divisor: int = 8) -> int:
    """Scale channels as EfficientNetV2 does: to the nearest multiple, without the 90 % rule.

    Source: google/automl, efficientnetv2/effnetv2_model.py.

    >>> round_filters_v2(16, 1.2), round_filters(16, 1.2)
    (16, 24)
    """
    if width == 1.0:
        return channels
    return max(divisor, int(channels * width + divisor / 2) // divisor * divisor)


def scale_channels_slim(channels: int, width: float) -> int:
    """Scale channels as MobileNetV1's slim code does: cut to a whole number, at least 8.

    >>> scale_channels_slim(32, 0.75), scale_channels_slim(8, 0.25)
    (24, 8)
    """
    return max(int(channels * width), 8)


def round_repeats(repeats: int, depth: float) -> int:
    """Scale a number of blocks by `depth`, upwards, as EfficientNet does.

    >>> [round_repeats(n, 1.1) for n in (1, 2, 3, 4)]
    [2, 3, 4, 5]
    """
    # 1.2 * 5 is 6.000000000000001 to a float in other products; the rule means 6
    return math.ceil(round(depth * repeats, 9))


ROUNDING = {
    "round_filters": round_filters,
    "round_filters_v2": round_filters_v2,
    "slim": scale_channels_slim,
}
"""Rules for `channels * width` by the name that a space's YAML uses."""
