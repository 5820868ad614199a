"""One table that makes the flags, the SENSOR_* variables and the defaults. Reads the environment."""

from __future__ import annotations

import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from edge_agents.emotion_sensor.errors import SensorError

MODES = ("points", "totals", "both")


@dataclass(frozen=True, slots=True)
class About:
    """Where a flag stands in the help, and what it says there."""

    panel: str
    text: str


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """Everything that can be set. A field `outbox_mb` is the flag --outbox-mb and the variable SENSOR_OUTBOX_MB."""

    camera: Annotated[int | None, About("Source", "Index of a camera, 0 for the first.")] = None
    video: Annotated[str | None, About("Source", "A video file, or the URL of a stream (rtsp://, http://).")] = None
    pictures: Annotated[Path | None, About("Source", "A folder of pictures, each shown in slow motion.")] = None
    demo: Annotated[
        bool, About("Source", "What this machine has: pictures and videos of --media, or a sample portrait.")
    ] = False
    media: Annotated[Path | None, About("Source", "Folder for --demo with faces/ and video/ in it.")] = None
    loop: Annotated[bool, About("Source", "Begin again at the end (the demo always does).")] = False
    seconds: Annotated[float, About("Source", "How long each picture is shown.")] = 8.0
    fps: Annotated[float, About("Source", "Frames looked at per second.")] = 5.0
    as_fast_as_possible: Annotated[
        bool, About("Source", "Do not wait for real time; points carry the media's time.")
    ] = False
    model: Annotated[Path | None, About("Faces", "An ONNX expression model instead of the one built here.")] = None
    lost_after: Annotated[float, About("Faces", "Seconds without a face after which a person is gone.")] = 2.0
    server: Annotated[str, About("Server", "Address of the gateway; without it SENSORIUM_PORT of this machine.")] = (
        "http://127.0.0.1:8000"
    )
    device_id: Annotated[str, About("Server", "Name of this device.")] = "emotion_sensor_1"
    token: Annotated[str | None, About("Server", "Bearer token, where the server wants one.")] = None
    mode: Annotated[
        str, About("Server", "points (a post per visit), totals (seconds of each mood, every 5 s) or both.")
    ] = "points"
    frames: Annotated[bool, About("Server", "Also send a picture twice a second, for the live view.")] = False
    gzip: Annotated[bool, About("Server", "Compress posts.")] = True
    flush_points: Annotated[int, About("Server", "Post a visit in parts of so many points.")] = 500
    flush_seconds: Annotated[float, About("Server", "Post the points so far of a visit that lasts longer.")] = 30.0
    grace: Annotated[float, About("Server", "Seconds to go on posting when told to stop.")] = 5.0
    home: Annotated[Path | None, About("Storage", "Where outbox, CSV files and model live.")] = None
    outbox_mb: Annotated[float, About("Storage", "The outbox drops its oldest posts beyond this size.")] = 512.0
    csv_mb: Annotated[float, About("Storage", "All CSV files together; the oldest go first. 0 writes none.")] = 200.0
    csv_days: Annotated[float, About("Storage", "CSV files older than this are removed.")] = 30.0

    @property
    def directory(self) -> Path:
        """The home of this device: `home`, else a folder of its own below the project's."""
        return self.home or _sensorium_home() / "emotion-sensor" / re.sub(r"[^\w.-]|^\.+", "_", self.device_id)


def load(given: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> SensorSettings:
    """Settings from flags (`given`, None means not given), then SENSOR_* variables, then defaults.

    Raises SensorError naming the setting whose value cannot be used.
    """
    values = {name: value for name, value in (given or {}).items() if value is not None}
    source = os.environ if environment is None else environment
    for name, kind in kinds().items():
        text = source.get(variable(name), "")
        if name not in values and text:
            values[name] = _parsed(variable(name), text, kind)
    if "server" not in values and (port := source.get("SENSORIUM_PORT", "")).isdigit():
        values["server"] = f"http://127.0.0.1:{port}"
    settings = SensorSettings(**values)
    _check(settings)
    return settings


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"SENSOR_{name.upper()}"


def kinds() -> dict[str, type]:
    """Each setting's plain type, `int | None` counting as int."""
    return {name: _plain(hint) for name, hint in typing.get_type_hints(SensorSettings).items()}


def about(name: str) -> About:
    """What is said of a setting."""
    return typing.get_type_hints(SensorSettings, include_extras=True)[name].__metadata__[0]


def _plain(hint: Any) -> type:
    return typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint


def _parsed(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
            raise SensorError(f"{name}={text!r}: say true or false")
        return text.lower() in ("1", "true", "yes", "on")
    try:
        return kind(text)
    except ValueError:
        raise SensorError(f"{name}={text!r} is not a {kind.__name__}") from None


def _check(settings: SensorSettings) -> None:
    if settings.mode not in MODES:
        raise SensorError(f"mode {settings.mode!r} is unknown: say {' or '.join(MODES)}")
    if not settings.server.startswith(("http://", "https://")):
        raise SensorError(f"server {settings.server!r}: say http://HOST:PORT or https://HOST")
    for name in ("fps", "seconds", "lost_after", "flush_points", "flush_seconds", "outbox_mb"):
        if not getattr(settings, name) > 0:
            raise SensorError(f"{name.replace('_', '-')} must be greater than 0")
    chosen = [name for name in ("camera", "video", "pictures") if getattr(settings, name) is not None]
    if len(chosen) + settings.demo > 1:
        raise SensorError(f"choose one source, not {' and '.join([*chosen, *(['demo'] if settings.demo else [])])}")


def _sensorium_home() -> Path:
    return Path(os.environ.get("SENSORIUM_HOME") or ".sensorium")
