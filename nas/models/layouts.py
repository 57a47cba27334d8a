"""Where other projects keep the layers of a network: our module path -> theirs.

torchvision names the modules of its families in four ways; which one is meant follows from the
network when writing, and from the names found when reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from nas.errors import InvalidRequestError
from search_spaces.architecture import Activation, Architecture, Block, Operator, Skip

Pairs = Iterator[tuple[str, str]]


class Layout(StrEnum):
    """A project, or one of torchvision's families: `torchvision` is EfficientNet's and V2's."""

    OURS = "ours"
    TORCHVISION = "torchvision"
    TORCHVISION_MOBILENET_V2 = "torchvision_mobilenet_v2"
    TORCHVISION_MOBILENET_V3 = "torchvision_mobilenet_v3"
    TORCHVISION_MNASNET = "torchvision_mnasnet"
    TIMM = "timm"
    LUKEMELAS = "lukemelas"


WRITABLE = (Layout.TORCHVISION, Layout.TIMM, Layout.LUKEMELAS)
"""What a person asks for; the family follows from the network."""


def module_names(architecture: Architecture, layout: Layout) -> dict[str, str]:
    """Name each layer of a network that holds numbers, as another project names it.

    Raises:
        InvalidRequestError: If the layout has no place for one of the layers.

    >>> from search_spaces.published import get_published
    >>> names = module_names(get_published("efficientnet_b0"), Layout.TIMM)
    >>> names["stages.1.0.body.expand.norm"], names["head.features.conv"]
    ('blocks.1.0.bn1', 'conv_head')
    """
    return dict(_NAMES[layout](architecture))


def detect_layout(keys: Iterable[str]) -> Layout:
    """Tell the layout from the names of a state dict.

    Raises:
        InvalidRequestError: If they are nobody's whose names are known here.
    """
    names = set(keys)
    for layout, signs in _SIGNS.items():
        if all(any(name.startswith(sign) for name in names) for sign in signs):
            return layout
    first = ", ".join(sorted(names)[:3]) or "none"
    raise InvalidRequestError(
        "The weights must have the names of torchvision, timm, lukemelas or this project, "
        f"but they are called {first}."
    )


def torchvision_family(architecture: Architecture) -> Layout:
    """Which of torchvision's families would hold this network."""
    if architecture.head.hidden_channels:
        return Layout.TORCHVISION_MOBILENET_V3
    activation = architecture.stem.activation
    if activation in (Activation.RELU, Activation.RELU6) and all(
        not block.squeeze_excitation for stage in architecture.stages for block in stage.blocks
    ):
        if activation is Activation.RELU:
            return Layout.TORCHVISION_MNASNET
        return Layout.TORCHVISION_MOBILENET_V2
    return Layout.TORCHVISION


# names found in every state dict of a layout, the particular ones first
_SIGNS: dict[Layout, tuple[str, ...]] = {
    Layout.OURS: ("stem.conv.", "stages.0.0.body."),
    Layout.LUKEMELAS: ("_conv_stem.", "_blocks.0."),
    Layout.TIMM: ("conv_stem.", "blocks.0.0."),
    Layout.TORCHVISION: ("features.0.0.", "features.1.0.block."),
    Layout.TORCHVISION_MOBILENET_V2: ("features.0.0.", "features.1.conv."),
    Layout.TORCHVISION_MOBILENET_V3: ("features.0.0.", "features.1.block."),
    Layout.TORCHVISION_MNASNET: ("layers.0.", "layers.3."),
}


def _parts(block: Block) -> tuple[str, ...]:
    """The parts of a block's body, in order."""
    excited = ("squeeze_excitation",) if block.squeeze_excitation else ()
    match block.operator:
        case Operator.CONV:
            return ("conv", *excited)
        case Operator.SEPARABLE:
            return ("depthwise", *excited, "project")
        case Operator.MBCONV:
            return ("expand", "depthwise", *excited, "project")
        case _:
            return ("expand", *excited, "project")


def _blocks(architecture: Architecture, layout: Layout) -> Iterator[tuple[int, str, Block]]:
    """Number, path and block; a shortcut with weights has no place in anybody's layout."""
    for i, place in enumerate(architecture.walk()):
        if place.block.skip is Skip.PROJECTION:
            raise _no_place(layout, f"the projection skip of block {i + 1}")
        yield i, f"stages.{place.stage}.{place.index}", place.block


def _no_place(layout: Layout, what: str) -> InvalidRequestError:
    name = layout.split("_")[0]
    return InvalidRequestError(
        f"The {name} layout of weights has no place for {what}; keep this project's own layout."
    )


def _stem_and_head(
    architecture: Architecture, stem: tuple[str, str], features: tuple[str, str], classifier: str
) -> Pairs:
    yield "stem.conv", stem[0]
    yield "stem.norm", stem[1]
    if architecture.head.channels:
        yield "head.features.conv", features[0]
        yield "head.features.norm", features[1]
    yield "head.classifier", classifier


def _numbered(block: Block, ours: str, theirs: str) -> Pairs:
    """torchvision's blocks: parts are numbered as they come."""
    for i, part in enumerate(_parts(block)):
        if part == "squeeze_excitation":
            yield f"{ours}.body.{part}.reduce", f"{theirs}.{i}.fc1"
            yield f"{ours}.body.{part}.expand", f"{theirs}.{i}.fc2"
        else:
            yield f"{ours}.body.{part}.conv", f"{theirs}.{i}.0"
            yield f"{ours}.body.{part}.norm", f"{theirs}.{i}.1"


def _torchvision(architecture: Architecture) -> Pairs:
    if architecture.head.hidden_channels:
        raise _no_place(Layout.TORCHVISION, "a hidden layer of the head")
    last = f"features.{len(architecture.stages) + 1}"
    yield from _stem_and_head(
        architecture,
        ("features.0.0", "features.0.1"),
        (f"{last}.0", f"{last}.1"),
        "classifier.1",
    )
    for _, path, block in _blocks(architecture, Layout.TORCHVISION):
        stage, index = path.split(".")[1:]
        yield from _numbered(block, path, f"features.{int(stage) + 1}.{index}.block")


def _torchvision_mobilenet_v3(architecture: Architecture) -> Pairs:
    blocks = list(_blocks(architecture, Layout.TORCHVISION_MOBILENET_V3))
    last = f"features.{len(blocks) + 1}"
    yield from _stem_and_head(
        architecture,
        ("features.0.0", "features.0.1"),
        (f"{last}.0", f"{last}.1"),
        "classifier.3",
    )
    yield "head.hidden", "classifier.0"
    for i, path, block in blocks:
        yield from _numbered(block, path, f"features.{i + 1}.block")


def _torchvision_mobilenet_v2(architecture: Architecture) -> Pairs:
    blocks = list(_blocks(architecture, Layout.TORCHVISION_MOBILENET_V2))
    last = f"features.{len(blocks) + 1}"
    yield from _stem_and_head(
        architecture,
        ("features.0.0", "features.0.1"),
        (f"{last}.0", f"{last}.1"),
        "classifier.1",
    )
    for i, path, block in blocks:
        theirs, parts = f"features.{i + 1}.conv", _plain_parts(block)
        for number, part in enumerate(parts):
            projects = number == len(parts) - 1
            conv = f"{theirs}.{number}" if projects else f"{theirs}.{number}.0"
            norm = f"{theirs}.{number + 1}" if projects else f"{theirs}.{number}.1"
            yield f"{path}.body.{part}.conv", conv
            yield f"{path}.body.{part}.norm", norm


def _torchvision_mnasnet(architecture: Architecture) -> Pairs:
    blocks = list(_blocks(architecture, Layout.TORCHVISION_MNASNET))
    # stem and the first block lie flat, three modules a convolution: conv, norm, activation
    last = len(architecture.stages) + 7
    if len(architecture.stages[0].blocks) > 1:
        raise _no_place(Layout.TORCHVISION_MNASNET, "a first stage of several blocks")
    yield from _stem_and_head(
        architecture,
        ("layers.0", "layers.1"),
        (f"layers.{last}", f"layers.{last + 1}"),
        "classifier.1",
    )
    for i, path, block in blocks:
        stage, index = path.split(".")[1:]
        theirs, first = ("layers", 3) if i == 0 else (f"layers.{int(stage) + 7}.{index}.layers", 0)
        for number, part in enumerate(_plain_parts(block)):
            yield f"{path}.body.{part}.conv", f"{theirs}.{first + 3 * number}"
            yield f"{path}.body.{part}.norm", f"{theirs}.{first + 3 * number + 1}"


def _plain_parts(block: Block) -> tuple[str, ...]:
    if block.squeeze_excitation or block.operator is Operator.CONV:
        raise _no_place(
            Layout.TORCHVISION_MOBILENET_V2, "squeeze-excitation or plain convolutions beside ReLU"
        )
    return _parts(block)


# operator: part -> convolution, batch-norm
_TIMM_PARTS = {
    Operator.CONV: {"conv": ("conv", "bn1")},
    Operator.SEPARABLE: {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")},
    Operator.FUSED_MBCONV: {"expand": ("conv_exp", "bn1"), "project": ("conv_pwl", "bn2")},
    Operator.MBCONV: {
        "expand": ("conv_pw", "bn1"),
        "depthwise": ("conv_dw", "bn2"),
        "project": ("conv_pwl", "bn3"),
    },
}


def _timm(architecture: Architecture) -> Pairs:
    features, hidden = ("conv_head", "bn2"), architecture.head.hidden_channels
    if hidden:
        # MobileNetV3's class: the 1x1 convolution is one more stage, the hidden layer its head
        stage = f"blocks.{len(architecture.stages)}.0"
        features = (f"{stage}.conv", f"{stage}.bn1")
        yield "head.hidden", "conv_head"
    yield from _stem_and_head(architecture, ("conv_stem", "bn1"), features, "classifier")
    for _, path, block in _blocks(architecture, Layout.TIMM):
        theirs = path.replace("stages", "blocks")
        for part, (conv, norm) in _TIMM_PARTS[block.operator].items():
            yield f"{path}.body.{part}.conv", f"{theirs}.{conv}"
            yield f"{path}.body.{part}.norm", f"{theirs}.{norm}"
        if block.squeeze_excitation:
            yield f"{path}.body.squeeze_excitation.reduce", f"{theirs}.se.conv_reduce"
            yield f"{path}.body.squeeze_excitation.expand", f"{theirs}.se.conv_expand"


_LUKEMELAS_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def _lukemelas(architecture: Architecture) -> Pairs:
    if architecture.head.hidden_channels:
        raise _no_place(Layout.LUKEMELAS, "a hidden layer of the head")
    yield from _stem_and_head(architecture, ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"), "_fc")
    for i, path, block in _blocks(architecture, Layout.LUKEMELAS):
        if block.operator not in (Operator.SEPARABLE, Operator.MBCONV):
            raise _no_place(Layout.LUKEMELAS, f"a {block.operator.value} block")
        for part in _parts(block):
            if part == "squeeze_excitation":
                yield f"{path}.body.{part}.reduce", f"_blocks.{i}._se_reduce"
                yield f"{path}.body.{part}.expand", f"_blocks.{i}._se_expand"
            else:
                conv, norm = _LUKEMELAS_PARTS[part]
                yield f"{path}.body.{part}.conv", f"_blocks.{i}.{conv}"
                yield f"{path}.body.{part}.norm", f"_blocks.{i}.{norm}"


_NAMES: dict[Layout, Callable[[Architecture], Pairs]] = {
    Layout.TORCHVISION: _torchvision,
    Layout.TORCHVISION_MOBILENET_V2: _torchvision_mobilenet_v2,
    Layout.TORCHVISION_MOBILENET_V3: _torchvision_mobilenet_v3,
    Layout.TORCHVISION_MNASNET: _torchvision_mnasnet,
    Layout.TIMM: _timm,
    Layout.LUKEMELAS: _lukemelas,
}
