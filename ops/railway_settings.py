"""Settings of the railway: seed 003's variables and ours, checked. `ops.settings.load` hands the environment over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops import variables
from ops.errors import OperatorError

_LONGEST_PLAINTEXT: Final = 190
"""Bytes that RSA-OAEP with SHA-256 takes under a key of 2048 bits."""


@dataclass(frozen=True, slots=True)
class RailwaySettings:
    """What a site may set; None: as the routes have it by default.

    A challenge has `code_length` characters of `pool` and lives `challenge_s`, a session `session_s` after its last
    use, in seconds. `face_distance`: the farthest that two pictures of one person may be apart;
    `face_models`: a folder with dlib's models in place of the package's.
    """

    code_length: int = 100
    ticket_code_length: int = 128
    pool: str | None = None
    challenge_s: float = 30.0
    session_s: float = 3600.0
    static_folder: Path | None = None
    face_distance: float | None = None
    face_workers: int = 1
    face_models: Path | None = None


def read(env: Mapping[str, str]) -> RailwaySettings:
    """The settings in an environment (values stripped, empty ones left out). OperatorError names the bad variable."""
    return RailwaySettings(
        code_length=int(variables.number(env, "AUTH_CODE_LENGTH", 100, 32, _LONGEST_PLAINTEXT)),
        ticket_code_length=int(variables.number(env, "TICKET_CODE_LEN", 128, 16, 128)),
        pool=_pool(env),
        challenge_s=variables.number(env, "AUTH_REQUEST_TIMEOUT", 30.0, 1, 600),
        session_s=variables.number(env, "AUTH_SESSION_TIMEOUT", 3600.0, 10, 30 * 86_400),
        static_folder=variables.folder(env, "STATIC_PATH"),
        face_distance=_distance(env),
        face_workers=int(variables.number(env, "FACE_WORKERS", 1, 1, 64)),
        face_models=variables.folder(env, "FACE_MODELS"),
    )


def _pool(env: Mapping[str, str]) -> str | None:
    pool = env.get("SYMBOLS_POOL")
    if pool is not None and (len(set(pool)) < 32 or not pool.isascii() or not pool.isprintable() or " " in pool):
        raise OperatorError("SYMBOLS_POOL must have at least 32 different printable ASCII characters and no blanks.")
    return pool


def _distance(env: Mapping[str, str]) -> float | None:
    name = "FACE_MATCH_DISTANCE"
    return variables.number(env, name, 0, 0.05, 2.0) if name in env else None
