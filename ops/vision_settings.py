"""Settings of video runners: seed 004's variables and ours, checked. `ops.settings.load` hands the environment over."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ops import variables
from ops.errors import OperatorError

TEST_VIDEOS: Final = "test_videos"
"""Where seed 004 looks for a video: its first one, by name."""
_ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class VisionSettings:
    """What a site may set of its runners.

    `video` is a file, a camera's number or an address, for scenarios that name no source; those that do may name one
    of `sources` (none: any). An assignment stands for `lease_s` without a heartbeat; a free runner asks every
    `poll_s`. A source that does not answer is tried for `absent_s`. `look`: how to look at frames, as far as it is set
    (`streams.vision.looking.Looking` has the rest).

    A signal of deviance begins at a score of `deviance_on` and ends below `deviance_off`, unless its camera is set
    otherwise; key frames are kept for `picture_days`. Cameras with a source of their own, `cameras_most` at once, are
    looked at with `deviance_model`, an ONNX file (None: without weights).
    """

    runner_id: str = ""
    video: str = f"{TEST_VIDEOS}/test_video.mp4"
    sources: Sequence[str] = ()
    lease_s: float = 10.0
    poll_s: float = 1.0
    absent_s: float = 20.0
    frames: int = 1
    threads: int = 1
    memory_bytes: int = 3 << 30
    deviance_on: float = 0.5
    deviance_off: float = 0.25
    picture_days: float = 30.0
    deviance_model: str | None = None
    cameras_most: int = 16
    look: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def read(env: Mapping[str, str]) -> VisionSettings:
    """The settings in an environment (values stripped, empty ones left out). OperatorError names the bad variable."""
    on = variables.number(env, "DEVIANCE_ON", 0.5, 0.01, 1)
    off = variables.number(env, "DEVIANCE_OFF", min(0.25, on), 0, 1)
    if off > on:
        raise OperatorError(f"DEVIANCE_OFF={off:g} is above DEVIANCE_ON={on:g}: a signal would end before it begins.")
    return VisionSettings(
        runner_id=env.get("RUNNER_ID") or f"{socket.gethostname()}-{os.getpid()}",
        video=env.get("VIDEO_PATH") or first_video(Path(TEST_VIDEOS)),
        sources=tuple(variables.listed(env.get("RUNNER_SOURCES", ""))),
        lease_s=variables.number(env, "RUNNER_LEASE_SEC", 10.0, 1, 600),
        poll_s=variables.number(env, "RUNNER_POLL_SEC", 1.0, 0.05, 600),
        absent_s=variables.number(env, "RUNNER_SOURCE_WAIT_SEC", 20.0, 0, 3600),
        frames=int(variables.number(env, "RUNNER_FRAMES", 1, 1, 100_000)),
        threads=int(variables.number(env, "VISION_THREADS", 1, 1, 64)),
        memory_bytes=int(variables.number(env, "VISION_MEMORY_MB", 3072, 256, 1 << 20)) << 20,
        deviance_on=on,
        deviance_off=off,
        picture_days=variables.number(env, "PICTURE_RETENTION_DAYS", 30.0, 1 / 24, 36_500),
        deviance_model=_model(env["DEVIANCE_MODEL"], "DEVIANCE_MODEL") if "DEVIANCE_MODEL" in env else None,
        cameras_most=int(variables.number(env, "CAMERAS_MOST", 16, 0, 1000)),
        look=_look(env),
    )


def first_video(folder: Path) -> str:
    """The first *.mp4 of a folder by name; where there is none, the file that is expected there."""
    return str(min(folder.glob("*.mp4"), default=folder / "test_video.mp4"))


def _look(env: Mapping[str, str]) -> Mapping[str, Any]:
    look: dict[str, Any] = {}
    if "VISION_MODEL" in env:
        look["model"] = _model(env["VISION_MODEL"], "VISION_MODEL")
    for name, setting in (("VISION_CLASSES", "classes"), ("VISION_NAMES", "names")):
        if name in env:
            look[setting] = [] if env[name] == _ALL else variables.listed(env[name])
    for name, (setting, kind, least, most) in _NUMBERS.items():
        if name in env:
            look[setting] = kind(variables.number(env, name, 0, least, most))
    if "VISION_MOTION" in env:
        look["motion"] = variables.choice(env, "VISION_MOTION", "yes", (*variables.YES, *variables.NO)) in variables.YES
    if "VISION_LAYOUT" in env:
        look["layout"] = env["VISION_LAYOUT"]
    return MappingProxyType(look)


_NUMBERS: Final[Mapping[str, tuple[str, type[int] | type[float], float, float]]] = {
    "VISION_SCORE": ("score", float, 0.01, 1),
    "VISION_FPS": ("per_second", float, 0.01, 1000),
    "VISION_EVERY": ("every", int, 0, 10_000),
    "VISION_INTERVAL": ("interval", int, 1, 10_000),
    "VISION_INPUT_SIZE": ("input_size", int, 32, 4096),
    "VISION_WIDTH": ("width", int, 64, 4096),
}


_KINDS: Final = {
    "VISION_MODEL": "of the YOLO family or an SSD",
    "DEVIANCE_MODEL": "of clips, [BATCH, FRAME_COUNT, CHANNEL, HEIGHT, WIDTH] -> [BATCH, 1]",
}


def _model(text: str, name: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise OperatorError(f"{name}={text} is no file: name an ONNX model {_KINDS[name]}.")
    return str(path)
