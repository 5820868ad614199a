"""Whether anything moves in front of a camera that stands still."""

from __future__ import annotations

from typing import Final

import cv2

from streams.vision.boxes import Picture

SIZE: Final = (160, 120)
LEAST_SHARE: Final = 0.002
"""Of the picture: 38 pixels of 160 x 120, a person of a twentieth of the picture's height."""
LEARNING: Final = 5
"""Looks until the background is known; until then everything moves."""
_FOREGROUND: Final = 255  # 127 is a shadow


class Motion:
    """Mixture of Gaussians over the last looks (Zivkovic 2004, OpenCV's MOG2)."""

    def __init__(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(history=120, varThreshold=25, detectShadows=True)
        self._looks = 0

    def moves(self, picture: Picture) -> bool:
        """Learn from the picture and say whether something in it is not background."""
        small = cv2.cvtColor(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        mask = self._background.apply(small)
        self._looks += 1
        share = float((mask == _FOREGROUND).mean())
        return self._looks <= LEARNING or share >= LEAST_SHARE
