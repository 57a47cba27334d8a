"""What can be searched, and the papers' networks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from nas.server.auth import Principal, needs

router = APIRouter(tags=["facts"])
Reader = Annotated[Principal, Depends(needs("read"))]


@router.get("/published")
def published(reader: Reader) -> list[dict[str, Any]]:
    """The papers' networks."""
    from search_spaces.published import PUBLISHED

    return [{"name": name} for name in PUBLISHED]
