"""HTTP answers of the raw routes: seed-shaped JSON, RFC 9457 problem details, refusals. Pure but for sending."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = dict[bytes, bytes]
RawHeaders = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")


@dataclass(slots=True)
class Answer:
    """Status, body and headers (content type among them, content length not)."""

    status: int
    body: bytes
    headers: RawHeaders = field(default_factory=lambda: [JSON])


class Refused(Exception):
    """Ends a request with its answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def answer_json(status: int, content: Any) -> Answer:
    """Any JSON content; text outside ASCII is escaped, so that broken Unicode can be echoed."""
    return Answer(status, json.dumps(content, separators=(",", ":")).encode())


def refusal(status: int, detail: Any, **more: Any) -> Refused:
    """FastAPI's error shape, as the seeds' clients read it: `detail`, and what else a key names."""
    return Refused(answer_json(status, {"detail": detail} | more))


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


async def send_answer(send: Send, answer: Answer, more_headers: RawHeaders) -> None:
    """Write one answer to an ASGI server."""
    body = answer.body
    headers = [*answer.headers, (b"content-length", b"%d" % len(body)), *more_headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
