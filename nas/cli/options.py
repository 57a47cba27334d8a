"""Options that many commands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nas.store import Store

DEFAULT_STORE = "sqlite:///nas.db"

StoreUrl = Annotated[
    str, typer.Option("--store", envvar="NAS_STORE", help="SQLite or PostgreSQL, as a URL.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
JobName = Annotated[
    str | None, typer.Argument(help="Job id, prefix of one, or name; the latest if left out.")
]


def open_store(url: str, *, create: bool = False) -> Store:
    """Open the store; only the commands that begin something make a new one."""
    from nas.store import Store

    return Store.open(url, create=create)


def artifact_location(store_url: str) -> str:
    """`NAS_ARTIFACTS`, or the folder `nas-artifacts` beside an SQLite file."""
    given = os.environ.get("NAS_ARTIFACTS")
    if given:
        return given
    path = store_url.removeprefix("sqlite:///")
    folder = os.path.dirname(path) if store_url.startswith("sqlite:///") else ""
    return os.path.abspath(os.path.join(folder, "nas-artifacts"))
