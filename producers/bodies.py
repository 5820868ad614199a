"""Read request bodies within limits: size, unpacked size, how much is under way at once."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol

from producers.answers import Headers, Receive, Refused, problem, unavailable

_GZIP_OR_ZLIB = 47  # zlib's window bits for "either header"
_UNPACKED_HERE: Final = 1 << 16  # bytes; what is longer is unpacked beside the event loop
_UNPACKERS: Final = 2  # bodies so unpacked at once


class Unpacker(Protocol):
    """What is used of `zlib.decompressobj()`, whose type has no public name."""

    @property
    def eof(self) -> bool: ...  # noqa: D102 - see zlib
    @property
    def unconsumed_tail(self) -> bytes: ...  # noqa: D102 - see zlib
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...  # noqa: D102 - see zlib


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes are per body (as sent and unpacked), posts and bytes under way per process; the server bounds the time."""

    body_bytes: int = 16 << 20
    records: int = 10_000
    people: int = 10_000
    posts: int = 2_048
    posts_per_client: int = 1_024
    bytes_under_way: int = 128 << 20


class ClientGone(Exception):
    """The client closed the connection before its body was whole."""


class Traffic:
    """What is under way in this process; `enter` refuses beyond the limits instead of queueing."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.posts = 0
        self.bytes = 0
        self.unpackers = asyncio.Semaphore(_UNPACKERS)
        self._clients: dict[str, int] = {}

    def enter(self, client: str) -> Passage:
        """Count one post in; closing the passage counts it out. Raises `Refused`: 503 (all clients), 429 (this one)."""
        if self.posts >= self.limits.posts:
            raise unavailable("Too many posts are under way", 1)
        same_client = self._clients.get(client, 0)
        if same_client >= self.limits.posts_per_client:
            raise problem(429, "Too many posts of this client are under way", 1)
        self.posts += 1
        self._clients[client] = same_client + 1
        return Passage(self, client)

    def leave(self, client: str, size: int) -> None:
        """Count one post and its bytes out."""
        self.posts -= 1
        self.bytes -= size
        remaining = self._clients[client] - 1
        if remaining:
            self._clients[client] = remaining
        else:
            del self._clients[client]


class Passage:
    """One post under way; a context manager that gives back what it counted."""

    __slots__ = ("client", "size", "traffic")

    def __init__(self, traffic: Traffic, client: str) -> None:
        self.traffic = traffic
        self.client = client
        self.size = 0

    def __enter__(self) -> Passage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.traffic.leave(self.client, self.size)

    @property
    def room(self) -> int:
        """How many bytes this post's body may have in all, what is counted already included."""
        limits = self.traffic.limits
        return max(0, min(limits.body_bytes, limits.bytes_under_way - self.traffic.bytes + self.size))

    def grow(self, size: int) -> None:
        """Count bytes of this post's body, or less than none. Raises `Refused`: 413 (this post), 503 (all together)."""
        self.size += size
        self.traffic.bytes += size
        if self.size > self.traffic.limits.body_bytes:
            raise too_large(self.traffic.limits)
        if self.traffic.bytes > self.traffic.limits.bytes_under_way:
            raise unavailable("Too many bytes are under way", 1)


async def read_body(receive: Receive, headers: Headers, passage: Passage) -> bytes:
    """The whole body, unpacked.

    Raises:
        Refused: 413, 415, 503 or, for broken gzip, 400. ClientGone: nobody is left to answer.
    """
    limits = passage.traffic.limits
    if int(headers.get(b"content-length") or 0) > limits.body_bytes:
        raise too_large(limits)
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        passage.grow(len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    body = chunk if len(chunks) == 1 else b"".join(chunks)
    encoding = headers.get(b"content-encoding")
    return body if encoding is None else await _unpack(body, encoding.strip().lower(), passage)


def is_json(headers: Headers) -> bool:
    """Whether the content type is application/json or application/...+json, as FastAPI reads it."""
    kind = headers.get(b"content-type", b"")
    if kind == b"application/json":
        return True
    main = kind.partition(b";")[0].strip().lower()
    return main == b"application/json" or (main.startswith(b"application/") and main.endswith(b"+json"))


def prefers_async(headers: Headers) -> bool:
    """Whether `Prefer: respond-async` was sent (RFC 7240), among other preferences or alone."""
    prefer = headers.get(b"prefer")
    if prefer is None:
        return False
    if prefer == b"respond-async":
        return True
    return any(token.partition(b";")[0].strip().lower() == b"respond-async" for token in prefer.split(b","))


def too_large(limits: Limits) -> Refused:
    """413 for a body beyond the limit."""
    return problem(413, f"The body is larger than {limits.body_bytes} bytes")


async def _unpack(body: bytes, encoding: bytes, passage: Passage) -> bytes:
    """What was packed, which from now on counts instead of what came; no more is unpacked than there is room for."""
    if encoding in {b"", b"identity"}:
        return body
    if encoding not in {b"gzip", b"x-gzip", b"deflate"}:
        raise problem(415, "Content-Encoding may be gzip, deflate or identity")
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        unpacked = await _unpack_all(unpacker, body, passage)
    except zlib.error as error:
        raise problem(400, f"The body is not {encoding.decode()}") from error
    passage.grow(len(unpacked) - len(body))
    if not unpacker.eof:
        raise problem(400, f"The body's {encoding.decode()} is cut off")
    return unpacked


async def _unpack_all(unpacker: Unpacker, body: bytes, passage: Passage) -> bytes:
    """The beginning here, the rest in a thread, a few bodies at once: 16 MiB would stop everybody else for 20 ms."""
    most = min(passage.room + 1, _UNPACKED_HERE)
    begin = unpacker.decompress(body, most)
    if unpacker.eof or len(begin) < most:
        return begin
    async with passage.traffic.unpackers:
        room = passage.room + 1 - len(begin)
        if room <= 0:
            return begin
        return begin + await asyncio.to_thread(unpacker.decompress, unpacker.unconsumed_tail, room)
