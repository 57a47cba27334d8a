"""YAML text to plain values, within bounds, with the line of every place.

Only what a specification needs: mappings, lists and scalars. Tags and merge keys are refused,
aliases are read out and counted, `yes` is text and `1e-3` a number, as in YAML 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from search_spaces.plain import join_path, path_key, short

MAX_BYTES = 65_536
MAX_NODES = 20_000
MAX_DEPTH = 20


class DocumentError(ValueError):
    """A text that is no such document; one sentence with its source and line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_yaml(text: str, source: str) -> Document:
    r"""Read a document; `source` is the file's name for the messages.

    Raises:
        DocumentError: In one sentence, with source and line.

    >>> document = read_yaml("a: 1\nb: [x, 1e-3]\n", "demo.yaml")
    >>> document.value, document.line_of("b[1]")
    ({'a': 1, 'b': ['x', 0.001]}, 2)
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise DocumentError(f"{source}: it must be at most {MAX_BYTES // 1024} KiB long.")
    document = Document(source)
    node = _compose(text, source)
    document.value = None if node is None else document.read(node, "", 0)
    return document


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
        raise DocumentError(f"{source}, line {line}: must be YAML: {problem}.", line) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(
            f"{source}, line {line}: must be YAML: {short(chr(error.character))} is not allowed.",
            line,
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        problem = short(str(error)) if not isinstance(error, RecursionError) else "nested too deep"
        raise DocumentError(f"{source}: must be YAML: {problem}.") from None


@dataclass
class Document:
    """A document's plain value, and on which line each place in it stands."""

    source: str
    value: Any = None
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
        raise DocumentError(f"{self.source}, line {line}: the document {problem}", line)


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
