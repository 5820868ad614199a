"""A partition's state as it was before an offset: the latest usable snapshot, then the log since. Emits nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from streams.runtime.decide import decide
from streams.runtime.past import Past
from streams.topology import Processor

log = logging.getLogger(__name__)
S = TypeVar("S")


def rebuild(processor: Processor[S], past: Past, partition: int, offset: int, progress: Callable[[], None]) -> S:
    """Fold the partition up to `offset` (exclusive). Blocks, and calls `progress` with every record it has read.

    A processor that remembers nothing needs no past; so no heavy part is ever asked here (`topology.Processor`).

    Raises:
        TransientFailure, PositionLost: the log cannot be read now, or no longer from the beginning.
    """
    if processor.is_stateless:
        return processor.state.empty()
    start, state = _latest(processor, past, partition, offset, progress)
    folded = 0
    for record in past.records(partition, start, offset):
        state = decide(processor, state, record).state
        folded += 1
        progress()
    log.info("%s: %s/%d before %d: %d events folded", processor.name, processor.topic_in, partition, offset, folded)
    return state


def _latest(
    processor: Processor[S], past: Past, partition: int, offset: int, progress: Callable[[], None]
) -> tuple[int, S]:
    for next_offset, data in past.snapshots(partition, offset, progress):
        state = processor.state.load(data)
        if state is not None:
            return next_offset, state
    return min(past.first_offset(partition), offset), processor.state.empty()
