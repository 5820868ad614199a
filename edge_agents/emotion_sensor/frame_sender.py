"""The live picture: the newest frame with its boxes, twice a second, from a thread that may be slow."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.delivery import Delivery, Later, Refused, says_status_ok
from edge_agents.emotion_sensor.detection import Picture

FRAME = "/api/stream/frame"
JPEG_QUALITY = 60
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A box with what is written above it."""

    box: Box
    text: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    picture: Picture
    faces: tuple[Labelled, ...]
    fps: float


def annotated(picture: Picture, faces: Sequence[Labelled]) -> Picture:
    """A copy of `picture` (BGR) with the boxes and their texts drawn in."""
    drawn = picture.copy()
    for face in faces:
        cv2.rectangle(drawn, (face.box.x1, face.box.y1), (face.box.x2, face.box.y2), (80, 220, 80), 2)
        place = (face.box.x1, max(14, face.box.y1 - 6))
        cv2.putText(drawn, face.text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (80, 220, 80), 2, cv2.LINE_AA)
    return np.asarray(drawn, dtype=np.uint8)


def frame_body(device_id: str, picture: Picture, fps: float) -> dict[str, Any]:
    """The post of one picture: JPEG of quality 60 in base64, the time in UTC, the measured frame rate."""
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return {
        "device_id": device_id,
        "frame_b64": base64.b64encode(jpeg.tobytes()).decode(),
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
        "fps": round(fps, 2),
    }


class FrameSender:
    """Holds at most one picture: a slow server gets fewer, and nothing waits for it."""

    def __init__(self, device_id: str, delivery: Delivery, every_s: float = 0.5) -> None:
        self._device_id = device_id
        self._delivery = delivery
        self._every_s = every_s
        self._due_s = float("-inf")
        self._next: _Snapshot | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is not sent is of no use any more."""
        self._stopping.set()
        self._ready.set()

    def offer(self, picture: Picture, faces: Sequence[Labelled], fps: float, now_s: float) -> None:
        """Take this picture if one is due. Never blocks."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + self._every_s
        self._next = _Snapshot(picture, tuple(faces), fps)
        self._ready.set()

    def _run(self) -> None:
        while self._ready.wait() and not self._stopping.is_set():
            self._ready.clear()
            snapshot, self._next = self._next, None
            if snapshot is not None:
                self.send(snapshot.picture, snapshot.faces, snapshot.fps)

    def send(self, picture: Picture, faces: Sequence[Labelled], fps: float) -> None:
        """Draw, encode and post one picture. A failure is said once, until it works again."""
        body = frame_body(self._device_id, annotated(picture, faces), fps)
        verdict = self._delivery.post_json(FRAME, body, says_status_ok)
        failing = isinstance(verdict, Later | Refused)
        if failing and not self._failing:
            log.warning("Live pictures do not get through: %s", verdict)
        self._failing = failing
