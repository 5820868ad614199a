"""Where the client finds its server. Reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """SENSORIUM_URL; SENSORIUM_TOKEN (its ADMIN_TOKEN) where the server lets nobody in without; seconds to wait."""

    url: str = "http://localhost:8000"
    token: str = ""
    timeout_s: float = 30.0


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """What the environment says."""
    known = os.environ if environ is None else environ
    return Settings(known.get("SENSORIUM_URL") or Settings().url, known.get("SENSORIUM_TOKEN", ""))
