"""What is done to a frame before it is sent: cut, encoded; and the code of a ticket read from it."""

from __future__ import annotations

import base64
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
QUALITY: Final = 95
LARGEST: Final = 10_000_000
"""Characters of base64; the servers take 10,485,760."""
_LEFT, _RIGHT, _OF = 84, 560, 640


def jpeg64(picture: Picture, largest: int = LARGEST) -> str:
    """A BGR picture as JPEG in base64; halved until it has at most `largest` characters."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    text = base64.b64encode(data.tobytes()).decode()
    return text if len(text) <= largest else jpeg64(np.ascontiguousarray(picture[::2, ::2]), largest)


def face_part(picture: Picture) -> Picture:
    """The middle of a frame, where a passenger stands: columns 84 to 559 of 640, full height."""
    width = picture.shape[1]
    left, right = (max(0, round(edge * width / _OF)) for edge in (_LEFT, _RIGHT))
    return np.ascontiguousarray(picture[:, left : max(right, left + 1)])


def read_code(picture: Picture) -> str | None:
    """The text of a QR code anywhere in the frame; None when there is none that can be read."""
    try:
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    except (cv2.error, UnicodeDecodeError):  # damaged codes upset the decoder now and then
        return None
    return text.strip() or None
