"""Bodies of requests: JSON or YAML, within bounds, and text that any database takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from nas.server.errors import Problem

YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/plain")


async def posted(request: Request) -> str | dict[str, Any]:
    """A posted document: the text of YAML, the mapping of JSON.

    Raises:
        Problem: 413, 415 or 422 where it is neither, or too large.
    """
    body, settings = await request.body(), request.app.state.settings
    most = settings.limits.document_bytes
    if len(body) > most:
        raise Problem(413, f"A document must have at most {most:,} bytes.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", *YAML):
        raise Problem(
            415, f"A document is application/json or application/yaml, but got {kind!r:.60}."
        )
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(422, "A document must be UTF-8 text.") from None
    return text if kind in YAML else read_json(text)


async def posted_json(request: Request) -> dict[str, Any]:
    """A posted JSON object."""
    document = await posted(request)
    if isinstance(document, str):
        raise Problem(415, "This takes application/json.")
    return document


def read_json(text: str) -> dict[str, Any]:
    """A JSON object whose texts are whole Unicode.

    Raises:
        Problem: 422 with the line, if it is none.

    >>> read_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise Problem(
            422, f"The document must be JSON: line {error.lineno}: {error.msg.lower()}."
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else "no such value"
        raise Problem(422, f"The document must be JSON: {reason}.") from None
    if not isinstance(value, Mapping):
        raise Problem(422, f"The document must be an object, but got {value!r:.60}.")
    if _holds_null(value):
        raise Problem(422, "The document must not hold the character NUL.")
    return dict(value)


def _no_number(text: str) -> float:
    raise ValueError(text)


def _holds_null(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_holds_null(k) or _holds_null(v) for k, v in value.items())
    return isinstance(value, list) and any(map(_holds_null, value))
