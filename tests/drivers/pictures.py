"""Pictures for tests that look at faces: a drawn face that the detector takes for one, and the sample media."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SAMPLE_FACES = Path(__file__).resolve().parents[3] / "shared" / "media" / "faces"


def drawn_face(size: int = 220, canvas: tuple[int, int] = (640, 480), light: int = 190) -> NDArray[np.uint8]:
    """A BGR picture (width, height), one face of about `size` pixels in its middle, plain but for what Haar sees."""
    width, height = canvas
    picture = np.full((height, width, 3), 90, np.uint8)
    x, y, unit = width // 2, height // 2, size / 200
    skin, shade, dark = (light,) * 3, (light - 60,) * 3, (35,) * 3

    def oval(dx: float, dy: float, rx: float, ry: float, colour: tuple[int, ...]) -> None:
        centre = (round(x + dx * unit), round(y + dy * unit))
        cv2.ellipse(picture, centre, (round(rx * unit), round(ry * unit)), 0, 0, 360, colour, -1, cv2.LINE_AA)

    oval(0, -15, 108, 135, dark)  # hair
    oval(0, 10, 95, 125, skin)
    for side in (-1, 1):
        oval(38 * side, -28, 30, 16, shade)  # the hollow of the eye
        oval(38 * side, -46, 28, 6, dark)  # brow
        oval(38 * side, -26, 17, 8, (light + 30,) * 3)
        oval(38 * side, -26, 8, 8, dark)
        oval(12 * side, 34, 7, 5, shade)  # nostril
    oval(0, 5, 10, 30, (light + 25,) * 3)  # bridge of the nose
    oval(0, 72, 38, 9, (light - 110,) * 3)  # mouth
    return np.asarray(cv2.GaussianBlur(picture, (5, 5), 0), dtype=np.uint8)
