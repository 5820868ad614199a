"""A shop counter of a running stack: registered by the API, heard by the recorder agent or chunk by chunk by HTTP."""

from __future__ import annotations

import secrets
import subprocess
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from edge_agents.recorder.demo import resampled
from edge_agents.recorder.voices import Synthesiser
from tests.drivers.speech import RATE, opus
from tests.drivers.stack import Stack

CHUNK_S = 30
OFFER = "Would you like a chocolate cake?"
BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Counter:
    """A device that the stack knows."""

    point_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    register_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    device_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    token: str = field(default_factory=lambda: secrets.token_hex(24))

    def flags(self, stack: Stack, spool: Path) -> list[str]:
        """How `sensorium agent recorder` is told of it."""
        given = {"server": stack.base_url, "point-id": self.point_id, "register-id": self.register_id}
        given |= {"device-id": self.device_id, "token": self.token, "spool-dir": str(spool)}
        return [part for name, value in given.items() for part in (f"--{name}", value)]


def admin(stack: Stack) -> httpx.Client:
    """A client with ADMIN_TOKEN."""
    return httpx.Client(base_url=stack.base_url, headers={"Authorization": f"Bearer {stack.admin_token}"}, timeout=60)


def registered(stack: Stack) -> Counter:
    """A new counter."""
    counter = Counter()
    body = {name: getattr(counter, name) for name in ("point_id", "register_id", "device_id")}
    with admin(stack) as http:
        answer = http.post("/api/v1/admin/devices", json=body | {"token_plain": counter.token})
    assert answer.status_code == 201, answer.text
    return counter


def recorded_demo(stack: Stack, counter: Counter, spool: Path) -> subprocess.CompletedProcess[str]:
    """The scripted dialogues, spoken and sent as fast as the machine goes."""
    return stack.command("agent", "recorder", "--demo", "--speed", "0", *counter.flags(stack, spool))


class Voice:
    """Says short things, as chunks of CHUNK_S."""

    def __init__(self) -> None:
        self._synthesiser = Synthesiser()

    def says(self, text: str, at_s: float, language: str = "en") -> bytes:
        """A line in an otherwise silent chunk, as OGG/Opus."""
        said = self._synthesiser.say(text, language, "seller")
        said, at = resampled(said, self._synthesiser.sample_rate, RATE), round(at_s * RATE)
        chunk = np.zeros(CHUNK_S * RATE, np.int16)
        assert at + said.size < chunk.size, "that is too long for a chunk"
        chunk[at : at + said.size] = said
        return opus(chunk)

    def dialogue(self, nth: int) -> tuple[bytes, bytes]:
        """Two chunks with one dialogue that goes on over their border; of each `nth` another length, 6 s and more."""
        return self.says("Good morning. One coffee, please.", 26.5), self.says(OFFER, 0.5 + 0.4 * nth)


@dataclass
class Shop:
    """Counters that send chunks as the original's agent does, again and again until they are acknowledged."""

    stack: Stack
    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """chunk_id -> (device, number)."""
    refusals: int = 0

    def sends(self, counter: Counter, number: int, content: bytes, patience_s: float = 90) -> str:
        """Chunk `number` of a day without gaps; its chunk_id. AssertionError: it was refused, or nobody took it."""
        start = BEGIN + timedelta(seconds=number * CHUNK_S)
        form = {"point_id": counter.point_id, "register_id": counter.register_id, "device_id": counter.device_id}
        form |= {"start_ts": start.isoformat(), "end_ts": (start + timedelta(seconds=CHUNK_S)).isoformat()}
        form |= {"codec": "opus", "sample_rate": "48000", "channels": "1"}
        file = {"chunk_file": ("chunk.ogg", content, "audio/ogg")}
        until = datetime.now(UTC) + timedelta(seconds=patience_s)
        while datetime.now(UTC) < until:
            try:
                answer = httpx.post(
                    f"{self.stack.base_url}/api/v1/chunks",
                    data=form,
                    files=file,
                    headers={"Authorization": f"Bearer {counter.token}"},
                    timeout=30,
                )
            except httpx.HTTPError:
                self.refusals += 1
                continue
            if answer.status_code == 200:
                chunk_id = answer.json()["chunk_id"]
                self.acknowledged[chunk_id] = (counter.device_id, number)
                return chunk_id
            assert answer.status_code >= 500 or answer.status_code == 429, answer.text
            self.refusals += 1
        raise AssertionError(f"nobody took chunk {number} within {patience_s} s")

    def holds(self, counter: Counter, nth: int, dialogue: tuple[bytes, bytes]) -> None:
        """The `nth` dialogue of the day, as two chunks."""
        for half, content in enumerate(dialogue):
            self.sends(counter, 2 * nth + half, content)
