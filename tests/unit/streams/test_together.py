"""Calls made in one go: each gets its own result, and no failure is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from streams.runtime.together import Together

T = TypeVar("T")


class Elsewhere:
    """Counts how often calls were handed over; `gate` holds them back, `failure` is of the handing over itself."""

    def __init__(self) -> None:
        self.times = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        if self.failure:
            raise self.failure
        self.times += 1

        async def done() -> T:
            await self.gate.wait()
            return call()

        return done()


def fail() -> int:
    raise KeyError("mine")


async def test_calls_of_one_moment_are_handed_over_at_once_in_their_order() -> None:
    elsewhere, order = Elsewhere(), list[int]()
    together = Together(elsewhere)
    await asyncio.gather(*(together(lambda n=n: order.append(n)) for n in range(5)))
    assert (order, elsewhere.times) == ([0, 1, 2, 3, 4], 1)


async def test_what_comes_meanwhile_goes_together_next() -> None:
    elsewhere = Elsewhere()
    elsewhere.gate.clear()
    together = Together(elsewhere)
    first = asyncio.ensure_future(together(lambda: 1))
    while not elsewhere.times:  # noqa: ASYNC110 - it begins with the loop's next turn
        await asyncio.sleep(0)
    rest = [asyncio.ensure_future(together(lambda n=n: n)) for n in (2, 3)]
    elsewhere.gate.set()
    assert await asyncio.gather(first, *rest) == [1, 2, 3]
    assert elsewhere.times == 2
    assert await together(lambda: 4) == 4


async def test_a_failure_is_its_own_calls_only() -> None:
    together = Together(Elsewhere())
    good, bad = asyncio.ensure_future(together(lambda: 1)), asyncio.ensure_future(together(fail))
    assert await good == 1
    with pytest.raises(KeyError, match="mine"):
        await bad


async def test_who_is_cancelled_does_not_disturb_the_others() -> None:
    elsewhere = Elsewhere()
    elsewhere.gate.clear()
    together = Together(elsewhere)
    one, other = asyncio.ensure_future(together(lambda: 1)), asyncio.ensure_future(together(lambda: 2))
    await asyncio.sleep(0)
    one.cancel()
    elsewhere.gate.set()
    assert await other == 2


async def test_when_nothing_can_be_handed_over_everybody_hears_of_it() -> None:
    elsewhere = Elsewhere()
    elsewhere.failure = RuntimeError("shut down")
    together = Together(elsewhere)
    with pytest.raises(RuntimeError, match="shut down"):
        await together(lambda: 1)
    elsewhere.failure = None
    assert await together(lambda: 2) == 2
