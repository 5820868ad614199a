"""The capability `deviance`: how agitated a window of frames is. For a child process: decodes, measures, says who.

Request: either `frames` (encoded pictures in order, JPEG as devices send them; `FPS` a second is expected) or `source`
(as `streams.workers.vision` takes it), `first_frame` and `window_s` (2 s; a model takes as many frames as it was made
for instead). Answer: `score` (0 to 1), `model`, `key_frame` (index of the liveliest of the frames, with `source` its
frame number), `participants` (`bbox` in pixels of the key frame, `track_id` and `user_id` None: people, or the lively
regions where nobody is found; none below `participants_from`), `frames` that were looked at, and of a source also
`first_frame`, `last_frame`, `start_ms`, `end_ms`, `next_frame`, `end` and `key_picture` (JPEG) where the score reached
`participants_from` or a `picture` was asked for. A window of a source that has ended holds no frames and no score
(None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import cv2
import numpy as np

from streams.vision.boxes import Box, Picture
from streams.vision.clip_model import ClipModel
from streams.vision.deviance import FPS, MODEL, agitation
from streams.vision.frames import Frame, Source
from streams.vision.looking import Looking
from streams.vision.people import People
from streams.workers import BadInput
from streams.workers.pictures import Bounds, check, header_of, pixels_of
from streams.workers.vision import opened

MOST_FRAMES: Final = 250
LONGEST_S: Final = 20.0
BOUNDS: Final = Bounds()
UNFOLDED: Final = 1_000
"""Longest side of a device's picture when it is looked at."""
LIVE_WAIT_S: Final = 5.0
AHEAD_BYTES: Final = 128 << 20
"""Pictures of a window beside which the next one is taken already."""
_QUALITY: Final = (cv2.IMWRITE_JPEG_QUALITY, 85)


Taken: TypeAlias = tuple[list[tuple[Frame, Picture]], int, bool]
"""Frames of a window, the number of the one after them, and whether the source has ended."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a window: its score, the index of its key frame, and the lively regions of that."""

    score: float
    key: int
    regions: tuple[Box, ...]


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Give the worker. Options: `model` (path of an ONNX file; none: no weights), `threads`, `participants_from`.

    The worker raises BadInput for no pictures and no video, NotNow for a source that is not there; opening raises them
    for the model.
    """
    threads = int(options.get("threads", 1))
    cv2.setNumThreads(threads)
    model = ClipModel(str(options["model"]), threads) if options.get("model") else None
    return Deviance(model, partial(opened, threads=threads), float(options.get("participants_from", 0.25)))


class Deviance:
    """Answers requests; keeps one source open."""

    def __init__(self, model: ClipModel | None, open_source: Callable[[str], Source], participants_from: float) -> None:
        self._model, self._open, self._from = model, open_source, participants_from
        self._people = People(Looking())
        self._held: Film | None = None

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One window."""
        if "frames" in request:
            pictures = decoded(request["frames"])
            verdict = self._verdict(pictures)
            return self._told(verdict, pictures) | {"key_frame": verdict.key}
        return self._of_source(request)

    def _of_source(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name, first = str(request["source"]), int(request.get("first_frame", 0))
        window_s = float(request.get("window_s", 2.0))
        if not 0 < window_s <= LONGEST_S or first < 0:
            raise BadInput(f"window_s is up to {LONGEST_S:g} s and first_frame 0 or more.")
        film, self._held = self._held, None
        if film is None or film.name != name or film.following != first:
            if film:
                film.close()
            film = Film(name, self._open(name), first)
        try:
            answer = self._window(film, window_s, always=bool(request.get("picture")))
        except BaseException:
            film.close()
            raise
        self._held = film
        return answer

    def _window(self, film: Film, window_s: float, *, always: bool) -> dict[str, Any]:
        first = film.following
        frames, end = film.window(window_s, self._model.frames if self._model else None)
        place = {"first_frame": first, "last_frame": film.following - 1, "next_frame": film.following, "end": end}
        if not frames:
            nothing = {"score": None, "model": self._name, "key_frame": None, "participants": [], "frames": 0}
            return nothing | place | {"start_ms": None, "end_ms": None, "key_picture": None}
        pictures = [picture for _, picture in frames]
        verdict = self._verdict(pictures)
        wanted = always or verdict.score >= self._from
        return (
            self._told(verdict, pictures)
            | place
            | {
                "key_frame": frames[verdict.key][0].number,
                "key_picture": _jpeg(pictures[verdict.key]) if wanted else None,
            }
            | {"start_ms": frames[0][0].ms, "end_ms": frames[-1][0].ms}
        )

    @property
    def _name(self) -> str:
        return self._model.name if self._model else MODEL

    def _verdict(self, pictures: Sequence[Picture]) -> Verdict:
        if self._model is None:
            found = agitation(pictures)
            return Verdict(found.score, found.key_frame, found.regions)
        return Verdict(self._model(pictures), len(pictures) // 2, ())

    def _told(self, verdict: Verdict, pictures: Sequence[Picture]) -> dict[str, Any]:
        boxes: Sequence[Box] = ()
        if verdict.score >= self._from:
            boxes = [one.box for one in self._people(pictures[verdict.key])] or verdict.regions
        return {
            "score": round(verdict.score, 4),
            "model": self._name,
            "participants": [{"bbox": list(box), "track_id": None, "user_id": None} for box in boxes],
            "frames": len(pictures),
        }


class Film:
    """A source being followed window by window: while one is looked at, a thread takes the next one of a file.

    `following` is the number of the next window's first frame.
    """

    def __init__(self, name: str, source: Source, first: int) -> None:
        """Go to the first frame, and close the source where there is none. Raises as `frames.Source` does."""
        self.name, self.following = name, first
        self._source = source
        self._thread: ThreadPoolExecutor | None = None if source.live else ThreadPoolExecutor(1, "film")
        self._ahead: tuple[tuple[float, int | None], Future[Taken]] | None = None
        try:
            source.go_to(first)
        except BaseException:
            self.close()
            raise

    def window(self, window_s: float, frames: int | None) -> tuple[list[tuple[Frame, Picture]], bool]:
        """The next window as `taken` gives it, and whether the source has ended. Raises as `frames.Source` does."""
        wanted, (asked, ahead) = (window_s, frames), self._ahead or (None, None)
        self._ahead = None
        if ahead is None:
            found = taken(self._source, self.following, *wanted)
        elif asked == wanted:
            found = ahead.result()
        else:  # it took frames that belong to another kind of window
            wait((ahead,))
            self._source.go_to(self.following)
            found = taken(self._source, self.following, *wanted)
        pictures, self.following, end = found
        if self._thread and not end and sum(picture.nbytes for _, picture in pictures) <= AHEAD_BYTES:
            self._ahead = wanted, self._thread.submit(taken, self._source, self.following, *wanted)
        return pictures, end

    def close(self) -> None:
        """Let go of the source, once nobody takes from it."""
        if self._thread:
            self._thread.shutdown()
        self._source.close()


def taken(source: Source, first: int, window_s: float, frames: int | None) -> Taken:
    """The window's frames: `frames` in a row, or those of `window_s` at `FPS`; the next number; whether it ended."""
    found: list[tuple[Frame, Picture]] = []
    following, begin_ms, slot = first, None, -1
    while frames is None or len(found) < frames:
        frame = source.next(LIVE_WAIT_S)
        if frame is None:
            return found, following, not source.live
        begin_ms = frame.ms if begin_ms is None else begin_ms
        following = frame.number + 1
        now = int((frame.ms - begin_ms) * FPS / 1000 + 1e-6)
        if frames is not None or now > slot:
            found.append((frame, frame.pixels()))
            slot = now
        if frames is None and slot + 1 >= round(window_s * FPS):
            break
    return found, following, False


def decoded(frames: Any) -> list[Picture]:
    """A device's pictures. Raises BadInput for none, too many, or one that is no picture."""
    if not isinstance(frames, (list, tuple)) or not 1 <= len(frames) <= MOST_FRAMES:
        raise BadInput(f"A window has 1 to {MOST_FRAMES} frames.")
    if not all(isinstance(one, bytes) for one in frames):
        raise BadInput("A frame is the bytes of a picture.")
    return [_picture(one) for one in frames]


def _picture(data: bytes) -> Picture:
    header = header_of(data)
    check(header, BOUNDS)
    return pixels_of(data, header, UNFOLDED)


def _jpeg(picture: Picture) -> bytes:
    return np.asarray(cv2.imencode(".jpg", picture, _QUALITY)[1], np.uint8).tobytes()
