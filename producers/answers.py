"""HTTP answers of the raw routes: seed-shaped JSON, RFC 9457 problem details, refusals. Pure but for sending."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = dict[bytes, bytes]
RawHeaders = list[tuple[bytes, bytes]]

_to_json = msgspec.json.Encoder().encode
JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")


@dataclass(slots=True)
class Answer:
    """Status, body and headers (content type among them, content length not)."""

    status: int
    body: bytes
    headers: RawHeaders = field(default_factory=lambda: [JSON])

    def start(self, more_headers: Sequence[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
        """The ASGI message that begins it."""
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body)), *more_headers]
        return {"type": "http.response.start", "status": self.status, "headers": headers}


class Prepared(Answer):
    """An answer that is given again and again: its messages are made once."""

    __slots__ = ("content", "opening")

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body, answer.headers)
        self.opening = self.start()
        self.content = {"type": "http.response.body", "body": self.body}


class Refused(Exception):
    """Ends a request with its answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def answer_json(status: int, content: Any) -> Answer:
    """Any JSON content that is known to be sound."""
    return Answer(status, _to_json(content))


def refusal(status: int, detail: Any, **more: Any) -> Refused:
    """FastAPI's error shape, as the seeds' clients read it: `detail`, and what else a key names.

    Text outside ASCII is escaped, so that broken Unicode can be echoed.
    """
    return Refused(Answer(status, json.dumps({"detail": detail} | more, separators=(",", ":")).encode()))


def problem(status: int, detail: str, retry_after_s: int | None = None) -> Refused:
    """An RFC 9457 problem; its `detail` is a text, so clients of FastAPI's shape read it too."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    answer = Answer(status, json.dumps(content).encode(), [PROBLEM])
    if retry_after_s is not None:
        answer.headers.append((b"retry-after", str(retry_after_s).encode()))
    return Refused(answer)


def unavailable(detail: str, retry_after_s: int = 2) -> Refused:
    """503 in the seeds' shape: nothing is lost if the client sends it again."""
    refused = refusal(503, detail)
    refused.answer.headers.append((b"retry-after", str(retry_after_s).encode()))
    return refused


def unless_async(waited: bool, content: Any) -> Answer:
    """200 for who waited for the effect; 202 for who preferred an answer at once (RFC 7240)."""
    answer = answer_json(200 if waited else 202, content)
    if not waited:
        answer.headers = [*answer.headers, (b"preference-applied", b"respond-async")]
    return answer


async def send_answer(send: Send, answer: Answer, more_headers: RawHeaders) -> None:
    """Write one answer to an ASGI server."""
    if isinstance(answer, Prepared) and not more_headers:
        await send(answer.opening)
        await send(answer.content)
        return
    await send(answer.start(more_headers))
    await send({"type": "http.response.body", "body": answer.body})
