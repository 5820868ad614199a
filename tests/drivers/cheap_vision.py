"""A child that sees somebody in everything: the shape of `streams.workers.vision`, without video and without work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from streams.workers import BadInput

INTERVAL = 10


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The source `frames/NUMBER` has that many frames, `broken` cannot be read, `live` goes on.

    `clock` goes on too, and has the time of the look (epoch milliseconds) as its video's time.
    """
    pause_s = float(options.get("pause_s", 0.0))

    def work(request: Mapping[str, Any]) -> dict[str, Any]:
        if request.get("release"):
            return {}
        kind, _, number = request["source"].partition("/")
        if kind == "broken":
            raise BadInput("failed_to_read_frame: the file is damaged")
        time.sleep(pause_s)
        total = int(number) if kind == "frames" else None
        answer = looked(request, total)
        if kind == "clock":
            answer["intervals"][0]["video_ms"] = time.time_ns() // 1_000_000
        return answer

    return work


def looked(request: Mapping[str, Any], total: int | None) -> dict[str, Any]:
    """What a child says about the next interval: somebody in each."""
    first = request["first_frame"]
    last = first + INTERVAL - 1 if total is None else min(first + INTERVAL, total) - 1
    before = (request["summary"] or {"frames": first})["frames"]
    seen = {"class": "person", "confidence": 0.9, "bbox": [1, 2, 3, 4], "track_id": 1}
    interval = {"first_frame": first, "last_frame": last, "video_ms": 40 * last, "detections": [seen]}
    return {
        "intervals": [interval] if last >= first else [],
        "summary": {"predictions": [{"class": "person", "confidence": 0.9}], "frames": before + last + 1 - first},
        "frames_total": total,
        "next_frame": last + 1,
        "end": total is not None and last + 1 >= total,
        "fps": 25.0,
    }
