"""The newest camera frame of each device, in the memory of this process, and the endless MJPEG stream made of it."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass

STREAM_PERIOD_S = 0.1


@dataclass(frozen=True, slots=True)
class Frame:
    """A JPEG as sent and the device's own frame rate."""

    jpeg: bytes
    fps: float


class FrameStore:
    """Newest frames, bounded in devices and bytes: the device that has been silent longest is dropped first."""

    def __init__(self, devices: int = 256, total_bytes: int = 64 << 20, streams: int = 64) -> None:
        self._frames: OrderedDict[str, Frame] = OrderedDict()
        self._devices = devices
        self._total_bytes = total_bytes
        self._bytes = 0
        self._streams = streams
        self.open_streams = 0

    def put(self, device_id: str, frame: Frame) -> None:
        """Keep a frame in the place of the device's last one."""
        if old := self._frames.pop(device_id, None):
            self._bytes -= len(old.jpeg)
        self._frames[device_id] = frame
        self._bytes += len(frame.jpeg)
        while len(self._frames) > 1 and (len(self._frames) > self._devices or self._bytes > self._total_bytes):
            _, dropped = self._frames.popitem(last=False)
            self._bytes -= len(dropped.jpeg)

    def newest(self, device_id: str) -> Frame | None:
        """The device's last frame, None before the first."""
        return self._frames.get(device_id)

    def fps(self, device_id: str) -> float:
        """The frame rate that came with the device's last frame, 0.0 before the first."""
        frame = self._frames.get(device_id)
        return frame.fps if frame else 0.0

    def has_room_for_stream(self) -> bool:
        """Whether another stream may be opened."""
        return self.open_streams < self._streams

    async def stream(self, device_id: str) -> AsyncIterator[bytes]:
        """Parts of a `multipart/x-mixed-replace; boundary=frame` body, for ever.

        The newest frame is sent every 100 ms, changed or not: a browser shows a part only when the next one begins.
        """
        self.open_streams += 1
        try:
            while True:
                if frame := self._frames.get(device_id):
                    yield b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + frame.jpeg + b"\r\n"
                await asyncio.sleep(STREAM_PERIOD_S)
        finally:
            self.open_streams -= 1


def decode_frame(text: str) -> bytes | None:
    """The bytes of a base64 text, foreign characters skipped; None when its padding is wrong or it is not ASCII."""
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None
