"""The capability `vision`: who can be seen in a video. For a child process: decodes, finds, follows, counts.

Request: `source` (a file's path, a camera's number, or an address such as rtsp://), `first_frame`, `frames` (how many,
rounded up to whole intervals), `settings` (see `vision.looking.Looking`), and optionally `summary` (the last one told,
for who goes on where somebody else ended), `seconds` (enough after that long) and `limit_s` (by then there has to be an
answer: an interval that would take more than half of it is told in pieces).

Answer: `intervals`, each with `first_frame`, `last_frame`, `video_ms`, `detections` (`class`, `confidence`, `bbox`,
`track_id`: None for who was not seen often enough to be certain; one for everybody, the surest sighting), `summary`
(since frame 0), `frames_total` (None when nobody knows), `next_frame`, `end`, `fps`, `size`.

The source stays open: a request that goes on at `next_frame` goes on at once, any other one seeks. `{release: true}`
lets go of it, with an empty answer: nobody looks at this camera any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cv2

from streams.vision.addresses import SCHEMES, is_address, is_camera, nameless, scheme_of
from streams.vision.frames import REASON, Source
from streams.vision.live import Live, Patience, address, camera
from streams.vision.looking import Looking, looking
from streams.vision.onnx_detector import OnnxDetector
from streams.vision.people import People
from streams.vision.summary import remembered
from streams.vision.video_file import VideoFile
from streams.vision.watching import Detector, Portion, Watch
from streams.workers import BadInput

SECONDS: Final = 10.0
MOST_FRAMES: Final = 100_000
PATIENCE: Final = Patience()
Opener = Callable[[str], Source]


@dataclass(slots=True)
class _Held:
    """What is open between two requests."""

    key: tuple[str, Looking]
    source: Source
    watch: Watch


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Give the worker. Options: `threads` (1) and any setting of `Looking` as its default.

    The worker raises BadInput for what is no video or no settings, NotNow for a source or a model that is not there.
    """
    threads = int(options.get("threads", 1))
    cv2.setNumThreads(threads)
    looking(options, {})
    return Worker(options, partial(opened, threads=threads), partial(detector_of, threads=threads))


class Worker:
    """Answers requests; keeps one source and one detector."""

    def __init__(
        self, options: Mapping[str, Any], open_source: Opener, detector: Callable[[Looking], Detector]
    ) -> None:
        self._options, self._open, self._make = options, open_source, detector
        self._held: _Held | None = None
        self._detector: tuple[Looking, Detector] | None = None

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One request. After an error nothing is open, nor after a request to `release`."""
        if request.get("release"):
            self._release()
            return {}
        wanted = looking(self._options, request.get("settings") or {})
        first, portion = _portion(request)
        held = self._held
        self._held = None
        try:
            if held is None or held.key != (str(request["source"]), wanted) or held.watch.next_frame != first:
                if held:
                    held.source.close()
                held = self._begin(request, wanted, first)
            answer = held.watch.work(portion)
        except BaseException:
            if held:
                held.source.close()
            raise
        self._held = held
        return answer

    def _release(self) -> None:
        if self._held:
            self._held.source.close()
        self._held = None

    def _begin(self, request: Mapping[str, Any], wanted: Looking, first: int) -> _Held:
        summary = remembered(request.get("summary"))
        if self._detector is None or self._detector[0] != wanted:
            self._detector = (wanted, self._make(wanted))
        name = str(request["source"])
        source = self._open(name)
        try:
            return _Held((name, wanted), source, Watch(source, wanted, self._detector[1], summary, first))
        except BaseException:
            source.close()
            raise


def opened(name: str, threads: int = 1, patience: Patience = PATIENCE) -> Source:
    """The source of this name. Raises BadInput for a file that is none; cameras and addresses are opened later."""
    if is_camera(name):
        return Live(f"camera {int(name)}", camera(int(name)), patience)
    if is_address(name):
        if _scheme_of(name) not in SCHEMES:
            raise BadInput(f"{REASON}: an address begins with one of {', '.join(sorted(SCHEMES))}")
        return Live(nameless(name), address(name), patience)
    return VideoFile(name, threads)


def _scheme_of(name: str) -> str:
    try:
        return scheme_of(name)
    except ValueError as wrong:
        raise BadInput(f"{REASON}: {nameless(name)} is no address ({wrong})") from wrong


def detector_of(wanted: Looking, threads: int = 1) -> Detector:
    """The detector of these settings. Raises NotNow without the model's file, BadInput for a wrong one."""
    return OnnxDetector(wanted, threads) if wanted.model else People(wanted)


def _portion(request: Mapping[str, Any]) -> tuple[int, Portion]:
    try:
        first, frames = int(request.get("first_frame", 0)), int(request.get("frames", 1))
        seconds, limit_s = float(request.get("seconds", SECONDS)), float(request.get("limit_s", math.inf))
    except (TypeError, ValueError) as wrong:
        raise BadInput("first_frame, frames, seconds and limit_s are numbers.") from wrong
    if first < 0 or not 1 <= frames <= MOST_FRAMES or not 0 < seconds <= 3600:
        raise BadInput(f"first_frame is 0 or more, frames 1 to {MOST_FRAMES:,}, seconds up to 3,600.")
    return first, Portion(frames, seconds, limit_s / 2)
