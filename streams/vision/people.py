"""OpenCV 4's people detector: histograms of gradients and a linear SVM (Dalal and Triggs, CVPR 2005)."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from streams.vision.boxes import Detection, Picture, best, box_within
from streams.vision.looking import Looking

NAME: Final = "person"
WINDOW: Final = (64, 128)
"""Width and height of what it knows: smaller people are not found, hence the enlargement."""
MOST_SIDE: Final = 4_096


class People:
    """Finds people who stand or walk. For one thread."""

    def __init__(self, looking: Looking) -> None:
        self._looking = looking
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def __call__(self, picture: Picture) -> list[Detection]:
        """Who is in the picture, the surest first."""
        height, width = picture.shape[:2]
        factor = scale_of(width, height, self._looking)
        across, down = round(width * factor), round(height * factor)
        if NAME not in (self._looking.classes or (NAME,)) or across < WINDOW[0] or down < WINDOW[1]:
            return []
        seen = picture if factor == 1 else cv2.resize(picture, (across, down))
        found, weights = self._hog.detectMultiScale(seen, winStride=(8, 8), padding=(8, 8), scale=self._looking.pyramid)
        rows = np.asarray(found, np.float32).reshape(-1, 4)
        sure = np.array([confidence(one) for one in np.ravel(weights).tolist()], np.float32)
        boxes = np.concatenate([rows[:, :2] + rows[:, 2:] * _EDGE, rows[:, :2] + rows[:, 2:] * (1 - _EDGE)], axis=1)
        kept = [one for one in self._best(boxes / factor, sure) if sure[one] >= self._looking.score]
        boxed = [(one, box_within(boxes[one] / factor, width, height)) for one in kept]
        return [Detection(NAME, float(sure[one]), box) for one, box in boxed if box is not None]

    def _best(self, boxes: np.ndarray, sure: np.ndarray) -> list[int]:
        return best(boxes, sure, np.zeros(len(sure), np.int64), self._looking.nms, self._looking.most)


_EDGE: Final = np.array([0.1, 0.07], np.float32)
"""The window has a margin around the person it knows: this share of it on each side."""


def scale_of(width: int, height: int, looking: Looking) -> float:
    """By how much a picture is enlarged before it is searched."""
    return min(looking.enlarge, looking.width / width, MOST_SIDE / height)


def confidence(weight: float) -> float:
    """The SVM's distance as a share: 0.5 at 0.69, 0.63 at 1, 0.86 at 2. Not a probability."""
    return 1 - math.exp(-max(0.0, weight))
