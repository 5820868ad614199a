"""Seven expressions of a face, by an ONNX network under onnxruntime. Measured variants: docs/decisions/0010."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edge_agents.emotion_sensor.affect import EXPRESSIONS
from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.detection import Picture
from edge_agents.emotion_sensor.errors import ModelMissing

# What models that state no labels are known to answer, by the number of their outputs.
KNOWN_LABELS: Mapping[int, tuple[str, ...]] = {
    7: EXPRESSIONS,
    8: ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"),  # FER+ (ONNX model zoo)
}
Shares = dict[str, float]


@dataclass(frozen=True, slots=True)
class CropRules:
    """How a face is cut out and shown to the network."""

    margin: float = 0.05  # share of the box added on each side
    contrast: str = "none"  # none | equalise | clahe | stretch
    mirror: bool = False  # average with the mirrored face


class ExpressionModel:
    """An ONNX classifier of grey faces. Input [n, 1, h, w] or [n, h, w, 1]; one instance per thread.

    Its metadata may say `labels` (comma separated) and `range` ("-1..1", "0..1" or "0..255"); without them a network
    of 7 outputs is taken for the fer order in -1..1, one of 8 for FER+ in 0..255. Outputs are made to sum to 1.
    """

    def __init__(self, path: Path, rules: CropRules | None = None) -> None:
        self.rules = rules or CropRules()
        self._session = _open(path)
        self._input: Any = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or 1 not in (shape[1], shape[3]):
            raise ModelMissing(f"{path} takes {shape}; a network of one grey channel, [n, 1, h, w], is needed")
        self._channels_first = shape[1] == 1
        self._size = (shape[3], shape[2]) if self._channels_first else (shape[2], shape[1])
        self._one_by_one = shape[0] == 1
        stated = self._session.get_modelmeta().custom_metadata_map
        self._labels = tuple(stated["labels"].split(",")) if "labels" in stated else self._known(path)
        self._range = stated.get("range", "-1..1" if len(self._labels) == 7 else "0..255")

    def shares(self, grey: Picture, boxes: Sequence[Box]) -> list[Shares]:
        """For each box, the share of each of EXPRESSIONS; the shares of one face sum to 1."""
        if not boxes:
            return []
        crops = [crop(grey, box, self._size, self.rules) for box in boxes]
        if self.rules.mirror:
            crops += [np.ascontiguousarray(one[:, ::-1]) for one in crops]
        answers = self._run(np.stack(crops))
        if self.rules.mirror:
            answers = (answers[: len(boxes)] + answers[len(boxes) :]) / 2
        return [self._named(row) for row in answers]

    def _run(self, faces: Picture) -> NDArray[np.float32]:
        values = faces.astype(np.float32)
        values = {"-1..1": values / 127.5 - 1, "0..1": values / 255, "0..255": values}[self._range]
        values = values[:, None, :, :] if self._channels_first else values[:, :, :, None]
        batches = np.split(values, len(values)) if self._one_by_one else [values]
        answers: list[Any] = [self._session.run(None, {self._input.name: batch})[0] for batch in batches]
        return np.concatenate(answers)

    def _named(self, row: NDArray[np.float32]) -> Shares:
        if row.min() < 0 or not 0.99 < row.sum() < 1.01:  # scores, not shares
            row = np.exp(row - row.max())
        named = dict(zip(self._labels, row.tolist(), strict=True))
        total = sum(named.values())
        shares = {name: named.get(name, 0.0) / total for name in EXPRESSIONS}
        # What the seven do not know (FER+'s contempt) has no coordinates: it counts as neutral.
        shares["neutral"] += max(0.0, 1.0 - sum(shares.values()))
        return shares

    def _known(self, path: Path) -> tuple[str, ...]:
        count = self._session.get_outputs()[0].shape[-1]
        if count not in KNOWN_LABELS:
            raise ModelMissing(f"{path} has {count} outputs and its metadata names no labels")
        return KNOWN_LABELS[count]


def _open(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # A face takes less than a millisecond: more threads would only spin.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def crop(grey: Picture, box: Box, size: tuple[int, int], rules: CropRules) -> Picture:
    """The face in `box` with its margin, `size` (width, height) pixels; beyond the border the edge is repeated."""
    wide = box.grown(rules.margin)
    height, width = grey.shape
    over = (max(0, -wide.y1), max(0, wide.y2 - height), max(0, -wide.x1), max(0, wide.x2 - width))
    inside = grey[max(0, wide.y1) : min(height, wide.y2), max(0, wide.x1) : min(width, wide.x2)]
    if any(over):
        inside = cv2.copyMakeBorder(inside, *over, borderType=cv2.BORDER_REPLICATE)
    shrinks = inside.shape[0] > size[1]
    face = cv2.resize(inside, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(_contrast(np.asarray(face, dtype=np.uint8), rules.contrast), dtype=np.uint8)


def _contrast(face: Picture, kind: str) -> Any:
    if kind == "equalise":
        return cv2.equalizeHist(face)
    if kind == "clahe":
        return cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4)).apply(face)
    if kind == "stretch":
        low, high = np.percentile(face, (1, 99))
        return np.clip((face.astype(np.float32) - low) * (255 / max(high - low, 1)), 0, 255)
    return face
