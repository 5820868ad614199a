"""What happens for an event before its step: its heavy part works, as often as it takes or may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from producers.publisher import Message
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.runtime.decide import Preparation, request_of
from streams.runtime.delivery import Publishes
from streams.runtime.patience import Patience
from streams.runtime.sight import Calls, Sight
from streams.steps import Heavy, PreparationFailed, Prepared, WorkFailed
from streams.topology import Processor

log = logging.getLogger(__name__)
FIRST_PAUSE_S: Final = 0.5  # after work that failed; what is done in child processes has pauses of its own too


@dataclass(frozen=True, slots=True)
class Workshop:
    """A processor's heavy part and what it needs: where announcements go, threads for what blocks, who looks on."""

    processor: Processor[Any]
    heavy: Heavy
    publisher: Publishes
    blocking: Calls
    sight: Sight


async def prepare(shop: Workshop, record: Record, patience: Patience) -> Preparation:
    """What the step of a record will see. Ends when the heavy part has done its work or will never do it."""
    wanted = await shop.blocking(lambda: request_of(shop.processor, record))
    if wanted is None or isinstance(wanted, Exception):
        return wanted
    await _announce(shop, wanted.announced)
    attempts, pause_s = 0, FIRST_PAUSE_S
    while True:
        attempts += 1
        try:
            return await _work(shop, record, wanted.request, patience)
        except InvalidEvent as hopeless:
            return PreparationFailed(str(hopeless), attempts, hopeless=True)
        except WorkFailed as failure:
            log.warning("%s: attempt %d at %s: %s", shop.processor.name, attempts, record.coordinates, failure)
            if attempts >= shop.processor.limits.attempts:
                return PreparationFailed(str(failure), attempts)
        except Exception as bug:  # noqa: BLE001 - a heavy part's bug costs its event, as a step's does
            return bug
        await patience.sleep(pause_s)
        pause_s *= 2


async def _work(shop: Workshop, record: Record, request: Mapping[str, Any], patience: Patience) -> Prepared:
    async def attempt() -> Prepared:
        shop.sight.preparing += 1
        try:
            return await shop.heavy(request)
        finally:
            shop.sight.preparing -= 1

    return await patience.until_done(attempt, f"{shop.processor.name}: {record.coordinates} cannot be worked on now")


async def _announce(shop: Workshop, messages: Sequence[Message]) -> None:
    """Tell that the work begins, if the log takes it: nobody depends on it."""
    sent = (shop.publisher.publish(one.topic, one.key, one.value, one.headers, one.partition) for one in messages)
    for outcome in await asyncio.gather(*sent, return_exceptions=True):
        if isinstance(outcome, (TransientFailure, Overloaded, InvalidEvent)):
            log.warning("%s: an announcement was not taken: %s", shop.processor.name, outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
