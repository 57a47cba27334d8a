"""Spaces as YAML: what a user's own space starts from, and what reads it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from search_spaces.errors import InvalidSpaceError
from search_spaces.plain import PlainError
from search_spaces.space import SearchSpace
from search_spaces.yaml_text import MAX_BYTES, DocumentError, read_scalar, read_yaml

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
    try:
        document = read_yaml(text, source)
    except DocumentError as error:
        raise InvalidSpaceError(str(error)) from None
    try:
        return SearchSpace.from_dict(document.value)
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


class _Dumper(yaml.SafeDumper):
    """Quotes what `read_scalar` would take for a number or a word."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    quoted = not isinstance(read_scalar(text[:30]), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)
