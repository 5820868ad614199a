"""A video runner under the name seed 004 starts it by: `run_worker.py [worker_id] [video_path]`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from ops import settings, state, vision_wiring
from ops.errors import OperatorError

USAGE = "usage: run_worker.py [worker_id] [video_path]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a runner until SIGTERM or Ctrl-C; the exit code. Both arguments may be left out."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) > 2 or any(one.startswith("-") for one in given):
        print(USAGE, file=sys.stderr)
        return 0 if given[0] in ("-h", "--help") else 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        ours = settings.load()
        vision = replace(ours.vision, runner_id=given[0] if given else f"worker_{time.monotonic():.6f}")
        if len(given) == 2:
            vision = replace(vision, video=given[1])
        ours = replace(ours, vision=vision, kafka_bootstrap=state.connected_kafka(ours))
    except OperatorError as error:
        print(f"sensorium: {error}", file=sys.stderr)
        return 1
    return vision_wiring.runner(ours)
