"""Frozen dataclasses to plain JSON values and back, strictly."""

from __future__ import annotations

import dataclasses
import enum
import functools
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class PlainError(ValueError):
    """A plain value that does not fit; `path` says where, `problem` the rule and what arrived."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"`{path or 'the document'}` {problem}")


def to_plain(value: Any) -> Any:
    """Turn a frozen dataclass into JSON values; fields at their default are left out.

    That omission is what keeps fingerprints stable: a field added later changes
    the form of nothing that does not use it.
    """
    if value is None or type(value) in (int, float, str, bool):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for name, default in _defaults(type(value)):
            found = getattr(value, name)
            if found is not default and found != default:
                plain[name] = to_plain(found)
        return plain
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


@functools.cache
def _defaults(cls: type[Any]) -> tuple[tuple[str, Any], ...]:
    """A class's fields with their defaults, made once: they are only compared with."""
    return tuple((field.name, _default(field)) for field in dataclasses.fields(cls))


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def from_plain(cls: type[T], data: Any, path: str = "") -> T:
    """Read a dataclass from JSON values.

    Raises:
        PlainError: If a key is unknown or missing, or a value has the wrong type,
            naming the place, as in `stages[2].blocks[0].stride`. Rules that a
            class checks itself raise what that class raises.
    """
    if not isinstance(data, Mapping):
        raise PlainError(path, f"must be a mapping, but got {short(data)}.")
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise PlainError(
                join_path(path, path_key(key)),
                f"is not a known field. Known: {', '.join(sorted(known))}.",
            )
    values = {}
    hints = _hints(cls)  # type: ignore[arg-type]
    for name, field in known.items():
        if name in data:
            values[name] = read_value(hints[name], data[name], join_path(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise PlainError(join_path(path, name), "is missing.")
    try:
        return cls(**values)
    except PlainError as error:
        raise type(error)(join_path(path, error.path), error.problem) from None


@functools.lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def read_value(hint: Any, value: Any, path: str) -> Any:
    """Read one value of the type `hint`, or raise `PlainError` that names `path`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, path)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise PlainError(path, f"must be a list, but got {short(value)}.")
        return tuple(read_value(arguments[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise PlainError(path, f"must be a mapping with text keys, but got {short(value)}.")
        return {
            k: read_value(arguments[1], v, join_path(path, path_key(k))) for k, v in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value, path)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _read_enum(hint, value, path)
    return _read_scalar(hint, value, path)


def _read_union(arguments: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    options = [a for a in arguments if a is not type(None)]
    listed = isinstance(value, (list, tuple))
    fitting = [a for a in options if (typing.get_origin(a) is tuple) == listed] or options
    error: PlainError | None = None
    for option in fitting:
        try:
            return read_value(option, value, path)
        except PlainError as problem:
            error = error or problem
    assert error is not None
    raise error


def _read_enum(hint: type[enum.Enum], value: Any, path: str) -> enum.Enum:
    try:
        return hint(value)
    except ValueError:
        allowed = ", ".join(repr(member.value) for member in hint)
        raise PlainError(path, f"must be one of {allowed}, but got {short(value)}.") from None


_KIND = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _read_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is Any:
        return value
    if hint is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    # bool is an int to Python, and never one to us
    if type(value) is not hint or value != value or value in (float("inf"), float("-inf")):
        raise PlainError(path, f"must be {_KIND[hint]}, but got {short(value)}.")
    return value


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def short(value: Any) -> str:
    """A value as a message shows it: one short line, however deep or long the value is."""
    try:
        text = _SHORT.repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 100 else text[:97] + "..."


def path_key(key: object) -> str:
    """A document's own key as a path shows it: quoted where it is no plain name."""
    return key if isinstance(key, str) and key.isidentifier() and len(key) <= 60 else short(key)


def join_path(path: str, name: str) -> str:
    """Where a member stands: `stages[2].stride`."""
    if not path or name.startswith("["):
        return f"{path}{name}"
    return f"{path}.{name}" if name else path
