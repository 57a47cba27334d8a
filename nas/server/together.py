"""A question that many ask at once is asked of the store once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool


@dataclass(slots=True)
class Together:
    """Answers shared by those who wait for the same one.

    Whoever comes while an answer is worked out waits for the next, which begins when this one has
    ended and is for all who came meanwhile. So nobody gets an answer from before they asked, and a
    server that falls behind does not work out the same thing for each of them.
    """

    _waiting: dict[Hashable, asyncio.Task[Any]] = field(default_factory=dict)
    _running: dict[Hashable, asyncio.Task[Any]] = field(default_factory=dict)

    async def ask(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """What `work` returns, called in a thread after this was asked; or what it raises."""
        task = self._waiting.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._work(key, work))
            self._waiting[key] = task
        return await asyncio.shield(task)  # one of them who hangs up doesn't end it for the others

    async def _work(self, key: Hashable, work: Callable[[], Any]) -> Any:
        before = self._running.get(key)
        if before is not None:
            await asyncio.wait([before])
        self._running[key] = self._waiting.pop(key)
        try:
            return await run_in_threadpool(work)
        finally:
            del self._running[key]
