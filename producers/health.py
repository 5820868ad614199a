"""Ask Kafka every few seconds whether it is there, so that `/health` can answer from memory."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from producers.publisher import Publisher

PERIOD_S = 2.0
TIMEOUT_S = 1.5


class KafkaWatch:
    """Whether the topic's broker answers, as of at most a few seconds ago."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic
        self._since = time.time()
        self._task: asyncio.Task[None] | None = None
        self.reachable = False

    def start(self) -> None:
        """Begin to ask, on the running loop."""
        self._task = asyncio.create_task(self._run(), name="kafka-watch")

    async def stop(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def report(self) -> dict[str, Any]:
        """`reachable`, since when (UTC epoch seconds) and how many messages wait in the producer."""
        return {"reachable": self.reachable, "since": round(self._since, 3), "waiting": self._publisher.in_flight()}

    async def _run(self) -> None:
        while True:
            reachable = await asyncio.to_thread(self._publisher.topic_exists, self._topic, TIMEOUT_S)
            if reachable != self.reachable:
                self.reachable, self._since = reachable, time.time()
            await asyncio.sleep(PERIOD_S)
