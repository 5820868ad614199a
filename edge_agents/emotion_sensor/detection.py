"""Faces in a frame, by OpenCV's Haar cascade. The measurements behind the numbers are in docs/decisions/0010."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agents.emotion_sensor.boxes import Box

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DetectionRules:
    """How the cascade searches. Lengths in pixels of the searched picture."""

    cascade: str = "haarcascade_frontalface_alt2.xml"
    width: int = 640  # a wider frame is searched at this width
    scale: float = 1.1
    neighbours: int = 3
    smallest: int = 40


class FaceDetector:
    """Finds upright frontal faces in a BGR or grey picture. One instance per thread."""

    def __init__(self, rules: DetectionRules | None = None) -> None:
        self._rules = rules or DetectionRules()
        path = Path(cv2.data.haarcascades) / self._rules.cascade  # pyright: ignore[reportAttributeAccessIssue]
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise FileNotFoundError(f"OpenCV's cascade {path} is missing: install opencv-python-headless 4.x")

    def faces(self, grey: Picture) -> list[Box]:
        """Boxes of the faces in a grey picture, in its own pixels, from left to right."""
        factor = min(1.0, self._rules.width / grey.shape[1])
        small = grey if factor == 1.0 else cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        found = self._cascade.detectMultiScale(
            small, self._rules.scale, self._rules.neighbours, minSize=(self._rules.smallest, self._rules.smallest)
        )
        # The cascade answers in no promised order; a fixed one makes a replay of the same frames agree.
        boxes = sorted((int(x), int(y), int(x + w), int(y + h)) for x, y, w, h in found)
        return _without_inner([Box(*box).scaled(1 / factor) for box in boxes])


def _without_inner(boxes: list[Box]) -> list[Box]:
    """Leave out what lies mostly inside a larger box: an open mouth in a face is taken for a face now and then."""
    return [box for box in boxes if not any(other.area > box.area and box.inside(other) > 0.5 for other in boxes)]


def grey_of(frame: Picture) -> Picture:
    """The grey version of a BGR picture; a grey one as it is."""
    return frame if frame.ndim == 2 else np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
