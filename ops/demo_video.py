"""A video of people who walk by, drawn: for the demo on machines without another one. Pictures are pure."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ops.errors import OperatorError

Picture: TypeAlias = NDArray[np.uint8]
Point: TypeAlias = tuple[int, int]
SIZE: Final = (640, 360)
FPS: Final = 10
SECONDS: Final = 120
_TROUSERS: Final = (60, 50, 45)
_SHOES: Final = (20, 20, 20)
_SKIN: Final = (150, 170, 205)
_HAIR: Final = (40, 40, 50)
_WALKERS: Final = ((90, 200, 3.0, (60, 40, 140)), (110, 230, -2.2, (110, 70, 40)), (80, 190, -4.0, (70, 110, 60)))
"""Of each: its upper edge and height in pixels, pixels a frame to the right, and the colour of its coat."""


def ensure(path: Path) -> Path:
    """Draw the video unless it is there. Raises OperatorError where it cannot be written."""
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    writer = cv2.VideoWriter(str(draft), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    try:
        if not writer.isOpened():
            raise OperatorError(f"The demo's video cannot be written to {path}.")
        for picture in pictures(FPS * SECONDS):
            writer.write(picture)
    finally:
        writer.release()
    draft.replace(path)
    return path


def pictures(count: int) -> Iterator[Picture]:
    """So many frames, 640 x 360, blue, green, red."""
    street = _street()
    for number in range(count):
        picture = street.copy()
        for place, walker in enumerate(_WALKERS):
            _walk(picture, place, number, walker)
        yield np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), np.uint8)


def _street() -> Picture:
    width, height = SIZE
    grey = np.full((height, width, 3), (190, 195, 200), np.int16)
    grey[height * 2 // 3 :] = (150, 155, 158)
    grain = np.random.default_rng(1).integers(-6, 6, (height, width, 1))
    return np.asarray(np.clip(grey + grain, 0, 255), np.uint8)


def _walk(picture: Picture, place: int, number: int, walker: tuple[int, int, float, tuple[int, int, int]]) -> None:
    top, height, speed, coat = walker
    margin = 80
    left = (100 + 300 * place + speed * number) % (SIZE[0] + 2 * margin) - margin
    stride = math.sin(number * 0.35 * math.copysign(1, speed))
    unit = height / 8

    def at(right: float, down: float) -> Point:
        return int(left + right * unit), int(top + down * unit)

    def limb(colour: tuple[int, int, int], width: float, *joints: Point) -> None:
        corners: Any = np.array(joints)
        cv2.polylines(picture, [corners], False, colour, max(2, int(width * unit)), cv2.LINE_AA)

    for side in (1, -1):
        step = stride * side
        foot = at(1.25 * step - (0.25 if step < 0 else 0), 7.7)
        limb(_TROUSERS, 0.8, at(0, 4.1), at(0.75 * step, 5.9), foot)
        limb(_SHOES, 0.5, foot, (foot[0] + int(0.5 * unit), foot[1]))
    for side in (1, -1):
        swing = stride * side
        limb(coat, 0.55, at(0, 1.75), at(-0.7 * swing - 0.25 * side, 3.0), at(-swing - 0.1 * side, 4.1))
    corners: Any = np.array([at(-0.95, 1.5), at(0.95, 1.5), at(0.7, 4.3), at(-0.7, 4.3)])
    cv2.fillConvexPoly(picture, corners, coat, cv2.LINE_AA)
    cv2.ellipse(picture, at(0, 0.75), (int(0.55 * unit), int(0.72 * unit)), 0, 0, 360, _SKIN, -1, cv2.LINE_AA)
    cv2.ellipse(picture, at(0, 0.55), (int(0.58 * unit), int(0.6 * unit)), 0, 180, 360, _HAIR, -1, cv2.LINE_AA)
