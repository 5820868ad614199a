"""Detectors as ONNX files: every layout by a model that always says the same, and files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from streams.vision.boxes import Detection
from streams.vision.looking import Looking
from streams.vision.onnx_detector import OnnxDetector, named
from streams.workers import BadInput, NotNow
from tests.drivers.video import constant_model

# A picture of 128 x 64 on a canvas of 64 x 64: half as large, 16 pixels from the top.
PICTURE = np.zeros((64, 128, 3), np.uint8)
CANVAS_BOX = (10.0, 20.0, 30.0, 40.0)
BOX = (20, 8, 60, 48)
NAMES = {0: "person", 1: "dog"}


def f32(rows: Any) -> np.ndarray:
    return np.array(rows, np.float32)


def detector(path: Path, **settings: Any) -> OnnxDetector:
    return OnnxDetector(Looking(model=str(path), **({"classes": ()} | settings)))


def anchors(*rows: tuple[float, ...], fill: int = 40) -> np.ndarray:
    """Rows of one output, and many empty ones."""
    return np.vstack([f32(rows), np.zeros((fill, len(rows[0])), np.float32)])


# Centre and size, share of an object, shares of the classes: the same person twice and a dog.
V5 = anchors((20, 30, 20, 20, 0.9, 0.95, 0.0), (20.5, 30, 20, 20, 0.9, 0.8, 0.1), (50, 30, 8, 8, 0.9, 0.1, 0.8))
V8 = np.delete(V5, 4, axis=1)
V10 = f32([(*CANVAS_BOX, 0.855, 0), (46, 26, 54, 34, 0.72, 1), (0, 0, 0, 0, 0, 0)])
EXPECTED = [("person", 0.855, BOX), ("dog", 0.72, (92, 20, 108, 36))]


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        (V5, {}),
        (V10, {}),
        (V10, {"layout": "yolov10"}),
        (V5, {"layout": "yolov5"}),
    ],
)
def test_rows_of_a_yolo_are_told_by_their_shape(tmp_path: Path, rows: np.ndarray, settings: dict[str, Any]) -> None:
    path = constant_model(tmp_path / "m.onnx", {"output0": rows[None]}, names=NAMES)
    assert told(detector(path, **settings)(PICTURE)) == EXPECTED


def test_columns_of_a_yolo_are_told_by_their_shape(tmp_path: Path) -> None:
    rows = V8.copy()
    rows[:, 4:] *= 0.9  # no share of an object here
    path = constant_model(tmp_path / "m.onnx", {"output0": np.ascontiguousarray(rows.T)[None]}, names=NAMES)
    assert told(detector(path)(PICTURE)) == EXPECTED


def test_a_yolo_with_one_class_is_not_taken_for_one_without_doubles(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", {"output0": np.delete(V5, 6, axis=1)[None]}, names=["person"])
    assert told(detector(path)(PICTURE)) == [("person", 0.855, BOX)]


def test_without_names_the_eighty_of_coco_are_meant(tmp_path: Path) -> None:
    rows = np.zeros((100, 85), np.float32)
    rows[0, :5], rows[0, 5 + 16] = (20, 30, 20, 20, 1), 0.7
    path = constant_model(tmp_path / "m.onnx", {"output0": rows[None]})
    assert told(detector(path)(PICTURE)) == [("dog", 0.7, BOX)]


SHARES = f32([CANVAS_BOX]) / 64


def ssd_of_tensorflow(kinds: str = "f") -> dict[str, np.ndarray]:
    return {
        "detection_boxes": SHARES[:, [1, 0, 3, 2]][None],
        "detection_classes": np.array([[1]], kinds),
        "detection_scores": f32([[0.8]]),
        "num_detections": f32([1]),
    }


@pytest.mark.parametrize(
    "outputs",
    [
        ssd_of_tensorflow(),
        {"bboxes": SHARES[None], "labels": np.array([[1]], np.int64), "scores": f32([[0.8]])},
        {"boxes": f32([CANVAS_BOX]), "a": np.array([1], np.int64), "b": f32([0.8])},
        {"detection_out": f32([[[[0, 1, 0.8, *SHARES[0]]]]])},
    ],
    ids=["tensorflow", "shares", "pixels", "caffe"],
)
def test_outputs_of_an_ssd_are_told_by_their_shape_and_names(tmp_path: Path, outputs: dict[str, np.ndarray]) -> None:
    path = constant_model(tmp_path / "m.onnx", outputs)
    assert told(detector(path)(PICTURE)) == [("person", 0.8, BOX)]


def test_a_model_may_take_bytes_with_the_colours_last_and_any_size(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", ssd_of_tensorflow(), shape=("n", "h", "w", 3), kind=TensorProto.UINT8)
    assert told(detector(path, input_size=64)(PICTURE)) == [("person", 0.8, BOX)]


def test_only_the_wanted_and_the_certain_are_told(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", {"output0": V5[None]}, names=NAMES)
    assert told(detector(path, classes=("dog",))(PICTURE)) == EXPECTED[1:]
    assert told(detector(path, score=0.8)(PICTURE)) == EXPECTED[:1]
    assert told(detector(path, most=1)(PICTURE)) == EXPECTED[:1]
    assert told(detector(path, names=("cat", "cow"))(PICTURE)) == [("cat", *EXPECTED[0][1:]), ("cow", *EXPECTED[1][1:])]


def test_what_is_no_number_is_not_found(tmp_path: Path) -> None:
    nan = float("nan")
    rows = anchors((nan, 30, 20, 20, 0.9, 0.9, 0), (20, 30, 20, 20, 0.9, nan, 0), (20, 30, 20, 20, 1, 0.9, 0))
    path = constant_model(tmp_path / "m.onnx", {"output0": rows[None]}, names=NAMES)
    assert told(detector(path)(PICTURE)) == [("person", 0.9, BOX)]


@pytest.mark.parametrize(
    ("outputs", "shape"),
    [
        ({"output0": f32([[1, 2, 3]])}, (1, 3, 64, 64)),
        ({"output0": np.zeros((2, 30, 7), np.float32)}, (1, 3, 64, 64)),
        ({"a": f32([1]), "b": f32([1]), "c": f32([1])}, (1, 3, 64, 64)),
        ({"output0": V5[None]}, (1, 1, 64, 64)),
        ({"output0": V5[None]}, (8, 3, 64, 64)),
        ({"output0": V5[None]}, (1, 3, 100_000, 100_000)),
        ({"output0": V5[None]}, (1, 12)),
    ],
)
def test_a_model_of_another_shape_is_refused_when_it_is_loaded(
    tmp_path: Path, outputs: dict[str, np.ndarray], shape: tuple[int, ...]
) -> None:
    with pytest.raises(BadInput, match=r"^inference_error: .*(shapes|takes) "):
        detector(constant_model(tmp_path / "m.onnx", outputs, shape=shape))


def test_a_layout_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", {"output0": V5[None]}, names=NAMES)
    for layout in ("yolov10", "ssd"):
        with pytest.raises(BadInput, match="inference_error"):
            detector(path, layout=layout)


def test_a_missing_model_may_come_and_a_broken_one_will_not(tmp_path: Path) -> None:
    with pytest.raises(NotNow, match=r"^inference_error: the model file .* is not there"):
        detector(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\x00\xff" * 100)
    with pytest.raises(BadInput, match=r"^inference_error: .* cannot be loaded"):
        detector(tmp_path / "broken.onnx")


@pytest.mark.parametrize("names", ["__import__('os')", "{0: 'a', 2: 'b'}", "(" * 500, "7", ""])
def test_names_that_are_none_are_passed_over(names: str) -> None:
    assert named({"names": names}) == ()


def told(found: list[Detection]) -> list[tuple[str, float, Any]]:
    return [(one.name, pytest.approx(one.confidence, abs=1e-3), one.box) for one in found]
