"""Rectangles of a picture: overlap, the best of many, and fitting a picture into a model's square. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Height x width x 3; blue, green, red."""
Numbers: TypeAlias = NDArray[np.float32]
Box: TypeAlias = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels of the picture; x2 and y2 lie outside."""
MOST_CANDIDATES: Final = 1_000
_GREY: Final = (114, 114, 114)


@dataclass(frozen=True, slots=True)
class Detection:
    """Something found in a picture; confidence 0 to 1."""

    name: str
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture lies in a model's canvas: enlarged by a factor, then moved (pixels of the canvas)."""

    factor: float
    left: int
    top: int


def overlaps(one: Numbers, other: Numbers) -> Numbers:
    """Intersection over union of each of n boxes with each of m: n x m, 0 to 1."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    union = _areas(one)[:, None] + _areas(other)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


def best(boxes: Numbers, scores: Numbers, kinds: NDArray[np.int64], most_overlap: float, most: int) -> list[int]:
    """Which boxes stay, the surest first: of one kind none overlaps a surer one by more (non-maximum suppression)."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable")[:MOST_CANDIDATES].tolist():
        rivals = [one for one in kept if kinds[one] == kinds[index]]
        if not rivals or float(overlaps(boxes[index : index + 1], boxes[rivals]).max()) <= most_overlap:
            kept.append(index)
            if len(kept) == most:
                break
    return kept


def letterbox(picture: Picture, width: int, height: int) -> tuple[Picture, Fit]:
    """The picture in the middle of a grey canvas of this size, its sides in proportion."""
    down, across = picture.shape[:2]
    factor = min(width / across, height / down)
    inner_across, inner_down = max(1, round(across * factor)), max(1, round(down * factor))
    left, top = (width - inner_across) // 2, (height - inner_down) // 2
    canvas = np.full((height, width, 3), _GREY, np.uint8)
    canvas[top : top + inner_down, left : left + inner_across] = cv2.resize(picture, (inner_across, inner_down))
    return canvas, Fit(factor, left, top)


def from_canvas(boxes: Numbers, fit: Fit) -> Numbers:
    """Boxes of the canvas in pixels of the picture."""
    moved = boxes - np.array([fit.left, fit.top] * 2, np.float32)
    return np.asarray(moved / fit.factor, np.float32)


def box_within(numbers: Numbers, width: int, height: int) -> Box | None:
    """Whole pixels inside the picture; None when nothing of it lies there, or it is no number."""
    if not np.isfinite(numbers).all():
        return None
    x1, x2 = (round(min(max(float(one), 0), width)) for one in numbers[0::2])
    y1, y2 = (round(min(max(float(one), 0), height)) for one in numbers[1::2])
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _areas(boxes: Numbers) -> Numbers:
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)
