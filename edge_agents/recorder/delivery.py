"""One request to the server and what its answer means. Knows nothing of the spool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

CHUNKS = "/api/v1/chunks"
# Refusals of the chunk itself: sending the same again can only get the same answer.
NEVER = frozenset({413, 422})
# Said of every chunk alike: the settings or the registration are wrong, not the chunk.
_NOT_THE_CHUNK = ("device_id does not match authenticated device", "point_id or register_id does not match")
_THIS_CHUNK_TOO = frozenset({400, 409, 500, *NEVER})


@dataclass(frozen=True, slots=True)
class Stored:
    """The server has it. `answer` is its parsed body."""

    status: int
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take it."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Another chunk has this boot id and sequence."""

    answer: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `status` 0: no answer. `this_chunk`: the server failed at this one rather than altogether.

    `cut`: the connection broke while sending. `too_large`: something on the way takes smaller requests only.
    """

    status: int
    reason: str
    retry_after_s: float | None = None
    this_chunk: bool = False
    cut: bool = False
    too_large: bool = False


Verdict = Stored | Refused | Taken | Later


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """What an answer means. Success is 200 with a JSON object and nothing else."""
    text = body[:300].decode("utf-8", "replace")
    answer = _parsed(body)
    if status == 200:
        if answer is not None:
            return Stored(status, answer)
        return Later(status, f"200, but not with the JSON of an ingest server: {text!r}")
    waits = retry_after_s(headers.get("retry-after"))
    detail = str((answer or {}).get("detail", ""))
    if status == 422 and detail.startswith(_NOT_THE_CHUNK):
        return Later(
            status, f"{detail}: compare point_id, register_id and device_id with the device's registration", waits
        )
    # Only a refusal in the server's own words is one for good: a proxy refuses what the server has never seen.
    if status in NEVER and "detail" in (answer or {}):
        return Refused(status, text)
    if status == 409 and "detail" in (answer or {}):
        return Taken(text)
    hint = _HINTS.get(status, "its Location: " + headers.get("location", "none") if 300 <= status < 400 else "")
    reason = f"{text}" + (f" ({hint})" if hint else "")
    return Later(status, reason, waits, this_chunk=status in _THIS_CHUNK_TOO, too_large=status == 413)


_HINTS: Mapping[int, str] = {
    401: "the server does not know ingest_token, or the device is disabled",
    403: "something before the server refuses this device",
    404: "ingest_base_url leads to a server without /api/v1/chunks",
}


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def retry_after_s(text: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date; at most an hour."""
    if not text:
        return None
    if text.strip().isdigit():
        return min(3600.0, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    seconds = (moment.astimezone(UTC) - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, min(3600.0, seconds))


def server_time_us(headers: Mapping[str, str]) -> int | None:
    """What the server's Date header says, UTC epoch microseconds (in the middle of its second)."""
    try:
        return round(parsedate_to_datetime(headers["date"]).timestamp() * 1e6) + 500_000
    except (KeyError, ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Server:
    """Where to send and as whom."""

    url: str
    token: str
    timeout_s: float = 60.0


class Connection:
    """A keep-alive connection. One instance per thread. `server_us`: the server's time in the last 200, else None."""

    def __init__(self, server: Server, transport: httpx.BaseTransport | None = None) -> None:
        self.server_us: int | None = None
        self.client = httpx.Client(
            base_url=server.url,
            headers={"authorization": f"Bearer {server.token}", "user-agent": "recorder-agent"},
            timeout=httpx.Timeout(server.timeout_s, connect=min(10.0, server.timeout_s)),
            transport=transport,
        )

    def close(self) -> None:
        """Close it, from any thread."""
        self.client.close()

    def send_chunk(self, fields: Mapping[str, str], path: Path) -> Verdict:
        """POST a chunk, its text fields first in the order given. Raises OSError if the file cannot be read."""
        with path.open("rb") as file:
            return self._post(CHUNKS, data=dict(fields), files={"chunk_file": (path.name, file, "audio/ogg")})

    def send_report(self, path: str, report: Mapping[str, Any]) -> Verdict:
        """POST JSON."""
        return self._post(path, json=dict(report))

    def _post(self, path: str, **what: Any) -> Verdict:
        self.server_us = None
        try:
            response = self.client.post(path, **what)
        except httpx.HTTPError as error:
            return lost(error)
        except httpx.InvalidURL as error:
            return Later(0, f"ingest_base_url cannot be used: {error}")
        if response.status_code == 200:
            self.server_us = server_time_us(response.headers)
        return judge(response.status_code, response.headers, response.content)


def lost(error: httpx.HTTPError) -> Later:
    """No answer came."""
    early = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    return Later(0, f"{type(error).__name__}: {error}", cut=not early)
