"""Any model that scores clips, as an ONNX file: [BATCH, FRAME_COUNT, CHANNEL, HEIGHT, WIDTH] -> [BATCH, 1], a logit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from streams.vision.boxes import Picture
from streams.vision.onnx_model import REASON, Network
from streams.workers import BadInput

FRAMES: Final = 40
SIDE: Final = 200
"""Of the data-efficient video transformer, for models that take any."""
MOST_VALUES: Final = 200_000_000


class ClipModel:
    """Scores clips. For one thread. `frames` is how many it looks at; `name` the file's, without its ending."""

    def __init__(self, path: str, threads: int = 1) -> None:
        """Load it. Raises NotNow without the file, BadInput for a model of another shape."""
        self._network = Network(path, threads)
        self.name = Path(path).stem
        shape = self._network.shape
        told = ", ".join("?" if one is None else str(one) for one in shape)
        if len(shape) != 5 or shape[0] not in (None, 1) or shape[2] not in (None, 3):
            raise BadInput(f"{REASON}: {path} takes [{told}]; a model of clips takes [1, frames, 3, height, width]")
        usual = (FRAMES, SIDE, SIDE)
        given = (shape[1], shape[3], shape[4])
        self.frames, self._height, self._width = (b if a is None else a for a, b in zip(given, usual, strict=True))
        if min(self.frames, self._height, self._width) < 1 or (
            self.frames * self._height * self._width * 3 > MOST_VALUES
        ):
            raise BadInput(f"{REASON}: {path} takes [{told}], more than anybody wants to fill")

    def __call__(self, pictures: Sequence[Picture]) -> float:
        """The score of a clip, 0 to 1. Frames of any size and number: as many as it takes, evenly chosen.

        Raises:
            BadInput: no frames, or an answer that is not one number.
        """
        if not pictures:
            raise BadInput("A clip has at least one frame.")
        clip = np.empty((1, self.frames, 3, self._height, self._width), np.float32)
        for place, index in enumerate(chosen(len(pictures), self.frames)):
            clip[0, place] = self._values(pictures[index])
        output = self._network(clip.astype(self._network.kind, copy=False))[0]
        if output.size != 1 or not np.isfinite(output).all():
            told = f"{list(output.shape)} {output.ravel()[:3].tolist()}"
            raise BadInput(f"{REASON}: {self.name} answers {told}; one number is expected")
        return sigmoid(float(output.reshape(-1)[0]))

    def _values(self, picture: Picture) -> np.ndarray:
        """Channel first, blue first, 0 to 1."""
        resized = cv2.resize(picture, (self._width, self._height))
        return np.asarray(resized.transpose(2, 0, 1), np.float32) / 255


def chosen(there: int, wanted: int) -> list[int]:
    """Which of the frames that are there are looked at: all of as many, else evenly from first to last."""
    if there == wanted:
        return list(range(there))
    return [round(one) for one in np.linspace(0, there - 1, wanted).tolist()]


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-x), for any x."""
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
