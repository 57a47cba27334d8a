"""A network as people draw it: a slab a block, as high as its pixels, as wide as its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from nas.cost import Costs, count_stages
from nas.server.pages.charts import element
from search_spaces.architecture import Architecture, Block, PlacedBlock, Skip, strided

HIGHEST, LOWEST = 120.0, 10.0  # of a slab, in the drawing's units
WIDEST, NARROWEST = 44.0, 5.0
GAP, STAGE_GAP = 3.0, 18.0


@dataclass(frozen=True, slots=True)
class Slab:
    """A block of the drawing: its output's channels and pixels a side, its operator, and words."""

    channels: int
    size: int
    kind: str
    what: str


Slabs = tuple[Slab, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Stem, a stage, or head, as a row of the card.

    Args:
        cost_shares: Its share of the network's MACs and parameters.
    """

    name: str
    kind: str
    what: str
    slabs: Slabs
    in_size: int
    out_size: int
    channels: int
    costs: Costs
    cost_shares: tuple[float, float]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Operators of its blocks."""
        return tuple(dict.fromkeys(slab.kind for slab in self.slabs))


def parts_of(architecture: Architecture) -> list[Part]:
    """The network from its stem to its head, each part with its exact costs."""
    stages: dict[int, list[PlacedBlock]] = {}
    for placed in architecture.walk():
        stages.setdefault(placed.stage, []).append(placed)
    costs = count_stages(architecture)
    totals = [sum(getattr(c, m) for c in costs.values()) or 1 for m in ("macs", "parameters")]

    def part(
        key: str, name: str, kind: str, what: str, sizes: tuple[int, int], slabs: Slabs
    ) -> Part:
        cost = costs[key]
        return Part(
            name=name,
            kind=kind,
            what=what,
            slabs=slabs,
            in_size=sizes[0],
            out_size=sizes[1],
            channels=slabs[-1].channels,
            costs=cost,
            cost_shares=(cost.macs / totals[0], cost.parameters / totals[1]),
        )

    stem = architecture.stem
    size = strided(architecture.resolution, stem.stride)
    name = f"conv {stem.kernel_size}×{stem.kernel_size}" + (", stride 2" if stem.stride > 1 else "")
    parts = [
        part(
            "stem",
            "Stem",
            "stem",
            name,
            (architecture.resolution, size),
            (Slab(stem.channels, size, "stem", name),),
        )
    ]
    for number, blocks in stages.items():
        slabs = tuple(
            Slab(
                p.block.out_channels, p.out_size, kind_of(p.block), describe(p.block, p.in_channels)
            )
            for p in blocks
        )
        parts.append(
            part(
                f"stages.{number}",
                f"Stage {number + 1}",
                kind_of(blocks[0].block),
                _several([slab.what for slab in slabs]),
                (blocks[0].in_size, blocks[-1].out_size),
                slabs,
            )
        )
        size = blocks[-1].out_size
    head = architecture.head
    layers = [
        f"conv 1×1 to {head.channels}" if head.channels else "",
        "average pooling",
        f"linear to {head.hidden_channels}" if head.hidden_channels else "",
        f"classifier of {architecture.num_classes}",
    ]
    what = ", ".join(filter(None, layers))
    width = head.channels or architecture.num_classes
    parts.append(part("head", "Head", "head", what, (size, 1), (Slab(width, 1, "head", what),)))
    return parts


def kind_of(block: Block) -> str:
    """Its operator, as the page's styles name it."""
    return block.operator.value.replace("_", "-")


def describe(block: Block, in_channels: int) -> str:
    """A block in words: `mbconv 5×5, expands 6×, squeezes to 4, stride 2, skip`."""
    words = [f"{kind_of(block)} {block.kernel_size}×{block.kernel_size}"]
    if block.expanded_channels:
        words.append(f"expands {block.expanded_channels / in_channels:.3g}×")
    if block.squeeze_excitation is not None:
        words.append(f"squeezes to {block.squeeze_excitation.channels}")
    if block.groups > 1:
        words.append(f"{block.groups} groups")
    if block.stride > 1:
        words.append("stride 2")
    if block.skip is not Skip.NONE:
        words.append("skip" if block.skip is Skip.IDENTITY else f"{block.skip.value} skip")
    return ", ".join(words)


def _several(texts: Sequence[str]) -> str:
    """Blocks one after another, equal ones together."""
    runs: list[list[str]] = []
    for text in texts:
        if runs and runs[-1][0] == text:
            runs[-1].append(text)
        else:
            runs.append([text])
    return "; then ".join(f"{len(run)} × {run[0]}" if len(run) > 1 else run[0] for run in runs)


def draw(architecture: Architecture, parts: Sequence[Part], name: str) -> Markup:
    """The drawing; the table of parts beside it says the same in words."""
    largest = max(slab.size for part in parts for slab in part.slabs)
    most = max(slab.channels for part in parts for slab in part.slabs)
    middle = HIGHEST / 2 + 26
    x, drawn = 8.0, []
    for part in parts:
        begin, slabs = x, []
        for slab in part.slabs:
            # areas are compared by eye, so both sides go by square roots
            width = NARROWEST + (WIDEST - NARROWEST) * (slab.channels / most) ** 0.5
            height = LOWEST + (HIGHEST - LOWEST) * (slab.size / largest) ** 0.5
            title = f"{part.name}: {slab.what}; {slab.channels} channels, {slab.size} pixels a side"
            slabs.append(
                element(
                    "rect",
                    element("title", escape(title)),
                    x=round(x, 1),
                    y=round(middle - height / 2, 1),
                    width=round(width, 1),
                    height=round(height, 1),
                    rx=2,
                    class_=f"op-{slab.kind}",
                )
            )
            x += width + GAP
        x = max(x, begin + 46)
        centre = round((begin + x - GAP) / 2, 1)
        texts = [
            (14, part.name, "name"),
            (HIGHEST + 46, f"{part.channels} ch", "fact"),
            (HIGHEST + 62, f"{part.out_size} px" if part.kind != "head" else "pooled", "fact"),
        ]
        labels = [element("text", t, x=centre, y=y, class_=f"middle {c}") for y, t, c in texts]
        drawn.append(element("g", *slabs, *labels, class_="part"))
        x += STAGE_GAP - GAP
    width = round(x - STAGE_GAP + 10)
    about = (
        f"{name}: {len(parts) - 2} stages from {architecture.resolution} pixels and "
        f"{parts[0].channels} channels down to {parts[-2].out_size} pixels and "
        f"{parts[-2].channels} channels."
    )
    return element(
        "svg",
        *drawn,
        viewBox=f"0 0 {width} {round(HIGHEST + 72)}",
        width=width,
        height=round(HIGHEST + 72),
        class_="network drawn",
        role="img",
        aria_label=about,
    )


def bar(share: float, color: int = 0) -> Markup:
    """A share as a bar, beside the number that says it."""
    return element(
        "svg",
        element("rect", width=100, height=8, class_="track", rx=2),
        element("rect", width=round(100 * min(1.0, share), 2), height=8, class_=f"c{color}", rx=2),
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )
