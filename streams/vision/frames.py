"""What every source of frames gives, and the words when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import av
import cv2
import numpy as np

from streams.vision.boxes import Picture
from streams.workers import BadInput

REASON: Final = "failed_to_read_frame"
"""How a failed run's reason begins, in the words that readers of `retry_topic` know."""
MOST_PIXELS: Final = 34_000_000
"""8K (7680 x 4320) and no more: what a frame unfolds to is looked at before it is unfolded."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: its number from 0, its time in milliseconds from the source's beginning, and how to unfold it.

    `before_ms`: the time of the frame before it, where that was seen; frames need not come evenly.
    """

    number: int
    ms: int
    pixels: Callable[[], Picture]
    before_ms: int | None = None


def never() -> bool:
    """However long it takes."""
    return False


class Source(Protocol):
    """Frames in order. `live` ones never end and drop what nobody took in time.

    `frames_total` may be an estimate and is None where nobody knows; `size` is width and height of the newest frame.
    """

    live: bool
    frames_total: int | None
    fps: float | None
    size: tuple[int, int]

    def next(self, wait_s: float) -> Frame | None:
        """The next frame: None at the end of a file, and when a live source gave none within `wait_s` seconds.

        Raises:
            BadInput: there is no further frame to be had of this file. NotNow: not now.
        """
        ...

    def go_to(self, number: int, enough: Callable[[], bool] = never) -> bool:
        """Make `next` give the frame of this number; a live source counts from there. Raises as `next`.

        False: it has been `enough`, and the same question goes on from there.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def unfolded(frame: av.VideoFrame) -> Picture:
    """A decoded frame as a picture. Raises FFmpegError, ValueError."""
    if frame.format.name == "yuv420p" and frame.width % 2 == 0 and frame.height % 2 == 0:
        return np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420), np.uint8)  # 4 x as fast
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def check_size(width: int, height: int, most: int = MOST_PIXELS) -> None:
    """Raise BadInput for frames without pixels or with more than anybody looks at."""
    if width < 1 or height < 1:
        raise BadInput(f"{REASON}: the video has frames of {width} x {height} pixels")
    if width * height > most:
        raise BadInput(f"{REASON}: frames of {width} x {height} pixels are larger than {most:,} pixels")
