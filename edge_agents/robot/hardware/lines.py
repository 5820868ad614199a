"""What the board says, line by line. Pure; whatever comes over the wire, nothing here raises."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 512
"""Bytes of a line; what is longer is noise and passed over to its end."""
SERVO_OPEN, SERVO_CLOSED, TONE, OPEN = "servo 1\n", "servo 0\n", "tone", "open\n"
_CARD: Final = re.compile(r"0x[0-9A-F]{1,2}(?: 0x[0-9A-F]{1,2}){0,9}")


@dataclass(frozen=True, slots=True)
class Key:
    """A card: the bytes of its UID as the board writes them, without padding, parted by blanks."""

    card: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Air: relative humidity in percent, temperature in degrees Celsius."""

    humidity: float
    temperature: float


@dataclass(frozen=True, slots=True)
class TelemetryFailed:
    """The sensor cannot be read."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else: echoes of what was sent, half lines, noise."""

    text: str


Line = Key | Telemetry | TelemetryFailed | Unknown


class LineReader:
    """Bytes in, lines out."""

    def __init__(self) -> None:
        self._rest = b""
        self._too_long = False

    def feed(self, data: bytes) -> list[Line]:
        """What the lines that end in `data` say; undecodable and empty ones say nothing."""
        *ended, self._rest = (self._rest + data).split(b"\n")
        found: list[Line] = []
        for raw in ended:
            if not self._too_long and len(raw) <= LONGEST and (line := parse(raw)) is not None:
                found.append(line)
            self._too_long = False
        if len(self._rest) > LONGEST:
            self._rest, self._too_long = b"", True
        return found


def parse(raw: bytes) -> Line | None:
    """What one line says; None for an empty one and for one that is no UTF-8."""
    try:
        text = raw.decode().strip("\r\n")
    except UnicodeDecodeError:
        return None
    header, _, rest = text.partition(" ")
    rest = rest.strip()
    if header == "key" and _CARD.fullmatch(rest):
        return Key(rest)
    if header == "telemetry" and (air := _air(rest)) is not None:
        return air
    if text.strip() == "!telemetry failed":
        return TelemetryFailed()
    return Unknown(text) if text.strip() else None


def _air(rest: str) -> Telemetry | None:
    try:
        humidity, temperature = map(float, rest.split())
    except ValueError:
        return None
    return Telemetry(humidity, temperature) if math.isfinite(humidity) and math.isfinite(temperature) else None
