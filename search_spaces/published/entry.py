"""One published network: how it is made, and what its paper says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from search_spaces.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Published:
    """A network of a paper.

    Args:
        make: Builds the network; called once, when `architecture` is first read.
        top1, top5: ImageNet accuracy in percent, where one was published.
        source: Where the accuracy and the printed numbers stand.
        printed_macs, printed_parameters: What the source prints (as FLOPs or Mult-Adds), as it
            prints it, such as `0.39B` or `5.3M`.
        note: Why print and count differ, where they do by a unit of the last digit or more.
    """

    name: str
    make: Callable[[], Architecture]
    source: str
    top1: float | None = None
    top5: float | None = None
    printed_macs: str | None = None
    printed_parameters: str | None = None
    note: str = ""

    @cached_property
    def architecture(self) -> Architecture:
        return self.make()
