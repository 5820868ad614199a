"""Backoff: slower and slower, up to a limit, and only for what may work later."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidEvent, TransientFailure
from streams.runtime.patience import Patience


async def test_pauses_grow_up_to_the_longest() -> None:
    pauses: list[float] = []
    failures = [TransientFailure("away")] * 9

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def attempt() -> str:
        if failures:
            raise failures.pop()
        return "done"

    patience = Patience(first_s=0.1, longest_s=2.0, sleep=pause)
    assert await patience.until_done(attempt, "it") == "done"
    assert 0.08 <= pauses[0] <= 0.12
    assert 1.6 <= pauses[-1] <= 2.4
    assert len(pauses) == 9


async def test_what_can_never_work_is_not_repeated() -> None:
    async def attempt() -> None:
        raise InvalidEvent("never")

    with pytest.raises(InvalidEvent):
        await Patience().until_done(attempt, "it")
