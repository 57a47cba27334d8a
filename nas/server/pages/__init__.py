"""The HTML pages, a file a kind; what they share is in `render`, `charts` and `names`."""

from __future__ import annotations

from fastapi import APIRouter

from nas.server.pages import actions, assets, families, front, jobs, logs, models, session

router = APIRouter(include_in_schema=False)
for part in (assets, session, jobs, logs, front, models, families, actions):
    router.include_router(part.router)
