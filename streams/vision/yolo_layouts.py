"""What a detector's output means: the layouts of the YOLO family and of SSDs, told by their shapes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.vision.boxes import Numbers

Layout: TypeAlias = Literal["auto", "yolov5", "yolov8", "yolov10", "ssd"]
FEW: Final = 1_000
"""Models that drop doubles themselves give 100 to 300 rows; the others one per anchor, thousands."""
_CORNER: Final = 6


@dataclass(frozen=True, slots=True)
class Found:
    """What a model found: n boxes (x1, y1, x2, y2), how sure, and which class.

    `final`: doubles are gone already. `shares`: boxes are in shares of the model's canvas, else in its pixels. `ssd`:
    classes are counted as SSDs do.
    """

    boxes: Numbers
    scores: Numbers
    kinds: NDArray[np.int64]
    final: bool = False
    shares: bool = False
    ssd: bool = False


def read(outputs: Sequence[NDArray[np.generic]], named: Sequence[str], layout: Layout, classes: int) -> Found:
    """Read a model's outputs. `classes`: how many it is known to have, 0 if unknown.

    Raises:
        ValueError: no layout that is known; the text says the shapes.
    """
    arrays = [np.asarray(one) for one in outputs]
    if layout in ("auto", "ssd") and len(arrays) in (3, 4):
        return _ssd(arrays, named)
    last = arrays[0]
    if layout in ("auto", "ssd") and last.ndim == 4 and last.shape[:2] == (1, 1) and last.shape[3] == 7:
        return _ssd_rows(np.asarray(last[0, 0], np.float32))
    if layout != "ssd" and last.ndim == 3 and last.shape[0] == 1:
        return _yolo(np.asarray(last[0], np.float32), layout, classes)
    raise ValueError(unknown(arrays))


def unknown(arrays: Sequence[NDArray[np.generic]]) -> str:
    """The sentence for outputs that nobody can read."""
    shapes = ", ".join(str(list(one.shape)) for one in arrays)
    return (
        f"the outputs have the shapes {shapes}, which are neither a YOLO's ([1, n, 5 + classes], [1, 4 + classes, n],"
        " [1, n, 6]) nor an SSD's ([1, 1, n, 7], or boxes, classes and scores)"
    )


def _yolo(rows: Numbers, layout: Layout, classes: int) -> Found:
    match layout if layout != "auto" else _told(rows.shape[0], rows.shape[1], classes):
        case "yolov10" if rows.shape[1] == _CORNER:
            return Found(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), final=True)
        case "yolov8" if rows.shape[0] > 4:
            rows = rows.T
            return _centred(rows[:, :4], rows[:, 4:])
        case "yolov5" if rows.shape[1] > 5:
            return _centred(rows[:, :4], rows[:, 5:] * rows[:, 4:5])
        case _:
            raise ValueError(unknown([rows[None]]))


def _told(down: int, across: int, classes: int) -> Layout:
    """By the number of classes when it is known, else by what is long."""
    if across == _CORNER and down <= FEW and classes != 1:
        return "yolov10"
    if classes and across == 5 + classes:
        return "yolov5"
    if classes and down == 4 + classes:
        return "yolov8"
    if across == _CORNER and down <= FEW:
        return "yolov10"
    return "yolov8" if down < across else "yolov5"


def _centred(boxes: Numbers, scores: Numbers) -> Found:
    half = boxes[:, 2:] / 2
    corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1, dtype=np.float32)
    kinds = scores.argmax(axis=1)
    return Found(corners, scores[np.arange(len(scores)), kinds], kinds.astype(np.int64))


def _ssd(arrays: Sequence[NDArray[np.generic]], named: Sequence[str]) -> Found:
    """Boxes, classes and shares in any order; with a count, it is TensorFlow's, which says y before x."""
    boxes = max((one for one in arrays if one.ndim > 1 and one.shape[-1] == 4), key=lambda one: one.ndim, default=None)
    flat = [one.reshape(-1) for one in arrays]
    boxes = boxes.reshape(-1, 4) if boxes is not None else None
    rows = [index for index, one in enumerate(flat) if boxes is not None and one.shape == (len(boxes),)]
    if boxes is None or len(rows) < 2:
        raise ValueError(unknown(arrays))
    kinds = next((index for index in rows if _called(named[index], ("class", "label"))), None)
    shares = next((index for index in rows if _called(named[index], ("score", "conf"))), None)
    if kinds is None or shares is None:
        whole = [index for index in rows if np.issubdtype(flat[index].dtype, np.integer)]
        kinds = whole[0] if whole else rows[0]
        shares = next(index for index in rows if index != kinds)
    corners = np.asarray(boxes, np.float32)
    if len(arrays) == 4 or any(name.startswith("detection_boxes") for name in named):
        corners = corners[:, [1, 0, 3, 2]]
    in_shares = bool(corners.size == 0 or np.nanmax(corners) <= 2)
    return Found(corners, np.asarray(flat[shares], np.float32), flat[kinds].astype(np.int64), True, in_shares, ssd=True)


def _ssd_rows(rows: Numbers) -> Found:
    """Rows of Caffe's DetectionOutput: picture, class, share, box."""
    return Found(rows[:, 3:], rows[:, 2], rows[:, 1].astype(np.int64), final=True, shares=True, ssd=True)


def _called(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)
