"""Makes calls that come at about the same time in one go: handing over to a thread costs more than a short step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from streams.runtime.sight import Calls

T = TypeVar("T")


class Together:
    """Calls, one after the other and elsewhere; those that come while some are being made are made together next.

    For short calls: nobody gets a result before all that were made together are done.
    """

    def __init__(self, blocking: Calls) -> None:
        self._blocking = blocking
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._going: asyncio.Task[None] | None = None

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Await the call's result."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, done))
        if self._going is None:
            self._going = asyncio.create_task(self._go())
        return done

    async def _go(self) -> None:
        try:
            while self._waiting:
                going, self._waiting = [one for one in self._waiting if not one[1].cancelled()], []
                try:
                    outcomes = await self._blocking(lambda going=going: [_outcome(call) for call, _ in going])
                except Exception as failure:  # noqa: BLE001 - of the way there: everybody who waits has to hear of it
                    outcomes = [(None, failure)] * len(going)
                for (_, done), outcome in zip(going, outcomes, strict=True):
                    _settle(done, outcome)
        finally:
            self._going = None


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return call(), None
    except BaseException as failure:  # noqa: BLE001 - raised where the call's result is awaited
        return None, failure


def _settle(done: asyncio.Future[Any], outcome: tuple[Any, BaseException | None]) -> None:
    result, failure = outcome
    if done.cancelled():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
