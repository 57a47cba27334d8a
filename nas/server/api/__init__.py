"""The routes under /v1, a file a resource; a new one is its file and one line here."""

from __future__ import annotations

from fastapi import APIRouter

from nas.server.api import architectures, events, exports, facts, jobs, models


def routers() -> tuple[APIRouter, ...]:
    """Every router under /v1."""
    return (
        jobs.router,
        events.router,
        models.router,
        architectures.router,
        exports.router,
        facts.router,
    )
