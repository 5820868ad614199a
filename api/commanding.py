"""A command on behalf of a request: its id, and its refusal as an HTTP answer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from fastapi import HTTPException, Request

from producers.commands import CommandAnswer
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import NAMESPACE

RETRY_S: Final = "2"


class Writes(Protocol):
    """What is needed of `producers.commands.Writer`."""

    async def command(  # noqa: D102 - see Writer
        self,
        command: str,
        key: str,
        record: Mapping[str, Any],
        *,
        command_id: str | None = None,
        fingerprint: str = "",
        await_model: str | None = None,
    ) -> CommandAnswer: ...

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Asked:
    """A command, the read model whose answer is waited for, and which refusal is which status."""

    command: str
    key: str
    record: Mapping[str, Any]
    model: str
    refusals: Mapping[str, int]


def id_of(request: Request, by: Any) -> str | None:
    """The id that a caller's `Idempotency-Key` stands for on this path; None without the header."""
    key = request.headers.get("idempotency-key", "").strip()
    return str(uuid.uuid5(NAMESPACE, f"{by}\n{request.method} {request.url.path}\n{key}")) if key else None


async def decided(request: Request, writer: Writes, asked: Asked, meant: Any) -> CommandAnswer:
    """Send a command and give its answer, accepted. `meant` is what the caller asked, JSON without secrets.

    A request with `Idempotency-Key` is the same command however often it comes; another one under its key is 409.

    Raises:
        HTTPException: the refusal's status, or 503 when nothing was decided (yet).
    """
    command_id = id_of(request, asked.record.get("by")) or str(uuid.uuid4())
    fingerprint = sha256(json.dumps(meant, sort_keys=True, default=str).encode()).hexdigest()
    try:
        answer = await writer.command(
            asked.command, asked.key, asked.record,
            command_id=command_id, fingerprint=fingerprint, await_model=asked.model,
        )  # fmt: skip
    except (TransientFailure, Overloaded) as failure:
        raise HTTPException(503, str(failure), {"Retry-After": RETRY_S}) from failure
    except InvalidEvent as failure:
        raise HTTPException(413, str(failure)) from failure
    if not answer.accepted:
        status = 409 if answer.refusal == "conflict" else asked.refusals.get(answer.refusal or "", 422)
        raise HTTPException(status, answer.detail)
    return answer
