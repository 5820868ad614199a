"""Any detector of the YOLO family or SSD as an ONNX file: letterbox in, detections out."""

from __future__ import annotations

import ast
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.vision.boxes import Detection, Fit, Picture, best, box_within, from_canvas, letterbox
from streams.vision.class_names import COCO, COCO_SSD
from streams.vision.looking import Looking
from streams.vision.onnx_model import REASON, Network
from streams.vision.yolo_layouts import Found, read
from streams.workers import BadInput

MOST_SIDE: Final = 4_096


class OnnxDetector:
    """Finds what its model knows. For one thread."""

    def __init__(self, looking: Looking, threads: int = 1) -> None:
        """Load the model and look at nothing with it once. Raises NotNow, BadInput (see `Network`)."""
        self._looking = looking
        self._network = Network(looking.model, threads)
        self._names = looking.names or named(self._network.metadata)
        self._channels_last, self._width, self._height = self._input()
        self(np.zeros((self._height, self._width, 3), np.uint8))

    def __call__(self, picture: Picture) -> list[Detection]:
        """What is in the picture, the surest first."""
        canvas, fit = letterbox(picture, self._width, self._height)
        outputs = self._network(self._values(canvas))
        try:
            found = read(outputs, self._network.outputs, self._looking.layout, len(self._names))
        except ValueError as wrong:
            raise BadInput(f"{REASON}: {self._looking.model}: {wrong}") from wrong
        return self._chosen(found, fit, picture)

    def _input(self) -> tuple[bool, int, int]:
        shape, side = self._network.shape, self._looking.input_size
        if len(shape) == 4 and shape[0] in (None, 1) and 3 in (shape[1], shape[3]):
            channels_last = shape[1] != 3
            height, width = shape[1:3] if channels_last else shape[2:]
            sides = (width or side, height or side)
            if max(sides) <= MOST_SIDE and min(sides) > 0:
                return channels_last, *sides
        told = ", ".join("?" if one is None else str(one) for one in shape)
        raise BadInput(f"{REASON}: {self._looking.model} takes [{told}]; a detector takes [1, 3, height, width]")

    def _values(self, canvas: Picture) -> NDArray[np.generic]:
        colours = canvas if self._looking.bgr else cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB)
        if self._network.kind is np.uint8:
            values = np.asarray(colours)
        else:
            values = np.asarray(colours, np.float32) / 255
            if any(self._looking.mean) or self._looking.std != (1.0, 1.0, 1.0):
                values = (values - np.array(self._looking.mean)) / np.array(self._looking.std)
        batch = values[None] if self._channels_last else values.transpose(2, 0, 1)[None]
        return np.ascontiguousarray(batch, self._network.kind)

    def _chosen(self, found: Found, fit: Fit, picture: Picture) -> list[Detection]:
        kept = np.flatnonzero(found.scores >= self._looking.score)  # what is no number is not kept
        boxes, scores, kinds = found.boxes[kept], found.scores[kept], found.kinds[kept]
        if found.shares:
            boxes = boxes * np.array([self._width, self._height] * 2, np.float32)
        most_overlap = 1.0 if found.final else self._looking.nms
        height, width = picture.shape[:2]
        corners = from_canvas(boxes, fit)
        detections: list[Detection] = []
        for one in best(corners, scores, kinds, most_overlap, MOST_ROWS):
            name, box = self._name(int(kinds[one]), found.ssd), box_within(corners[one], width, height)
            if box is not None and (not self._looking.classes or name in self._looking.classes):
                detections.append(Detection(name, min(1.0, float(scores[one])), box))
        return detections[: self._looking.most]

    def _name(self, kind: int, ssd: bool) -> str:
        if self._names:
            return self._names[kind] if 0 <= kind < len(self._names) else f"class {kind}"
        known = COCO_SSD.get(kind) if ssd else COCO[kind] if 0 <= kind < len(COCO) else None
        return known or f"class {kind}"


MOST_ROWS: Final = 1_000


def named(metadata: dict[str, str]) -> tuple[str, ...]:
    """Class names that an exporter left in the file: a dict or a list of them as Python writes it; else none."""
    try:
        names = ast.literal_eval(metadata.get("names", "()"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        return tuple(str(names[index]) for index in range(len(names)))
    return tuple(str(one) for one in names) if isinstance(names, (list, tuple)) else ()
