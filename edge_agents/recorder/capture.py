"""What the recorder asks of a microphone, and the thread that listens to one, so that a slow disk loses no sound."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agents.recorder.errors import CaptureLost

log = logging.getLogger(__name__)
Samples = NDArray[np.int16]
_HELD_S = 120
_LOOK_S = 0.01


class Microphone(Protocol):
    """Where sound comes from. `live`: silence of the source itself (no samples at all) means that it is lost."""

    name: str
    live: bool

    def blocks(self) -> Iterator[Samples]:
        """Mono samples as they come, until the source ends. Raises CaptureLost."""
        ...

    def moment_us(self, count: int) -> int | None:
        """The steady-clock moment of sample `count`, where the source decides it; None: when it arrives."""
        ...

    def close(self) -> None:
        """Stop; `blocks` then ends soon. Called from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """Samples and the steady-clock moment of the first one, in microseconds."""

    samples: Samples
    heard_us: float


class Feed:
    """Listens to a microphone in a thread of its own."""

    def __init__(self, microphone: Microphone, sample_rate: int, steady_us: Callable[[], int]) -> None:
        self.microphone = microphone
        self._rate = sample_rate
        self._steady_us = steady_us
        self._queue: queue.Queue[Block | Exception | None] = queue.Queue()
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._listen, name="microphone", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Block | None:
        """The next block, None if none came in time. Raises CaptureLost, or EOFError at the source's end."""
        if self._ended:
            raise EOFError
        try:
            item = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, Block):
            return item
        self._ended = True
        raise item or EOFError()

    def close(self) -> None:
        """Stop listening. What was heard so far can still be taken."""
        self._closed.set()
        self.microphone.close()
        self._thread.join(2)
        if self._thread.is_alive():
            log.warning("microphone_hangs", extra={"microphone": self.microphone.name})

    def _listen(self) -> None:
        count = 0
        try:
            for samples in self.microphone.blocks():
                moment = self.microphone.moment_us(count)
                length_us = samples.size * 1e6 / self._rate
                heard = self._steady_us() - length_us if moment is None else moment
                count += samples.size
                if samples.size and not self._put(Block(samples, heard)):
                    break
            self._queue.put(None)
        except CaptureLost as lost:
            self._queue.put(lost)
        except Exception as error:  # noqa: BLE001
            # The outermost loop of this thread: what the sound system throws ends the capture, not the agent.
            self._queue.put(CaptureLost(f"{self.microphone.name}: {type(error).__name__}: {error}"))

    def _put(self, block: Block) -> bool:
        while self._queue.qsize() * block.samples.size > _HELD_S * self._rate:
            if self._closed.wait(_LOOK_S):
                return False
        self._queue.put(block)
        return not self._closed.is_set()


def mono(frame: Any) -> Samples:
    """An audio frame of PyAV (packed or planar 16 bit) as one channel."""
    values: NDArray[Any] = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if channels == 1:
        return values.reshape(-1).astype(np.int16, copy=False)
    spread = values if frame.format.is_planar else values.reshape(-1, channels).T
    return spread.mean(axis=0).astype(np.int16)
