"""One table that makes the flags, the variables and the defaults. Reads the environment.

The contract's variables keep their bare names (BASE_API_URL ...); ours are ROBOT_* (--key-kind is ROBOT_KEY_KIND).
"""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from edge_agents.robot.errors import RobotError

CONTRACT: Final = frozenset(
    {
        "base_api_url", "store_api_url", "resource_url", "key_path", "login_file_path",
        "robot_model_id", "robot_model_name", "default_store",
    }
)  # fmt: skip
"""Settings whose variable is their own name."""
CHOICES: Final[Mapping[str, tuple[str, ...]]] = types.MappingProxyType(
    {"key_kind": ("rsa", "ed25519"), "language": ("ru", "en")}
)


@dataclass(frozen=True, slots=True)
class About:
    """Where a flag stands in the help, and what it says there."""

    panel: str
    text: str


@dataclass(frozen=True, slots=True)
class RobotSettings:
    """Everything that can be set."""

    base_api_url: Annotated[str, About("Servers", "The Base server.")] = "http://localhost/base_api/v1"
    store_api_url: Annotated[str, About("Servers", "The Store server.")] = "http://localhost/store_api/v1"
    resource_url: Annotated[str, About("Servers", "The origin that pictures (/static/...) come from.")] = (
        "http://localhost"
    )
    watch_url: Annotated[
        str | None, About("Servers", "Where deviance and faces are reported; default: the resource URL.")
    ] = None
    watch_token: Annotated[
        str | None,
        About("Servers", "Bearer token for these reports; default: the robot's session, at the resource URL only."),
    ] = None
    default_store: Annotated[str | None, About("Servers", "Id of the store that passengers buy from.")] = None
    patience: Annotated[float, About("Servers", "Seconds to go on trying one request.")] = 20.0

    key_path: Annotated[Path, About("Sign-in", "Folder of the key pair.")] = Path("private")
    login_file_path: Annotated[Path, About("Sign-in", "File that remembers the robot's id.")] = Path(
        "private/login_data"
    )
    key_kind: Annotated[str, About("Sign-in", "Of a new key pair: rsa (2048 bits) or ed25519.")] = "rsa"
    key_password: Annotated[str, About("Sign-in", "What the private key's file is encrypted with.")] = ""
    robot_model_id: Annotated[str, About("Sign-in", "A robot that signs in with a known one takes its place.")] = (
        "TestRobotID1"
    )
    robot_model_name: Annotated[str, About("Sign-in", "Name of the model.")] = "TestRobot:0.1.0:001"
    engineer_login: Annotated[str | None, About("Sign-in", "For the first sign-in; asked for if not given.")] = None
    engineer_password: Annotated[str | None, About("Sign-in", "Better as a variable than as a flag.")] = None

    camera: Annotated[int | None, About("Camera", "Index of a camera; 0 when no other source is named.")] = None
    video: Annotated[str | None, About("Camera", "A video file, shown again and again, or a stream's URL.")] = None
    pictures: Annotated[Path | None, About("Camera", "A folder of pictures, each shown for --seconds.")] = None
    seconds: Annotated[float, About("Camera", "How long each picture is shown.")] = 4.0
    fps: Annotated[float, About("Camera", "Frames per second.")] = 30.0

    headless: Annotated[bool, About("Screen", "Without a screen: states, camera, console, board, deviance.")] = False
    language: Annotated[str, About("Screen", "ru or en.")] = "ru"

    commands: Annotated[str, About("Console", "Lines for the console before anybody types, parted by `;`.")] = ""
    serial: Annotated[str | None, About("Board", "Serial port of the board, opened at the start.")] = None
    track_map: Annotated[Path | None, About("Board", "A map (JSON) instead of the one of wagon 0.")] = None

    deviance: Annotated[bool, About("Watching", "Begin to look for deviant behaviour at the start.")] = False
    deviance_model: Annotated[
        Path | None, About("Watching", "An ONNX model [1, frames, 3, H, W] -> [1, 1]; default: optical flow.")
    ] = None
    deviance_frames: Annotated[int, About("Watching", "Frames in a window (an ONNX model tells its own).")] = 40
    deviance_key: Annotated[float, About("Watching", "Windows of this score or more are sent with a picture.")] = 0.5
    faces: Annotated[bool, About("Watching", "Send faces for a check against unwanted persons.")] = False
    camera_id: Annotated[
        str | None, About("Watching", "Id of this camera at the security desk; default: the robot's model id.")
    ] = None
    camera_name: Annotated[str | None, About("Watching", "Its name for people; default: the model's.")] = None
    camera_location: Annotated[str, About("Watching", "Where it is.")] = ""
    home: Annotated[Path, About("Watching", "Where reports wait for the server.")] = Path("private/robot")
    outbox_mb: Annotated[float, About("Watching", "Waiting reports beyond this size: the oldest go.")] = 64.0

    @property
    def watch_origin(self) -> str:
        """Where reports go."""
        return (self.watch_url or self.resource_url).rstrip("/")


def load(given: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> RobotSettings:
    """Settings from flags (`given`, None means not given), then variables, then defaults.

    SENSORIUM_PORT names this machine's servers, unless they are named themselves.

    Raises:
        RobotError: a setting's value cannot be used, and which.
    """
    values: dict[str, Any] = {name: value for name, value in (given or {}).items() if value is not None}
    source = os.environ if environment is None else environment
    for name, kind in kinds().items():
        text = source.get(variable(name), "")
        if name not in values and text:
            values[name] = _parsed(variable(name), text, kind)
    if (port := source.get("SENSORIUM_PORT", "")).isdigit():
        here = f"http://127.0.0.1:{port}"
        urls = {"base_api_url": "/base_api/v1", "store_api_url": "/store_api/v1", "resource_url": ""}
        values = {name: f"{here}{path}" for name, path in urls.items()} | values
    settings = RobotSettings(**values)
    _check(settings)
    return settings


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return name.upper() if name in CONTRACT else f"ROBOT_{name.upper()}"


def kinds() -> dict[str, type]:
    """Each setting's plain type, `int | None` counting as int."""
    return {name: _plain(hint) for name, hint in typing.get_type_hints(RobotSettings).items()}


def about(name: str) -> About:
    """What is said of a setting."""
    return typing.get_type_hints(RobotSettings, include_extras=True)[name].__metadata__[0]


def _plain(hint: Any) -> type:
    return typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint


def _parsed(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
            raise RobotError(f"{name}={text!r}: say true or false")
        return text.lower() in ("1", "true", "yes", "on")
    try:
        return kind(text)
    except ValueError:
        raise RobotError(f"{name}={text!r} is not a {kind.__name__}") from None


def _check(settings: RobotSettings) -> None:
    for name in ("base_api_url", "store_api_url", "resource_url", "watch_origin"):
        if not getattr(settings, name).startswith(("http://", "https://")):
            raise RobotError(f"{name.replace('_', '-')} {getattr(settings, name)!r}: say http://HOST or https://HOST")
    for name in ("fps", "seconds", "patience", "deviance_frames", "outbox_mb"):
        if not getattr(settings, name) > 0:
            raise RobotError(f"{name.replace('_', '-')} must be greater than 0")
    for name, choices in CHOICES.items():
        if getattr(settings, name) not in choices:
            raise RobotError(f"{name.replace('_', '-')} {getattr(settings, name)!r}: say {' or '.join(choices)}")
    chosen = [name for name in ("camera", "video", "pictures") if getattr(settings, name) is not None]
    if len(chosen) > 1:
        raise RobotError(f"choose one source, not {' and '.join(chosen)}")
