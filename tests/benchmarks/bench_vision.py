"""Vision: what the worker (decoding, motion, tracks, a child process) leaves of the bare detector's frames a second.

The bare loop has the same frames decoded in memory and calls the detector only. Both look at every frame; they take
turns, the ratio is that of their medians.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streams.vision.boxes import Picture
from streams.vision.looking import looking
from streams.vision.video_file import VideoFile
from streams.workers.pool import ChildLimits, ChildPool
from streams.workers.vision import detector_of
from tests.drivers.video import PEDESTRIANS, film, square_at

AIM = 0.85
EACH: dict[str, Any] = {"every": 1, "interval": 10}


def small_yolo(path: Path, side: int = 320) -> Path:
    """A network of the YOLO family's shape with weights by chance: 80 classes, 2.1 GFLOP as YOLOv8n at this size."""
    chance = np.random.default_rng(5)
    widths, steps = [3, 32, 96, 192, 192, 84], [2, 2, 2, 1, 2]
    held, nodes, value = [], [], "images"
    for layer, (before, after) in enumerate(pairwise(widths)):
        weights = chance.normal(0, (before * 9) ** -0.5, (after, before, 3, 3)).astype(np.float32)
        held.append(numpy_helper.from_array(weights, f"w{layer}"))
        nodes.append(
            helper.make_node("Conv", [value, f"w{layer}"], [f"c{layer}"], strides=[steps[layer]] * 2, pads=[1] * 4)
        )
        last = layer == len(widths) - 2
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"c{layer}"], [f"r{layer}"]))
        value = f"r{layer}"
    cells = (side // 16) ** 2
    held.append(numpy_helper.from_array(np.array([1, 84, cells], np.int64), "shape"))
    nodes.append(helper.make_node("Reshape", [value, "shape"], ["output0"]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 84, cells])
    graph = helper.make_graph(nodes, "small", [images], [output], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def pictures_of(path: Path, frames: int) -> list[Picture]:
    """The first frames, decoded."""
    video = VideoFile(str(path))
    found = [frame.pixels() for frame, _ in zip(iter(video.next, None), range(frames), strict=False)]
    video.close()
    return found


def bare(detect: Callable[[Picture], Any], pictures: list[Picture]) -> float:
    """Frames a second of the detector alone."""
    begin = time.perf_counter()
    for picture in pictures:
        detect(picture)
    return len(pictures) / (time.perf_counter() - begin)


async def worked(pool: ChildPool, path: Path, frames: int, settings: dict[str, Any]) -> float:
    """Frames a second of the worker, asked in portions as a runner asks."""
    await pool({"source": str(path), "first_frame": 0, "frames": 1, "settings": settings | {"interval": 1}})
    begin = time.perf_counter()
    following = 0
    while following < frames:
        request = {"source": str(path), "first_frame": following, "frames": 50, "settings": settings, "seconds": 60}
        following = (await pool(request))["next_frame"]
    return following / (time.perf_counter() - begin)


async def compared(name: str, path: Path, settings: dict[str, Any], options: argparse.Namespace) -> None:
    """Print both rates, the spread of their ratio and what motion gating makes of it."""
    detect = detector_of(looking({}, settings))
    pictures = pictures_of(path, options.frames)
    pool = ChildPool("streams.workers.vision:open_worker", {"threads": 1}, ChildLimits(memory_bytes=2 << 30))
    each = EACH | settings
    alone, together, gated = [], [], []
    detect(pictures[0])
    for _ in range(options.rounds):
        alone.append(bare(detect, pictures))
        together.append(await worked(pool, path, len(pictures), each | {"motion": False}))
        gated.append(await worked(pool, path, len(pictures), each))
    await pool.close()
    ratios = [one / other for one, other in zip(together, alone, strict=True)]
    ratio = statistics.median(together) / statistics.median(alone)
    print(
        f"{name:28} bare {statistics.median(alone):7.1f} frames/s   worker {statistics.median(together):7.1f} ="
        f" {ratio:.0%} of it (rounds {min(ratios):.0%} to {max(ratios):.0%}; aim {AIM:.0%})"
        f"   with motion gating {statistics.median(gated):7.1f}"
    )


def sizes(path: Path, frames: int) -> None:
    """Print what each enlargement of the people detector finds and costs: the defaults come from this table."""
    print("people detector   enlarged   pyramid   frames/s   sightings a frame (0.5 and more sure)")
    pictures = pictures_of(path, frames * 12)[::12]
    for enlarge in (1.0, 1.6, 2.0):
        for pyramid in (1.05, 1.1):
            detect = detector_of(looking({}, {"enlarge": enlarge, "pyramid": pyramid}))
            begin = time.perf_counter()
            found = sum(len(detect(picture)) for picture in pictures)
            spent = time.perf_counter() - begin
            print(f"{'':17} {enlarge:8.1f} {pyramid:9.2f} {len(pictures) / spent:10.1f} {found / len(pictures):10.2f}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = PEDESTRIANS
        if not path.is_file():
            print("no sample video: a drawn one, in which nobody is found")
            pictures = (square_at(n, 60, (480, 360)) for n in range(options.frames))
            path = film(Path(folder) / "drawn.mp4", pictures)
        model = small_yolo(Path(folder) / "small.onnx")
        sizes(path, options.frames // 10)
        asyncio.run(compared("people (HOG)", path, {}, options))
        asyncio.run(compared("small YOLO (ONNX, 320)", path, {"model": str(model), "score": 0.99}, options))


if __name__ == "__main__":
    main()
