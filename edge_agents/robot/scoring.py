"""How agitated a window of frames is: the models, and the process of its own that they run in.

The process is spawned, never forked: no lock of this one can be held in it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)
Window = NDArray[np.uint8]
"""[FRAMES, HEIGHT, WIDTH, 3], BGR."""
FLOW_SIZE: Final = (100, 75)
FLOW_MIDDLE: Final = 1.0
"""Change of flow (pixels at 100 pixels width, 95th percentile) that scores 0.5."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What windows a model wants: frames, width and height; and its name."""

    model: str
    frames: int
    width: int
    height: int


class Scorer(Protocol):
    """A model: what it wants, and what it thinks of a window (0 calm ... 1)."""

    wanted: Wanted

    def score(self, window: Window) -> float: ...  # noqa: D102


class FlowScorer:
    """Agitation without any weights: how much the size of the optical flow changes from frame to frame.

    The idea is that of violent flows (Hassner, Itcher and Kliper-Gross, CVPR workshops 2012). A hint, not an alarm.
    """

    def __init__(self, frames: int) -> None:
        self.wanted = Wanted("flow-change-1", frames, *FLOW_SIZE)

    def score(self, window: Window) -> float:
        """0 for a still picture; 0.5 where the 95th percentile of the change is FLOW_MIDDLE."""
        greys = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in window]
        sizes = [_flow_size(one, other) for one, other in pairwise(greys)]
        changes = [np.abs(after - before) for before, after in pairwise(sizes)]
        if not changes:
            return 0.0
        change = float(np.percentile(np.stack(changes), 95))
        return change / (change + FLOW_MIDDLE)


def _flow_size(one: Any, other: Any) -> NDArray[np.float32]:
    start: Any = None
    flow = cv2.calcOpticalFlowFarneback(one, other, start, 0.5, 3, 15, 2, 5, 1.2, 0)
    return np.linalg.norm(np.asarray(flow, np.float32), axis=2)


class OnnxScorer:
    """A model [1, frames, 3, height, width] -> [1, 1]: BGR from 0 to 1, channels first; its output is a logit."""

    def __init__(self, path: Path, frames: int) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        told = self._session.get_inputs()[0]
        shape = [side if isinstance(side, int) else None for side in told.shape]
        if len(shape) != 5 or shape[2] not in (3, None):
            raise ValueError(f"{path} takes {told.shape}, not [1, frames, 3, height, width]")
        self._input = told.name
        self.wanted = Wanted(path.stem, shape[1] or frames, shape[4] or 200, shape[3] or 200)

    def score(self, window: Window) -> float:
        """The logistic function of the model's logit. Raises ValueError for an answer that is not one number."""
        batch = np.moveaxis(window, 3, 1)[np.newaxis].astype(np.float32) / 255
        output: Any = self._session.run(None, {self._input: batch})[0]
        if np.size(output) != 1 or not np.isfinite(output).all():
            raise ValueError(f"the model answers {np.ravel(output)[:3].tolist()}, not one number")
        logit = float(np.ravel(output)[0])
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


def scorer_of(model: Path | None, frames: int) -> Scorer:
    """The ONNX model at a path, else the flow scorer."""
    return FlowScorer(frames) if model is None else OnnxScorer(model, frames)


def serve(pipe: Pipe, model: Path | None, frames: int) -> None:
    """The process: says what it wants, then answers each window with a score, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the robot, which then closes the pipe
    cv2.setNumThreads(1)
    try:
        scorer = scorer_of(model, frames)
        pipe.send(scorer.wanted)
        wanted = scorer.wanted
        while True:
            data = np.frombuffer(pipe.recv_bytes(), np.uint8)
            pipe.send(scorer.score(data.reshape(wanted.frames, wanted.height, wanted.width, 3)))
    except (EOFError, OSError):
        return


class ScoringFailed(Exception):
    """The process died, hangs, or cannot load its model."""


class ScoringProcess:
    """The model in its process: started when needed, ended and begun again when it fails."""

    def __init__(self, model: Path | None, frames: int, patience_s: float = 60.0) -> None:
        self._options = (model, frames)
        self._patience_s = patience_s
        self._process: Any = None
        self._pipe: Any = None

    async def start(self) -> Wanted:
        """Start and say what windows are wanted. Raises ScoringFailed."""
        return await asyncio.to_thread(self._start)

    async def score(self, window: Window) -> float:
        """The score of a window. Raises ScoringFailed; `start` begins anew."""
        return await asyncio.to_thread(self._ask, lambda: self._pipe.send_bytes(window.tobytes()))

    def stop(self) -> None:
        """End the process."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.join(0.5)
            if process.is_alive():
                process.kill()
                process.join(5.0)
            process.close()

    def _start(self) -> Wanted:
        self.stop()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._options), name="deviance", daemon=True)
        self._process.start()
        theirs.close()
        return self._ask(lambda: None)

    def _ask(self, send: Callable[[], None]) -> Any:
        pipe = self._pipe
        if pipe is None:
            raise ScoringFailed("it was stopped")
        try:
            send()
            if pipe.poll(self._patience_s):
                return pipe.recv()
        except (EOFError, OSError) as error:
            self.stop()
            raise ScoringFailed("its process has died, see its words above") from error
        self.stop()
        raise ScoringFailed(f"it has said nothing for {self._patience_s:.0f} s")
