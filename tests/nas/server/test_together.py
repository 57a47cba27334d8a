"""Answers that are shared: nobody gets one from before they asked."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from nas.server.together import Together

T = TypeVar("T")


def in_a_loop(answers: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: a browser's test may have left a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, answers).result()


def test_those_who_come_while_an_answer_is_worked_out_share_the_next() -> None:
    calls, may_end = [], threading.Event()

    def work() -> int:
        calls.append(None)
        may_end.wait(10)
        return len(calls)

    async def ask() -> list[int]:
        together = Together()
        first = asyncio.create_task(together.ask("front", work))
        while not calls:
            await asyncio.sleep(0.01)
        later = [asyncio.create_task(together.ask("front", work)) for _ in range(5)]
        other = asyncio.create_task(together.ask("another", lambda: "at once"))
        assert await other == "at once"
        await asyncio.sleep(0.05)
        assert len(calls) == 1
        later[0].cancel()
        may_end.set()
        answers = [await first, *[await one for one in later[1:]]]
        assert await together.ask("front", work) == 3
        return answers

    assert in_a_loop(ask()) == [1, 2, 2, 2, 2]


def test_what_goes_wrong_is_told_to_all_and_not_kept() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def ask() -> None:
        together = Together()
        asked = [together.ask("front", fail) for _ in range(3)]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, ValueError)
        assert await together.ask("front", lambda: "yes") == "yes"

    in_a_loop(ask())


@pytest.mark.parametrize("number", range(3))
def test_answers_one_after_the_other_are_asked_anew(number: int) -> None:
    seen = iter(range(number, number + 2))

    async def ask() -> list[int]:
        together = Together()
        return [await together.ask("x", lambda: next(seen)) for _ in range(2)]

    assert in_a_loop(ask()) == [number, number + 1]
