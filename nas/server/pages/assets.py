"""Static files: hand-written CSS and JavaScript, and Plotly's library from its Python package."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from nas.server.errors import Problem

router = APIRouter(include_in_schema=False)

PLOTLY = "plotly.min.js"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/static/{name}")
def static_file(request: Request, name: str, v: str = "") -> Response:
    """A file of the page; one that is asked for with its digest never changes."""
    if name not in names():
        raise Problem(404, f"There is no file {name!r:.80}.")
    digest = digest_of(name)
    headers = {
        "etag": f'"{digest}"',
        "vary": "accept-encoding",
        "cache-control": FOR_EVER if v == digest else "no-cache",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(_zipped(name), media_type=KINDS[Path(name).suffix], headers=headers)
    return Response(_content(name), media_type=KINDS[Path(name).suffix], headers=headers)


def url_of(name: str) -> str:
    """Where a static file is; the address changes with its content."""
    return f"/static/{name}?v={digest_of(name)}"


@cache
def names() -> frozenset[str]:
    """Every file that there is."""
    folder = resources.files("nas.server") / "static"
    own = {item.name for item in folder.iterdir() if Path(item.name).suffix in KINDS}
    return frozenset(own | {PLOTLY})


@cache
def digest_of(name: str) -> str:
    if name == PLOTLY:  # five megabytes are not read to write a page
        import plotly

        return f"plotly-{plotly.__version__}"
    return hashlib.sha256(_content(name)).hexdigest()[:16]


@cache
def _content(name: str) -> bytes:
    package, folder = ("plotly", "package_data") if name == PLOTLY else ("nas.server", "static")
    return (resources.files(package) / folder / name).read_bytes()


@cache
def _zipped(name: str) -> bytes:
    return gzip.compress(_content(name), compresslevel=6, mtime=0)
