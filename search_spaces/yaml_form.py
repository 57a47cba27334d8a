"""Spaces as YAML: what a user's own space starts from, and what reads it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from search_spaces.errors import InvalidSpaceError
from search_spaces.plain import PlainError, join_path, path_key, short
from search_spaces.space import SearchSpace

MAX_BYTES = 65_536
MAX_NODES = 20_000
MAX_DEPTH = 20

_HEADER = """\
# A search space: a skeleton of stages. Any field may hold one value, or a list of options; a
# list is one decision of the search. A field left out has its default.
#
# The network:
#   resolution, width_multiplier, stem_channels, head_channels, head_hidden_channels
#                       one value or options
#   stem_stride         1 or 2                     stem_activation, head_activation
#   head_expansion      head channels over the last stage's, in place of head_channels
#   head_hidden_bias    whether the hidden layer has a bias: true, false
#   rounding            what the width multiplier and the factors do to channels: round_filters
#                       (EfficientNet, MobileNetV2, V3), round_filters_v2 (EfficientNetV2), slim
#   scale_stem          whether the width multiplier reaches the stem: true, false
#   scale_head          and the head: always, never, up (only above 1)
#   squeeze             {of: input or expanded, divisor, activation, gate}: the width of
#                       squeeze-excitation is that share of channels
#   num_classes, input_channels, dropout, drop_connect, batch_norm_eps, batch_norm_momentum,
#   padding (torch, same), description
#
# Each stage (the blocks at one size of the image):
#   name, stride (1 or 2, of its first block)
#   channels            of its blocks; times channel_factor, times width_multiplier
#   repeats             number of blocks; plus repeats_change, at least 1
#   per_block           true: every block decides alone; false: the stage's blocks are alike
#   operator            conv, separable (depthwise and 1x1), mbconv, fused_mbconv, identity
#   kernel_size         1, 3, 5, 7, 9, 11          expansion      expanded over input channels
#   se_ratio            0 is none                  skip           none, identity, pool, projection
#   activation          none, relu, relu6, silu, hard_swish
#   groups, pointwise_activation, keep_expansion, exclude_identity
#   block               named variants, each a mapping of the fields above: a decision that
#                       fixes several of them together
"""


def space_to_yaml(space: SearchSpace) -> str:
    """A space as a YAML document, with the fields explained at its top.

    >>> from search_spaces.spaces import get_space
    >>> space = get_space("mnasnet")
    >>> space_from_yaml(space_to_yaml(space)) == space
    True
    """
    data = space.to_dict()
    data["stages"] = data.pop("stages")  # last: it is the long one
    body = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=99, allow_unicode=True
    )
    return f"{_HEADER}\n{body}"


def space_from_yaml(text: str, source: str = "the space") -> SearchSpace:
    """Read a space from a YAML document; `source` is the file's name for the messages.

    Aliases are read; tags and merge keys are not.

    Raises:
        InvalidSpaceError: In one sentence, with file, line and field.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise InvalidSpaceError(f"{source}: a space must be at most {MAX_BYTES // 1024} KiB long.")
    document = _Document(source)
    node = _compose(text, source)
    data = None if node is None else document.read(node, "", 0)
    try:
        return SearchSpace.from_dict(data)
    except PlainError as error:
        line = document.line_of(error.path)
        raise InvalidSpaceError(f"{source}, line {line}: {error}") from None
    except InvalidSpaceError as error:
        raise InvalidSpaceError(f"{source}: {error}") from None


def load_space(path: str | Path) -> SearchSpace:
    """Read a space from a YAML file.

    Raises:
        InvalidSpaceError: If it cannot be read, or is no space.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
        return space_from_yaml(raw.decode(), str(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidSpaceError(f"{path}: cannot read the space: {reason}.") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidSpaceError(f"{path}, line {line}: must be UTF-8 text.") from None


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to nodes; what a scalar means is ours to say (YAML 1.2, where yes is text)."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} deep", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = error.problem or error.context or "it ends too early"
        raise InvalidSpaceError(f"{source}, line {line}: must be YAML: {problem}.") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidSpaceError(
            f"{source}, line {line}: must be YAML: {short(chr(error.character))} is not allowed."
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        problem = short(str(error)) if not isinstance(error, RecursionError) else "nested too deep"
        raise InvalidSpaceError(f"{source}: must be YAML: {problem}.") from None


@dataclass
class _Document:
    """Nodes to plain values, within bounds; remembers on which line each place stands."""

    source: str
    lines: dict[str, int] = field(default_factory=dict)
    nodes: int = 0

    def line_of(self, path: str) -> int:
        """The line of a place, or of the place around it."""
        while path not in self.lines and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)

    def read(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.refuse(node, f"holds more than {MAX_NODES:,} values, aliases read out.")
        if depth > MAX_DEPTH:
            self.refuse(node, f"is nested more than {MAX_DEPTH} deep.")
        if not node.tag.startswith(_STANDARD) or node.tag[len(_STANDARD) :] not in _KINDS:
            self.refuse(node, f"must have no tag, but got {short(node.tag)}.")
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return dict(self.read_items(node, path, depth + 1))
        try:
            return read_scalar(node.value) if _is_plain(node) else node.value
        except ValueError as error:
            return self.refuse(node, str(error))

    def read_items(
        self, node: yaml.MappingNode, path: str, depth: int
    ) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = self.read(key_node, f"{path}.", depth)
            if not isinstance(key, str):
                self.refuse(key_node, f"must have text for its keys, but got {short(key)}.")
            if key in seen:
                self.refuse(key_node, f"has {short(key)} twice in one mapping.")
            seen.add(key)
            place = join_path(path, path_key(key))
            self.lines.setdefault(place, key_node.start_mark.line + 1)
            yield key, self.read(value_node, place, depth)

    def refuse(self, node: yaml.Node, problem: str) -> Any:
        line = node.start_mark.line + 1
        raise InvalidSpaceError(f"{self.source}, line {line}: the document {problem}")


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None


_STANDARD = "tag:yaml.org,2002:"
_KINDS = ("str", "seq", "map")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def read_scalar(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means: null, true, false, a decimal number, or else text.

    >>> [read_scalar(text) for text in ("3", "1e-3", "true", "yes", "")]
    [3, 0.001, True, 'yes', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    if len(text) > 30:
        raise ValueError(f"must hold numbers of at most 30 digits, but got {short(text)}.")
    return int(text) if _WHOLE.fullmatch(text) else float(text)


class _Dumper(yaml.SafeDumper):
    """Quotes what `read_scalar` would take for a number or a word."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    quoted = not isinstance(read_scalar(text[:30]), str)
    return dumper.represent_scalar(f"{_STANDARD}str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)
