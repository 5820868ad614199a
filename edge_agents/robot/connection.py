"""Requests to the servers: signed in, tried again while that can help, answers told apart by type.

A write is tried again only under an Idempotency-Key, so that what was done is never done twice.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import httpx

from edge_agents.emotion_sensor.backoff import Backoff, retry_after_s
from edge_agents.robot.errors import BadAnswer, Refused, ServerAway

LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
UNDONE: Final = frozenset({429, 503})
"""Statuses that say that nothing was done."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take in all, one try of it, and the first and the longest pause between two (seconds)."""

    total_s: float = 20.0
    one_s: float = 10.0
    first_s: float = 0.5
    longest_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `once` is its Idempotency-Key; `harmless`: doing it twice does no harm, so it may be tried again."""

    method: str
    url: str
    body: Any = None
    once: str | None = None
    harmless: bool = True
    query: Mapping[str, Any] | None = None


class Signing(Protocol):
    """What gives tokens. See sign_in.SignIn."""

    async def token(self, spent: str | None = None) -> str:
        """A token; another one than the `spent`, which the server refused."""
        ...


@dataclass(slots=True)
class Connection:
    """One HTTP client for all servers. Without `signing` requests carry no token."""

    http: httpx.AsyncClient
    patience: Patience = field(default_factory=Patience)
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    chance: random.Random = field(default_factory=random.Random)

    async def ask(self, call: Call, signing: Signing | None = None) -> Any:
        """The JSON of a 200. Raises Refused, ServerAway or BadAnswer."""
        answer = await self.send(call, signing)
        if answer.status_code != HTTPStatus.OK:
            raise Refused(answer.status_code, _detail(answer))
        try:
            return answer.json()
        except ValueError as error:
            raise BadAnswer(f"{call.url} did not answer with JSON") from error

    async def send(self, call: Call, signing: Signing | None = None) -> httpx.Response:
        """The answer, whatever its status; a 401 leads to one new sign-in. Raises ServerAway; BadAnswer: no address."""
        token = await signing.token() if signing else None
        answer = await self._patiently(call, token)
        if signing and answer.status_code == HTTPStatus.UNAUTHORIZED and token is not None:
            fresh = await signing.token(spent=token)
            answer = await self._patiently(call, fresh)
        return answer

    async def _patiently(self, call: Call, token: str | None) -> httpx.Response:
        backoff = Backoff(self.patience.first_s, self.patience.longest_s, self.chance)
        until = self.clock() + self.patience.total_s
        while True:
            answer, why, unknown, wanted = await self._once(call, token)
            if answer is not None:
                return answer
            wait = backoff.after_failure(wanted)
            may_repeat = call.harmless or call.once is not None or not unknown
            if not may_repeat or self.clock() + wait >= until:
                raise ServerAway(why, effect_unknown=unknown)
            await self.pause(wait)

    async def _once(self, call: Call, token: str | None) -> tuple[httpx.Response | None, str, bool, float | None]:
        """The answer; or why there is none, whether the request may have worked, and the pause that was asked for."""
        headers = {"Accept": "*/*"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": call.once} if call.once else {}
        body = None if call.body is None else json.dumps(call.body).encode()
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with asyncio.timeout(self.patience.one_s):
                answer = await self.http.request(
                    call.method, call.url, content=body, headers=headers, params=call.query
                )
        except httpx.InvalidURL as error:
            raise BadAnswer(f"{call.url!r:.200} is no address ({error})") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return None, f"{call.url} cannot be reached ({type(error).__name__})", False, None
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            return None, f"{call.url} gave no answer ({type(error).__name__})", True, None
        if answer.status_code in LATER:
            why = f"{call.url} answered {answer.status_code}"
            wanted = retry_after_s(answer.headers.get("retry-after"))
            return None, why, answer.status_code not in UNDONE, wanted
        return answer, "", False, None


def _detail(answer: httpx.Response) -> object:
    try:
        told = answer.json()
    except ValueError:
        return answer.text[:500]
    return told.get("detail", told) if isinstance(told, dict) else told
