"""The ASGI app that asr workers elsewhere speak to: token, bodies within limits, one handler a route.

It listens in the process `asr`; the front door passes requests on to it (`producers.forwarding`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec

from producers.answers import (
    Answer,
    AsgiApp,
    Headers,
    Receive,
    Refused,
    Scope,
    Send,
    answer_json,
    refusal,
    send_answer,
    unavailable,
)
from producers.bodies import ClientGone, Limits, Traffic, read_body
from streams.workers.remote_work import NotKept, NotYours, RemoteWorkers
from streams.workers.remote_work_protocol import (
    LEASES,
    LONGEST_POLL_S,
    ROOT,
    Failure,
    Heartbeat,
    Lease,
    LeaseRequest,
    Result,
)

T = TypeVar("T")
BODY_BYTES: Final = 8 << 20  # an hour's words with their times have about one
POSTS: Final = 256
Handler = Callable[[str, bytes, Receive], Awaitable[Answer]]


def app(workers: RemoteWorkers, internal_token: str) -> AsgiApp:
    """The app over `workers`; without a token it is closed."""
    return _App(workers, internal_token)


def refuse_stranger(internal_token: str, headers: Headers) -> None:
    """Let in who carries INTERNAL_TOKEN, in constant time. Raises `Refused` with 401."""
    if not internal_token:
        raise _unauthorized("Internal endpoint not configured")
    given = headers.get(b"authorization")
    if given is None:
        raise _unauthorized("Missing Authorization header")
    if not given.startswith(b"Bearer "):
        raise _unauthorized("Invalid authorization scheme")
    digests = sha256(given[7:]).digest(), sha256(internal_token.encode()).digest()
    if not hmac.compare_digest(*digests):
        raise _unauthorized("Invalid internal token")


def _unauthorized(detail: str) -> Refused:
    refused = refusal(401, detail)
    refused.answer.headers = [*refused.answer.headers, (b"www-authenticate", b"Bearer")]
    return refused


class _App:
    def __init__(self, workers: RemoteWorkers, internal_token: str) -> None:
        self._workers, self._token = workers, internal_token
        self._traffic = Traffic(Limits(body_bytes=BODY_BYTES, posts=POSTS, bytes_under_way=8 * BODY_BYTES))
        self._actions: dict[str, Handler] = {
            "heartbeat": self._heartbeat,
            "result": self._result,
            "failure": self._failure,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except Refused as refused:
            answer = refused.answer
        except ClientGone:
            return
        await send_answer(send, answer, [])

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = dict(scope["headers"])
        refuse_stranger(self._token, headers)
        path, method = scope["path"], scope["method"]
        if path == ROOT:
            _require(method, "GET")
            return answer_json(200, self._workers.status())
        handler, lease_id = self._route(path)
        _require(method, "POST")
        with self._traffic.enter("asr") as passage:
            body = await read_body(receive, headers, passage)
        return await handler(lease_id, body, receive)

    def _route(self, path: str) -> tuple[Handler, str]:
        if path == LEASES:
            return self._lease, ""
        lease_id, _, action = path.removeprefix(f"{LEASES}/").partition("/")
        if not path.startswith(f"{LEASES}/") or action not in self._actions or not lease_id:
            raise refusal(404, "Not Found")
        return self._actions[action], lease_id

    async def _lease(self, _: str, body: bytes, receive: Receive) -> Answer:
        wanted = _decoded(body, LeaseRequest)
        if not 0 < len(wanted.worker) <= 128 or not wanted.models or not 0 <= wanted.wait_s <= LONGEST_POLL_S:
            raise refusal(422, f"worker (1..128 characters), models and wait_s (0..{LONGEST_POLL_S:g}) are needed")
        lease = await self._unless_gone(wanted, receive)
        return Answer(204, b"", []) if lease is None else answer_json(200, lease)

    async def _unless_gone(self, wanted: LeaseRequest, receive: Receive) -> Lease | None:
        """Wait for a task; a worker that goes away while it waits gets none, nor does anybody lose one by it."""
        leasing = asyncio.create_task(self._workers.lease(wanted))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((leasing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not leaving.done():
                return leasing.result()
            leasing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                if lease := await leasing:
                    self._workers.failure(lease.lease_id, Failure(kind="given_back"))
            raise ClientGone
        finally:
            leaving.cancel()
            leasing.cancel()

    async def _heartbeat(self, lease_id: str, body: bytes, _: Receive) -> Answer:
        _decoded(body or b"{}", Heartbeat)
        with _conflict():
            self._workers.heartbeat(lease_id)
        return answer_json(200, {"status": "ok"})

    async def _result(self, lease_id: str, body: bytes, _: Receive) -> Answer:
        result = _decoded(body, Result)
        with _conflict():
            await self._workers.result(lease_id, result)
        return answer_json(200, {"status": "ok"})

    async def _failure(self, lease_id: str, body: bytes, _: Receive) -> Answer:
        failure = _decoded(body, Failure)
        with _conflict():
            self._workers.failure(lease_id, failure)
        return answer_json(200, {"status": "ok"})


class _conflict(contextlib.AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    """Turns what the workers' book refuses into answers."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        if isinstance(error, NotYours):
            raise refusal(409, "The lease is over: the task went to another worker or is finished") from error
        if isinstance(error, NotKept):
            raise unavailable(f"The result cannot be kept now: {error}") from error


def _require(method: str, allowed: str) -> None:
    if method != allowed:
        raise refusal(405, "Method Not Allowed")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise refusal(422, str(error)) from error
    except UnicodeDecodeError as error:
        raise refusal(422, "The body is not UTF-8") from error


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
