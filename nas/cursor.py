"""Places in a list as short texts, for whoever asks for the next page."""

from __future__ import annotations

import base64
import json
from typing import Any


def write_cursor(*values: Any) -> str:
    """Plain values as a text that an address can hold.

    >>> write_cursor("macs", 3)
    'WyJtYWNzIiwzXQ'
    """
    text = json.dumps(values, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> list[Any]:
    """The values of a text that `write_cursor` wrote.

    Raises:
        ValueError: If nobody wrote it.

    >>> read_cursor("WyJtYWNzIiwzXQ")
    ['macs', 3]
    """
    padded = text + "=" * (-len(text) % 4)
    try:
        found = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, list):
        raise ValueError("no list")
    return found
