"""Operations: health, readiness, metrics, logs."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """What operations need beside their routes: middleware and the like."""
