"""AttentiveNAS A0 to A6, members of the space of that name (arXiv 2011.09011)."""

from __future__ import annotations

from functools import partial

from search_spaces.architecture import Architecture
from search_spaces.published.entry import Published


def attentive_nas(name: str) -> Architecture:
    """One of the paper's networks, `a0` to `a6`; A0 is the smallest of the space."""
    # a look-up of another network needs none of the spaces
    from search_spaces.spaces.attentive_nas import ATTENTIVE_NAS, attentive_nas_choices

    return ATTENTIVE_NAS.decode(attentive_nas_choices(name))


# top-1 and FLOPs as the paper prints them: Table 3
_PRINTED = {
    "a0": (77.3, "203M"),
    "a1": (78.4, "279M"),
    "a2": (78.8, "317M"),
    "a3": (79.1, "357M"),
    "a4": (79.8, "444M"),
    "a5": (80.1, "491M"),
    "a6": (80.7, "709M"),
}

ENTRIES = tuple(
    Published(
        name=f"attentive_nas_{name}",
        make=partial(attentive_nas, name),
        source="arXiv 2011.09011, Table 3",
        top1=top1,
        printed_macs=macs,
        note="the authors' own modules also hold 1x1 weights in identity shortcuts, never used",
    )
    for name, (top1, macs) in _PRINTED.items()
)
