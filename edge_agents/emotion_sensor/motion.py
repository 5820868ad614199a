"""A still picture as a camera would see it: slow pan, zoom, tilt and light. Pure, the same for the same moment."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge_agents.emotion_sensor.detection import Picture

CANVAS = (640, 480)


def moved(picture: Picture, moment_s: float, canvas: tuple[int, int] = CANVAS) -> Picture:
    """`picture` (BGR) on a canvas of (width, height) pixels as seen `moment_s` seconds after it appeared.

    Zoom 1.0 to 1.2, pan up to 4 % of the canvas, tilt up to 4 degrees, brightness up to 12 %, in periods of 5 to 11 s.
    """
    height, width = picture.shape[:2]
    fit = min(canvas[0] / width, canvas[1] / height)
    zoom = fit * (1.1 + 0.1 * math.sin(moment_s * 2 * math.pi / 7))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 4 * math.sin(moment_s * 2 * math.pi / 11), zoom)
    matrix[0, 2] += canvas[0] / 2 - width / 2 + 0.04 * canvas[0] * math.sin(moment_s * 2 * math.pi / 9)
    matrix[1, 2] += canvas[1] / 2 - height / 2 + 0.03 * canvas[1] * math.sin(moment_s * 2 * math.pi / 5)
    shown = cv2.warpAffine(picture, matrix, canvas, flags=cv2.INTER_AREA, borderValue=(96, 96, 96))
    light = 1 + 0.12 * math.sin(moment_s * 2 * math.pi / 8)
    return np.asarray(cv2.convertScaleAbs(shown, alpha=light), dtype=np.uint8)
