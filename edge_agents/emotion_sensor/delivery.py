"""One HTTP post and what its answer means. Knows nothing of the outbox."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from edge_agents.emotion_sensor.backoff import retry_after_s

# Refusals of the body itself: sending the same again can only get the same answer.
NEVER = frozenset({400, 409, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Stored:
    """The server has it. `answer` is its parsed body."""

    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take it."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `this_post` says that the server failed at this body rather than altogether."""

    reason: str
    retry_after_s: float | None = None
    this_post: bool = False


Verdict = Stored | Refused | Later
Accepts = Callable[[dict[str, Any]], bool]


def says_ok(answer: dict[str, Any]) -> bool:
    """Success of a bulk post: `ok` is true."""
    return answer.get("ok") is True


def says_status_ok(answer: dict[str, Any]) -> bool:
    """Success of a totals or frame post: `status` is "ok"."""
    return answer.get("status") == "ok"


def judge(status: int, retry_after: str | None, body: bytes, accepts: Accepts) -> Verdict:
    """What an answer means. Success is 200 or 202 with the expected body only: a hotel's login page is 200 too.

    Only a refusal in the server's own words, a JSON object with `detail`, is one for good.
    """
    text = body[:2000].decode("utf-8", "replace")
    if status in (200, 202):
        answer = _parsed(body)
        if answer is not None and accepts(answer):
            return Stored(answer)
        return Later(f"the answer {status} is not that of a Sensorium server: {text[:200]!r}")
    if status in NEVER:
        if "detail" in (_parsed(body) or {}):
            return Refused(status, text)
        # A proxy or a hotel's login page refuses what the server has never seen.
        reason = f"the refusal {status} is not that of a Sensorium server: {text[:200]!r}"
        return Later(reason, retry_after_s(retry_after), this_post=True)
    return Later(f"the server answered {status}: {text[:200]!r}", retry_after_s(retry_after), this_post=status == 500)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where to post and as whom."""

    url: str
    token: str | None = None
    compress: bool = True
    timeout_s: float = 30.0


class Delivery:
    """A keep-alive connection to the server. One instance per thread."""

    def __init__(self, address: ServerAddress, transport: httpx.BaseTransport | None = None) -> None:
        self._compress = address.compress
        headers = {"content-type": "application/json", "user-agent": "sensorium-emotion-sensor"}
        if address.token:
            headers["authorization"] = f"Bearer {address.token}"
        self._client = httpx.Client(
            base_url=address.url,
            headers=headers,
            timeout=httpx.Timeout(address.timeout_s, connect=min(5.0, address.timeout_s)),
            # A proxy of the environment can never reach the loopback of this machine.
            trust_env=urlsplit(address.url).hostname not in ("127.0.0.1", "localhost", "::1"),
            transport=transport,
        )

    def post_gzipped(self, path: str, body: bytes, accepts: Accepts) -> Verdict:
        """Post a body that is kept gzipped; plain where the server is said not to take gzip."""
        if self._compress:
            return self._post(path, body, accepts, {"content-encoding": "gzip"})
        return self._post(path, gzip.decompress(body), accepts, {})

    def post_json(self, path: str, body: dict[str, Any], accepts: Accepts) -> Verdict:
        """Post `body` as plain JSON, as the devices of the totals contract do."""
        return self._post(path, json.dumps(body).encode(), accepts, {})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, path: str, content: bytes, accepts: Accepts, headers: dict[str, str]) -> Verdict:
        try:
            answer = self._client.post(path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Later(f"the server cannot be reached ({type(error).__name__}: {error})")
        return judge(answer.status_code, answer.headers.get("retry-after"), answer.content, accepts)
