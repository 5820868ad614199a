"""Frames of a video file, each with its number: what is in the file is anybody's.

A frame's number is how many were decoded before it. Going on elsewhere counts from the beginning, or from a key frame
whose number is known without decoding.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import av
import av.logging
from av.error import FFmpegError, InvalidDataError

from streams.vision.boxes import Picture
from streams.vision.frames import MOST_PIXELS, REASON, Frame, check_size, never, unfolded
from streams.workers import BadInput

FORMATS: Final = (
    "avi,mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,flv,ogg,h264,hevc,m4v,mjpeg,asf,gif,ivf,mxf,yuv4mpegpipe"
)
"""Containers that hold their frames themselves. Playlists and the like would open other files and addresses."""
TIMELESS: Final = frozenset({"avi", "h264", "hevc", "m4v", "mjpeg", "mpegvideo"})
"""Containers without times of presentation: a frame's time follows from its number."""
COUNTED: Final = 500
"""As far as this, going on is decoding and counting; further, a key frame is looked for."""
MOST_BROKEN: Final = 1_000
"""Packets in a row that cannot be decoded."""
USUAL_FPS: Final = 25.0


class VideoFile:
    """A file that is there in full. Not for several threads."""

    live = False

    def __init__(self, path: str, threads: int = 1, most_pixels: int = MOST_PIXELS) -> None:
        """Open it and look at its head. Raises BadInput: no file, empty, no video, frames that are too large."""
        self._path, self._threads, self._most_pixels = _regular(path), threads, most_pixels
        self._going_to: int | None = None
        self._open()
        self.fps: float | None = float(self._stream.average_rate or self._stream.base_rate or USUAL_FPS)
        self.frames_total: int | None = self._stream.frames or self._estimate()

    def next(self, wait_s: float = 0) -> Frame | None:
        """The next frame, None at the end; a file that breaks off ends where it does."""
        frame = next(self._frames, None)
        if frame is None:
            if not self._number:
                raise BadInput(f"{REASON}: nothing in {self._path} can be decoded")
            self.frames_total = self._number
            return None
        number, self._number = self._number, self._number + 1
        before_ms, self._last_ms = self._last_ms, self._ms(frame, number)
        return Frame(number, self._last_ms, lambda: self._pixels(frame), before_ms)

    def go_to(self, number: int, enough: Callable[[], bool] = never) -> bool:
        """Read on at this frame; behind the end there is none. False: not there yet, ask again."""
        is_on_the_way = self._going_to == number and self._number <= number
        if not is_on_the_way and (number < self._number or number - self._number > COUNTED):
            self._reopen()
            if number > COUNTED:
                self._leap(number)
        self._going_to = number
        while self._number < number:
            if enough():
                return False
            if self.next() is None:
                break
        self._going_to = None
        return True

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _open(self) -> None:
        most: Any = [{"max_pixels": str(self._most_pixels)}]  # the library types it as texts, and takes a dict a stream
        try:
            self._container: Any = av.open(
                str(self._path.absolute()),  # a relative `2026-01-01T10:00.mp4` would be taken for an address
                metadata_errors="replace",
                container_options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
                stream_options=most,
            )
        except (FFmpegError, ValueError, OSError) as refused:
            raise BadInput(f"{REASON}: {self._path} is no video that can be read ({_why(refused)})") from refused
        if not self._container.streams.video:
            self._container.close()
            raise BadInput(f"{REASON}: {self._path} holds no video, only other streams")
        self._stream: Any = self._container.streams.video[0]
        context = self._stream.codec_context
        if context is None:
            raise BadInput(f"{REASON}: the video in {self._path} is in an unknown format")
        self.size: tuple[int, int] = (context.width, context.height)
        check_size(*self.size, self._most_pixels)
        context.thread_type, context.thread_count = "AUTO", self._threads
        context.options = {"max_pixels": str(self._most_pixels)}
        self._timeless = bool(TIMELESS & set(self._container.format.name.split(",")))
        self._frames, self._number = self._decoded(), 0
        self._last_ms: int | None = None

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Frames of all packets that can be decoded."""
        broken = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                    broken = 0
                except InvalidDataError:
                    broken += 1
                    if broken > MOST_BROKEN:
                        raise
                    continue
                yield from frames
        except (FFmpegError, ValueError, EOFError) as failed:
            if not self._number:
                raise BadInput(f"{REASON}: nothing in {self._path} can be decoded ({_why(failed)})") from failed

    def _pixels(self, frame: av.VideoFrame) -> Picture:
        check_size(frame.width, frame.height, self._most_pixels)
        self.size = (frame.width, frame.height)
        try:
            return unfolded(frame)
        except (FFmpegError, ValueError) as failed:
            raise BadInput(f"{REASON}: a frame of {self._path} cannot be unfolded ({_why(failed)})") from failed

    def _ms(self, frame: av.VideoFrame, number: int) -> int:
        if self._timeless or frame.pts is None:
            return round(number * 1000 / (self.fps or USUAL_FPS))
        begin = self._stream.start_time or 0
        return max(0, round(float((frame.pts - begin) * self._stream.time_base) * 1000))

    def _estimate(self) -> int | None:
        duration = self._container.duration
        return max(1, round(duration / av.time_base * (self.fps or USUAL_FPS))) if duration else None

    def _leap(self, number: int) -> None:
        """Go to a key frame before this frame, if its number can be known: all times distinct, nothing left out."""
        if self._timeless:
            return
        keys, times = self._index()
        self._reopen()
        wanted = sorted(times)
        if not wanted or len(set(wanted)) < len(wanted) or number >= len(wanted):
            return
        start = max((one for one in keys if one <= wanted[number]), default=None)
        if start is not None and not self._start_at(start, wanted.index(start)):
            self._reopen()

    def _index(self) -> tuple[list[int], list[int]]:
        """Times of the key frames and of all frames, without decoding; nothing where they do not tell enough."""
        keys: list[int] = []
        times: list[int] = []
        try:
            for packet in self._container.demux(self._stream):
                if packet.size and (packet.pts is None or packet.is_discard or packet.is_corrupt):
                    return [], []
                if packet.size:
                    times.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
        except (FFmpegError, ValueError, EOFError):
            return [], []
        return keys, times

    def _start_at(self, pts: int, number: int) -> bool:
        """Whether reading goes on exactly at the frame of this time."""
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except FFmpegError:
            return False
        self._frames = self._decoded()
        for frame in self._frames:
            if frame.pts == pts:
                self._frames, self._number = _before(frame, self._frames), number
                return True
            if frame.pts is None or frame.pts > pts:
                break
        return False


def _regular(path: str) -> Path:
    """Raise BadInput for what is no file with something in it: a pipe or a device might never answer."""
    file = Path(path)
    try:
        known = file.stat()
    except (OSError, ValueError) as refused:
        raise BadInput(f"{REASON}: there is no file {path}") from refused
    if not stat.S_ISREG(known.st_mode):
        raise BadInput(f"{REASON}: {path} is no file")
    if not known.st_size:
        raise BadInput(f"{REASON}: {path} is empty")
    return file


def _before(first: av.VideoFrame, others: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    yield first
    yield from others


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or error.__class__.__name__


av.logging.set_level(None)  # the decoder's own lines name neither file nor reason; our sentences do
