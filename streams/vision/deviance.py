"""How agitated a window of frames is, without weights: statistics of how optical flow changes. Pure.

After T. Hassner, Y. Itcher, O. Kliper-Gross, "Violent flows: real-time detection of violent crowd behavior", CVPR
Workshops 2012: fights show in changes of the magnitude of flow, not in the flow. It is a score of agitation and no
alarm: dancing, running and a camera that is moved are agitated too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import cv2
import numpy as np

from streams.vision.boxes import Box, Numbers, Picture

MODEL: Final = "violent-flows-1"
FPS: Final = 12.5
"""Frames a second that are compared. At 25 many films show each picture twice, which looks like jerks."""
WIDTH: Final = 100
MIDDLE: Final = 0.66
"""Pixels of `WIDTH` by which the liveliest twentieth changes its speed from frame to frame: this much is score 0.5.

Chosen on two films with and two without a fight (0.81 and 0.71 against 0.63 and 0.55 in their liveliest windows): far
too few for a promise.
"""
STEEPNESS: Final = 12.0
LIVELY: Final = 0.5
LEAST_PART: Final = 0.004
"""Of the picture: a smaller lively region is nobody."""
MOST_REGIONS: Final = 10


@dataclass(frozen=True, slots=True)
class Agitation:
    """What a window was like; `key_frame` is the index of the liveliest frame, `regions` its lively parts."""

    score: float
    change: float
    key_frame: int
    regions: tuple[Box, ...]


CALM: Final = Agitation(0.0, 0.0, 0, ())


def agitation(pictures: Sequence[Picture]) -> Agitation:
    """The agitation of frames that follow each other at about `FPS` a second; fewer than three are calm."""
    small = [_small(picture) for picture in pictures]
    speeds = [_speed(one, other) for one, other in pairwise(small)]
    changes = [_change(one, other) for one, other in pairwise(speeds)]
    if not changes:
        return CALM
    tops = [float(np.percentile(change, 95)) for change in changes]
    liveliest = int(np.argmax(tops))
    height, width = pictures[liveliest + 1].shape[:2]
    # The median over frames: one cut of the film, or one flash, is no commotion.
    middle = float(np.median(tops))
    return Agitation(squashed(middle), middle, liveliest + 1, regions(changes[liveliest], width, height))


def squashed(change: float) -> float:
    """A change of speed as a score from 0 to 1, a half at `MIDDLE`."""
    return 1 / (1 + math.exp(-STEEPNESS * (min(change, 10.0) - MIDDLE)))


def regions(change: Numbers, width: int, height: int) -> tuple[Box, ...]:
    """The parts of a picture of this size that are lively, the largest first."""
    mask = cv2.dilate(np.asarray(change >= LIVELY, np.uint8), np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    across, down = width / mask.shape[1], height / mask.shape[0]
    found = sorted(
        (row for row in stats[1:count].tolist() if row[4] >= LEAST_PART * mask.size), key=lambda row: -row[4]
    )
    return tuple(
        (round(x * across), round(y * down), round((x + w) * across), round((y + h) * down))
        for x, y, w, h, _ in found[:MOST_REGIONS]
    )


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (WIDTH, min(4 * WIDTH, max(16, round(height * WIDTH / width))))
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.uint8)


def _change(before: Numbers, after: Numbers) -> Numbers:
    return np.abs(after - before) if before.shape == after.shape else np.zeros(after.shape, np.float32)


def _speed(before: Picture, after: Picture) -> Numbers:
    """Pixels by which each place moved, beyond what the whole picture did."""
    if before.shape != after.shape:
        return np.zeros(after.shape, np.float32)
    nothing: Any = None
    flow = cv2.calcOpticalFlowFarneback(before, after, nothing, 0.5, 3, 15, 3, 5, 1.2, 0)
    flow = flow - np.median(flow, axis=(0, 1), keepdims=True)
    return np.asarray(np.hypot(flow[..., 0], flow[..., 1]), np.float32)
