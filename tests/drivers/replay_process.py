"""`python -m tests.drivers.replay_process BOOTSTRAP DATABASE_URL PREFIX`: a replay to be killed from outside."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

from ops import replay
from projections.feed import Limits
from projections.projectors.emotion_logs import READ_MODEL
from tests.drivers.projecting import RING


class Lines:
    """Says on standard output how it goes."""

    def phase(self, name: str, total: int) -> None:
        """A phase begins."""
        print(f"phase {name}", flush=True)

    def advanced(self, rows: int, offsets: int) -> None:
        """A batch is stored."""
        print(f"rows {rows}", flush=True)


def main() -> None:
    """Replay emotion_logs in small batches."""
    bootstrap, database_url, prefix = sys.argv[1:]
    replay.BATCH = Limits(records=3)  # pyright: ignore[reportConstantRedefinition]
    model = replace(READ_MODEL, topics=(f"{prefix}emotion.points",))
    job = replay.Replay(replay.Servers(bootstrap, database_url, RING), model, threading.Event(), Lines())
    outcome = job.next_version()
    print(f"switched {outcome.switched} {outcome.schema} {outcome.differences}", flush=True)


if __name__ == "__main__":
    main()
