"""One look after the other at one source: what is looked at, found, followed and told per interval of frames."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from streams.vision.boxes import Detection, Picture
from streams.vision.frames import REASON, Frame, Source
from streams.vision.looking import Looking
from streams.vision.motion import Motion
from streams.vision.summary import Summary
from streams.vision.tracking import Track, Tracker

Detector: TypeAlias = Callable[[Picture], Sequence[Detection]]


@dataclass(frozen=True, slots=True)
class Portion:
    """How much one request wants: frames, and seconds after which it is enough.

    An interval is looked at to its end then, but no longer than `longest_s` in all: what is slow is told in pieces.
    """

    frames: int
    seconds: float
    longest_s: float = math.inf


class Watch:
    """What is known of a source that is being looked at. `next_frame` is the first that was not yet told."""

    def __init__(self, source: Source, looking: Looking, detector: Detector, summary: Summary, first: int) -> None:
        """`first`: where to begin. Nothing is read yet."""
        self._source, self._looking, self._detector, self._summary = source, looking, detector, summary
        self._tracker = Tracker(looking.hits, looking.lose_s * 1000, summary.tracks + 1)
        self._motion = Motion() if looking.motion else None
        self._detected_ms = -math.inf
        self._begin_ms = summary.video_ms if source.live else 0
        self._end = self._is_there = False
        self.looked = 0
        self.next_frame = first

    def work(self, portion: Portion, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
        """Look at the next frames, interval by interval, until enough was seen or the source ends.

        Going to the first one may take several portions without an interval. Raises as `frames.Source` does.
        """
        until, late = clock() + portion.seconds, clock() + portion.longest_s
        last = self.next_frame + portion.frames
        intervals: list[dict[str, Any]] = []
        self._is_there = self._is_there or self._source.go_to(self.next_frame, lambda: clock() >= late)
        while self._is_there and not self._end and (not intervals or (self.next_frame < last and clock() < until)):
            interval = self._interval(until, until if self._source.live else late, clock)
            if interval is None:
                break
            intervals.append(interval)
        return self._answer(intervals)

    def _answer(self, intervals: list[dict[str, Any]]) -> dict[str, Any]:
        source = self._source
        return {
            "intervals": intervals,
            "summary": self._summary.told(),
            "frames_total": source.frames_total,
            "next_frame": self.next_frame,
            "end": self._end,
            "fps": source.fps,
            "size": list(source.size),
        }

    def _interval(self, until: float, late: float, clock: Callable[[], float]) -> dict[str, Any] | None:
        """The frames up to the next multiple of the interval, or until it is late; None when there were none."""
        first, size = self.next_frame, self._looking.interval
        boundary = (first // size + 1) * size
        found: dict[int, tuple[Track, dict[str, Any]]] = {}
        ms: int | None = None
        while self.next_frame < boundary:
            frame = self._source.next(max(0.0, until - clock()))
            if frame is None:
                self._end = not self._source.live
                break
            ms = self._begin_ms + frame.ms
            self._take(frame, ms, found)
            self.next_frame = frame.number + 1
            if clock() >= late:
                break
        if ms is None:
            return None
        detections = sorted((one for _, one in found.values()), key=lambda one: -one["confidence"])
        return {"first_frame": first, "last_frame": self.next_frame - 1, "video_ms": ms, "detections": detections}

    def _take(self, frame: Frame, ms: int, found: dict[int, tuple[Track, dict[str, Any]]]) -> None:
        self._summary.passed(frame.number, ms)
        if not self._chosen(frame):
            return
        tracks = self._look(frame, ms)
        self._summary.add(tracks, frame.number, ms)
        for track in tracks:
            before = found.get(id(track))
            told = detection(track)
            if before and before[1]["confidence"] > told["confidence"]:
                before[1]["track_id"] = track.number
            else:
                found[id(track)] = (track, told)

    def _chosen(self, frame: Frame) -> bool:
        """Whether a frame is looked at: the same ones whoever begins where."""
        looking = self._looking
        if looking.every or self._source.live:
            return frame.number % max(1, looking.every) == 0
        before = frame.before_ms
        if before is None:
            before = frame.ms - 1000 / (self._source.fps or 1)
        return math.floor(frame.ms * looking.per_second / 1000) != math.floor(before * looking.per_second / 1000)

    def _look(self, frame: Frame, ms: int) -> list[Track]:
        picture = frame.pixels()
        self.looked += 1
        if self._motion and not self._motion.moves(picture) and ms - self._detected_ms < self._looking.refresh_s * 1000:
            return self._tracker.hold(ms)
        self._detected_ms = ms
        return self._tracker.see(self._detector(picture), frame.number, ms)


def detection(track: Track) -> dict[str, Any]:
    """A track as it stands, as it is told."""
    return {
        "class": track.name,
        "confidence": round(track.confidence, 2),
        "bbox": list(track.box),
        "track_id": track.number,
    }


__all__ = ["REASON", "Detector", "Portion", "Watch", "detection"]
