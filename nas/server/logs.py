"""The server's log: one JSON document a line (or text at a terminal), with no secret in it."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from nas.errors import InvalidRequestError

FORMATS = ("json", "text")
LEVELS = ("debug", "info", "warning", "error")
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request that this thread or task works for."""

_HIDDEN = (
    (re.compile(r"\bnas_[A-Za-z0-9_-]{20,}"), "nas_***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), r"\1 ***"),
    (re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]+@"), r"\1:***@"),
    (
        re.compile(
            r"(?i)([\w.-]*(?:password|passwd|secret|token|credential|signature|api_?key)[\w.-]*)"
            r"([\"']?\s*[=:]\s*[\"']?)[^\s&\"',;)}]+"
        ),
        r"\1\2***",
    ),
)


def hide_secrets(text: str) -> str:
    """A text without the tokens and passwords in it.

    >>> hide_secrets("postgresql://me:hunter2@db/nas?sslpassword=x, Authorization: Bearer abc")
    'postgresql://me:***@db/nas?sslpassword=***, Authorization: Bearer ***'
    """
    for pattern, replacement in _HIDDEN:
        text = pattern.sub(replacement, text)
    return text


def set_up_logs(form: str, level: str = "info") -> None:
    """Have this process log to standard error, in place of whatever it logged to before.

    Args:
        form: 'json' or 'text'.
        level: Of our own log; other packages' begins at 'warning'.

    Raises:
        InvalidRequestError: If one of them is something else.
    """
    for option, given, known in (("--log", form, FORMATS), ("--log-level", level, LEVELS)):
        if given not in known:
            raise InvalidRequestError(
                f"`{option}` must be one of {', '.join(known)}, but got {given!r}."
            )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("nas", "cluster", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level.upper())


class JsonLines(logging.Formatter):
    """One JSON document a line; what a call gives as `extra={"fields": {...}}` is part of it."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_document(record), default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """The same for people: time, level, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        document = _document(record)
        exception = document.pop("exception", None)
        start = f"{document.pop('time')[11:19]} {document.pop('level'):7} {document.pop('message')}"
        del document["logger"]
        fields = "".join(f" {name}={value}" for name, value in document.items())
        # what came from outside must not write lines of its own, or steer a terminal
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in start + fields)
        return line if exception is None else f"{line}\n{exception}"


def _document(record: logging.LogRecord) -> dict[str, Any]:
    document: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": hide_secrets(record.getMessage()),
    }
    now = request_id.get()
    if now is not None:
        document["request_id"] = now
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    for name, value in fields.items():
        document[name] = hide_secrets(value) if isinstance(value, str) else value
    if record.exc_info and record.exc_info[0] is not None:
        document["exception"] = hide_secrets("".join(traceback.format_exception(*record.exc_info)))
    return document
