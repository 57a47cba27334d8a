"""No secret goes where others read: stored job files, Ray's list of jobs, folders sent along."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nas.errors import InvalidRequestError

_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)
_IN_QUERY = re.compile(
    r"://\S*[?&;][^=&\s]*(?:password|passwd|secret|token|signature|credential|api_?key)[^=&\s]*=[^&\s]",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"^\s*(?:export\s+)?[A-Z0-9_]*(?:PASSWORD|SECRET|TOKEN|API_?KEY)(?:_[A-Z0-9_]*)?\s*[=:]\s*\S",
    re.IGNORECASE | re.MULTILINE,
)
ENVIRONMENT_FILES = (".env", "*.env", ".env.*", ".netrc", ".pgpass", "auth_token")
MOST_BYTES = 100_000


def holds_secret(text: str) -> bool:
    """Whether a text has a URL with a password or token in it.

    >>> holds_secret("postgresql://me:hunter2@db/nas"), holds_secret("s3://bucket/a:b@c")
    (True, False)
    >>> holds_secret("https://host/data.npz?token=abc")
    True
    """
    return any(
        pattern.search(form) for pattern in (_IN_URL, _IN_QUERY) for form in (text, unquote(text))
    )


def refuse_secrets(document: Any, what: str) -> None:
    """Refuse plain values that hold a secret; the message names the field, never the value.

    Raises:
        InvalidRequestError: If there is one.
    """
    place = _find(document, what)
    if place is not None:
        raise InvalidRequestError(
            f"{place} holds a URL with a password or token, which everybody who may list jobs "
            f"would read; leave it out there and give it to the nodes by their environment or by a "
            f"file (~/.pgpass, ~/.aws/credentials, ...)."
        )


def refuse_secret_files(folder: str) -> None:
    """Refuse to send a folder along that holds files of secrets.

    Raises:
        InvalidRequestError: If there is one; every node and everybody on the cluster could read it.
    """
    for pattern in ENVIRONMENT_FILES:
        for path in sorted(Path(folder).rglob(pattern)):
            if path.is_file() and _is_of_secrets(path):
                raise InvalidRequestError(
                    f"`--working-dir` must not hold secrets, since the whole cluster can read it, "
                    f"but {path.relative_to(folder)} looks like one; move it out of the folder and "
                    f"set its values on the nodes."
                )


def _is_of_secrets(path: Path) -> bool:
    if path.name in (".netrc", ".pgpass", "auth_token"):
        return True
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(MOST_BYTES)
    return bool(_LINE.search(text)) or holds_secret(text)


def _find(value: Any, place: str) -> str | None:
    if isinstance(value, str):
        return f"`{place}`" if holds_secret(value) else None
    if isinstance(value, Mapping):
        inner = [(f"{place}.{key}", item) for key, item in value.items()]
        if any(holds_secret(str(key)) for key in value):
            return f"`{place}`"
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        inner = [(f"{place}[{n}]", item) for n, item in enumerate(value)]
    else:
        return None
    return next((found for name, item in inner if (found := _find(item, name))), None)
