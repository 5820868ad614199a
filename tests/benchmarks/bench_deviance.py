"""Deviance: the scores of the sample clips with and without a fight, and what the worker leaves of the bare scorer.

The scores say how far a detector without weights can be trusted: not far. Both scorers see the same windows; the bare
one has their frames decoded in memory. They take turns, the ratio is that of their medians.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streams.vision.boxes import Picture
from streams.vision.clip_model import ClipModel
from streams.vision.deviance import agitation
from streams.vision.signals import Rule, Window, signals
from streams.vision.video_file import VideoFile
from streams.workers.deviance import open_worker, taken
from streams.workers.pool import ChildLimits, ChildPool
from tests.drivers.video import MEDIA, PEDESTRIANS, film, square_at

AIM = 0.85
WINDOW_S = 2.0
QUIET = 2.0
"""No score is as high: nobody is looked for, as while nothing happens."""
LABELS = {"fi": "fight", "nofi": "no fight"}
Score = Callable[[Sequence[Picture]], Any]


def small_clip_model(path: Path, frames: int = 16, side: int = 112) -> Path:
    """A network over clips with weights by chance: two convolutions of each frame, then one number."""
    chance = np.random.default_rng(5)
    held = [
        numpy_helper.from_array(np.array([frames, 3, side, side], np.int64), "unbatched"),
        numpy_helper.from_array(chance.normal(0, 0.2, (32, 3, 5, 5)).astype(np.float32), "w0"),
        numpy_helper.from_array(chance.normal(0, 0.05, (64, 32, 5, 5)).astype(np.float32), "w1"),
        numpy_helper.from_array(np.array([1, -1], np.int64), "flat"),
        numpy_helper.from_array(chance.normal(0, 0.01, (frames * 64, 1)).astype(np.float32), "w2"),
    ]
    nodes = [
        helper.make_node("Reshape", ["clip", "unbatched"], ["frames"]),
        helper.make_node("Conv", ["frames", "w0"], ["c0"], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c1"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "w2"], ["logit"]),
    ]
    clip = helper.make_tensor_value_info("clip", TensorProto.FLOAT, [1, frames, 3, side, side])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(nodes, "small", [clip], [logit], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def scored(path: Path) -> list[dict[str, Any]]:
    """The answers for all windows of a film that are at least a second long."""
    work = open_worker({"participants_from": QUIET})
    found: list[dict[str, Any]] = []
    following, end = 0, False
    while not end:
        answer = work({"source": str(path), "first_frame": following, "window_s": WINDOW_S})
        following, end = answer["next_frame"], answer["end"]
        if answer["score"] is not None and answer["end_ms"] - answer["start_ms"] >= 1000 * WINDOW_S / 2:
            found.append(answer)
    return found


def table(paths: Sequence[Path]) -> None:
    """Print the scores, what the threshold makes of them, and the signals."""
    right: list[bool] = []
    rule = Rule()
    print(f"film                     windows   highest score   signals (on {rule.on}, off {rule.off})")
    for path in paths:
        answers = scored(path)
        windows = [Window(one["start_ms"] * 1000, one["end_ms"] * 1000, one["score"]) for one in answers]
        found = signals(windows, rule)
        label = LABELS.get(path.stem.rstrip("0123456789"), "no fight")
        highest = max((one.score for one in windows), default=0.0)
        right.append((highest >= rule.on) == (label == "fight"))
        told = ", ".join(f"{one.start_us / 1e6:.1f}-{one.end_us / 1e6:.1f} s ({one.score:.2f})" for one in found)
        print(f"{path.name:24} {len(windows):6} {highest:14.3f}    {label:9} {told or 'none'}")
    print(f"right: {sum(right)} of {len(right)} films; the threshold was chosen on the four clips, so this is no test")


def windows_of(path: Path, frames: int | None, most: int) -> list[list[Picture]]:
    """The first windows of a film, decoded."""
    video = VideoFile(str(path))
    found: list[list[Picture]] = []
    following, end = 0, False
    while len(found) < most and not end:
        taking, following, end = taken(video, following, WINDOW_S, frames)
        found += [[picture for _, picture in taking]] if not end else []
    video.close()
    return found


def bare(score: Score, windows: Sequence[Sequence[Picture]]) -> float:
    """Frames a second of the scorer alone."""
    begin = time.perf_counter()
    for window in windows:
        score(window)
    return sum(map(len, windows)) / (time.perf_counter() - begin)


async def worked(pool: ChildPool, path: Path, windows: int) -> float:
    """Frames a second of the worker: those that it scored."""
    await pool({"source": str(path), "first_frame": 1})
    begin = time.perf_counter()
    following = frames = 0
    for _ in range(windows):
        answer = await pool({"source": str(path), "first_frame": following, "window_s": WINDOW_S})
        following, frames = answer["next_frame"], frames + answer["frames"]
    return frames / (time.perf_counter() - begin)


async def compared(name: str, path: Path, model: Path | None, options: argparse.Namespace) -> None:
    """Print both rates and their ratio."""
    clip_model = ClipModel(str(model)) if model else None
    windows = windows_of(path, clip_model.frames if clip_model else None, options.windows)
    settings = {"participants_from": QUIET} | ({"model": str(model)} if model else {})
    pool = ChildPool("streams.workers.deviance:open_worker", settings, ChildLimits(memory_bytes=2 << 30))
    alone, together = [], []
    for _ in range(options.rounds):
        alone.append(bare(clip_model or agitation, windows))
        together.append(await worked(pool, path, len(windows)))
    await pool.close()
    ratios = [one / other for one, other in zip(together, alone, strict=True)]
    ratio = statistics.median(together) / statistics.median(alone)
    print(
        f"{name:28} bare {statistics.median(alone):7.1f} frames/s   worker {statistics.median(together):7.1f} ="
        f" {ratio:.0%} of it (rounds {min(ratios):.0%} to {max(ratios):.0%}; aim {AIM:.0%})"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = PEDESTRIANS
        if path.is_file():
            table([*sorted((MEDIA / "fight").glob("*.mp4")), *sorted((MEDIA / "video").iterdir())])
        else:
            print("no sample media: no scores, and a drawn film for the rates")
            path = film(Path(folder) / "drawn.mp4", (square_at(n % 300, 60, (480, 360)) for n in range(600)))
        asyncio.run(compared("agitation (no weights)", path, None, options))
        model = small_clip_model(Path(folder) / "small.onnx")
        asyncio.run(compared("small model of clips (ONNX)", path, model, options))


if __name__ == "__main__":
    main()
