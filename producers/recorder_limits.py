"""Limits of what recorders send: sizes, seconds, how much at once; bodies read within them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from producers.answers import Headers, Receive, Refused, problem, refusal, unavailable
from producers.bodies import ClientGone


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """Bytes of a file and of a report, seconds for a request in all and without a byte, how many at once.

    `remembered` chunks are known by heart, so that repeats append nothing; `min_free_bytes` stay free on the disk;
    a resumable upload is kept for `resumable_s`, sound for `keep_days` (None: for ever).
    """

    audio_folder: Path
    max_upload_bytes: int = 10_485_760
    upload_s: float = 110.0
    quiet_s: float = 30.0
    uploads: int = 64
    uploads_per_device: int = 8
    resumable_per_device: int = 8
    resumable_s: float = 86_400.0
    min_free_bytes: int = 64 << 20
    remembered: int = 65_536
    report_bytes: int = 64 << 10
    keep_days: float | None = None


class Room:
    """How many uploads are under way, in all and for each token."""

    def __init__(self, most: int, most_per_device: int) -> None:
        self.most, self.most_per_device = most, most_per_device
        self.taken = 0
        self._tokens: Counter[str] = Counter()

    @contextmanager
    def enter(self, token_sha256: str) -> Generator[None]:
        """One upload more. Raises `Refused`: 503 (all devices), 429 (this one)."""
        if self.taken >= self.most:
            raise unavailable("Too many uploads are under way")
        if self._tokens[token_sha256] >= self.most_per_device:
            raise problem(429, "Too many uploads of this device are under way", 1)
        self.taken += 1
        self._tokens[token_sha256] += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._tokens[token_sha256] -= 1
            if not self._tokens[token_sha256]:
                del self._tokens[token_sha256]


async def arriving(receive: Receive, options: RecorderOptions) -> AsyncGenerator[bytes]:
    """The pieces of a body as they come.

    Raises:
        Refused: 408, too slow. ClientGone: cut off before its end.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + options.upload_s
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, clock() + options.quiet_s)):
                message = await receive()
        except TimeoutError as error:
            raise _too_slow(options, whole=clock() >= deadline) from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def read_small(receive: Receive, request: Headers, options: RecorderOptions) -> bytes:
    """A whole body of at most `report_bytes`. Raises `Refused` (408, 413), `ClientGone`."""
    body = bytearray()
    async for data in arriving(receive, options):
        body += data
        if len(body) > options.report_bytes:
            raise refusal(413, f"The body is larger than {options.report_bytes} bytes")
    return bytes(body)


def _too_slow(options: RecorderOptions, *, whole: bool) -> Refused:
    took, quiet = options.upload_s, options.quiet_s
    found = f"The upload took longer than {took:g} s" if whole else f"Nothing came for {quiet:g} s"
    refused = refusal(408, found)
    refused.answer.headers = [*refused.answer.headers, (b"connection", b"close")]
    return refused
