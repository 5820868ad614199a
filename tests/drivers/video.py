"""Videos for tests: frames that say their number, files that are wrong, models that always say the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streams.vision.boxes import Detection

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
PEDESTRIANS = MEDIA / "video" / "vtest_480x360.avi"
Picture = NDArray[np.uint8]


def numbered(number: int, size: tuple[int, int] = (64, 48)) -> Picture:
    """A frame (width, height) whose two halves say its number."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = number // 16 % 16 * 16 + 8
    picture[:, width // 2 :] = number % 16 * 16 + 8
    return picture


def number_of(picture: Picture) -> int:
    """Which frame it is, modulo 256."""
    height, width = picture.shape[:2]
    return int(picture[height // 2, width // 4, 0]) // 16 * 16 + int(picture[height // 2, width * 3 // 4, 0]) // 16


def film(
    path: Path,
    pictures: Iterable[Picture],
    *,
    fps: int = 25,
    codec: str = "mpeg4",
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    **options: str,
) -> Path:
    """Write a video; `times` are milliseconds of the frames when they do not come evenly."""
    with av.open(str(path), "w") as container:
        stream: Any = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=fps, options=options)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pix_fmt
                if times is not None:
                    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = times[index] if times is not None else index
            frame.time_base = Fraction(1, 1000) if times is not None else Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def count(path: Path, frames: int, **options: Any) -> Path:
    """A video of numbered frames."""
    return film(path, (numbered(number) for number in range(frames)), **options)


def square_at(x: int, y: int, size: tuple[int, int] = (320, 240), side: int = 40) -> Picture:
    """A white square on a grey ground, its corner there."""
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    cv2.rectangle(picture, (x, y), (x + side, y + side), (250, 250, 250), -1)
    return picture


def square_finder(picture: Picture) -> list[Detection]:
    """A detector that finds the white squares of a picture and calls them persons."""
    _, white = cv2.threshold(picture[:, :, 0], 200, 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(white, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = sorted(cv2.boundingRect(contour) for contour in contours)
    return [Detection("person", 0.9, (x, y, x + width, y + height)) for x, y, width, height in boxes if width > 8]


def constant_model(
    path: Path,
    outputs: dict[str, NDArray[Any]],
    *,
    shape: Sequence[int | str] = (1, 3, 64, 64),
    kind: int = TensorProto.FLOAT,
    names: object = None,
) -> Path:
    """An ONNX file that says the same of every picture; `names` go into its metadata as exporters write them."""
    nodes, values, held = [], [], []
    for name, array in outputs.items():
        held.append(numpy_helper.from_array(array, f"{name}_held"))
        nodes.append(helper.make_node("Identity", [f"{name}_held"], [name]))
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        values.append(helper.make_tensor_value_info(name, element, array.shape))
    nodes.append(helper.make_node("Shape", ["images"], ["seen"]))
    graph = helper.make_graph(nodes, "constant", [helper.make_tensor_value_info("images", kind, shape)], values, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        helper.set_model_props(model, {"names": repr(names)})
    onnx.save(model, path)
    return path
