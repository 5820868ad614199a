"""Bodies within limits: size, unpacked size, how many at once; what was counted in is counted out."""

import asyncio
import gzip
import threading
import zlib
from collections.abc import Iterable
from typing import Any

import pytest

from producers.answers import Headers, Refused
from producers.bodies import ClientGone, Limits, Traffic, is_json, prefers_async, read_body


class Client:
    """Sends a body in chunks; hangs for ever after the last one when it is not `whole`."""

    def __init__(self, chunks: Iterable[bytes], whole: bool = True) -> None:
        self.chunks = list(chunks)
        self.whole = whole

    async def receive(self) -> dict[str, Any]:
        if not self.chunks:
            return {"type": "http.disconnect"}
        chunk = self.chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks) or not self.whole}


async def read(client: Client, headers: Headers | None = None, limits: Limits | None = None) -> bytes:
    traffic = Traffic(limits or Limits(body_bytes=1000))
    try:
        with traffic.enter("c") as passage:
            return await read_body(client.receive, headers or {}, passage)
    finally:
        assert (traffic.posts, traffic.bytes) == (0, 0)


async def status(client: Client, headers: Headers | None = None, limits: Limits | None = None) -> int:
    with pytest.raises(Refused) as caught:
        await read(client, headers, limits)
    return caught.value.answer.status


async def test_chunks_become_one_body():
    assert await read(Client([b"a", b"", b"bc"])) == b"abc"


async def test_a_body_too_large_is_refused_before_and_while_it_comes():
    assert await status(Client([b""]), {b"content-length": b"1001"}) == 413
    assert await status(Client([b"x" * 600, b"x" * 600])) == 413


@pytest.mark.parametrize("encoding", [b"gzip", b"GZIP", b"x-gzip", b"deflate"])
async def test_packed_bodies_are_unpacked(encoding: bytes):
    packed = zlib.compress(b"{}") if encoding == b"deflate" else gzip.compress(b"{}")
    assert await read(Client([packed]), {b"content-encoding": encoding}) == b"{}"


async def test_identity_is_no_packing():
    assert await read(Client([b"{}"]), {b"content-encoding": b"identity"}) == b"{}"


async def test_a_bomb_is_refused():
    bomb = gzip.compress(bytes(100_000))
    assert len(bomb) < 1000
    assert await status(Client([bomb]), {b"content-encoding": b"gzip"}) == 413


@pytest.mark.parametrize("packed", [b"{}", gzip.compress(b"{}")[:-5], b""], ids=["plain", "cut", "empty"])
async def test_broken_gzip_is_refused(packed: bytes):
    assert await status(Client([packed]), {b"content-encoding": b"gzip"}) == 400


async def test_a_long_body_is_unpacked_beside_the_event_loop_a_few_at_once(monkeypatch: pytest.MonkeyPatch):
    loop, seen, under_way, most = threading.get_ident(), list[bool](), 0, 0
    decompressobj, both_in = zlib.decompressobj, threading.Barrier(2)

    class Unpacker:
        def __init__(self, bits: int) -> None:
            self.inner = decompressobj(bits)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def decompress(self, data: bytes, room: int) -> bytes:
            nonlocal under_way, most
            if threading.get_ident() == loop:
                assert room <= 1 << 16
                return self.inner.decompress(data, room)
            under_way += 1
            most = max(most, under_way)
            both_in.wait(10)
            under_way -= 1
            seen.append(True)
            return self.inner.decompress(data, room)

    monkeypatch.setattr("producers.bodies.zlib.decompressobj", Unpacker)
    text, traffic = b"0123456789" * 100_000, Traffic(Limits())

    async def read_packed() -> bytes:
        with traffic.enter("c") as passage:
            return await read_body(Client([gzip.compress(text)]).receive, {b"content-encoding": b"gzip"}, passage)

    assert await asyncio.gather(*[read_packed() for _ in range(4)]) == [text] * 4
    assert (len(seen), most, traffic.bytes) == (4, 2, 0)


async def test_what_was_unpacked_counts_among_the_bytes_under_way():
    traffic = Traffic(Limits(body_bytes=1000, bytes_under_way=2500))
    packed = gzip.compress(bytes(1000))
    headers = {b"content-encoding": b"gzip"}
    with traffic.enter("a") as first, traffic.enter("b") as second, traffic.enter("c") as third:
        assert len(await read_body(Client([packed]).receive, headers, first)) == 1000
        assert (first.size, traffic.bytes) == (1000, 1000)
        await read_body(Client([packed]).receive, headers, second)
        assert third.room == 500
        with pytest.raises(Refused) as caught:
            await read_body(Client([packed]).receive, headers, third)
        assert caught.value.answer.status == 503
        assert (b"retry-after", b"1") in caught.value.answer.headers
        assert third.size == 501, "no more is unpacked than shows that it is too much"
    assert traffic.bytes == 0


async def test_what_shrinks_when_unpacked_counts_less():
    traffic = Traffic(Limits())
    with traffic.enter("a") as passage:
        await read_body(Client([gzip.compress(b"{}")]).receive, {b"content-encoding": b"gzip"}, passage)
        assert (passage.size, traffic.bytes) == (2, 2)


async def test_other_encodings_are_refused():
    assert await status(Client([b"{}"]), {b"content-encoding": b"br"}) == 415


async def test_a_client_that_goes_is_not_answered():
    with pytest.raises(ClientGone):
        await read(Client([b"a"], whole=False))


def test_more_posts_than_allowed_are_refused_at_once():
    traffic = Traffic(Limits(posts=2, posts_per_client=1))
    with traffic.enter("a"):
        with pytest.raises(Refused) as caught:
            traffic.enter("a")
        assert caught.value.answer.status == 429
        assert (b"retry-after", b"1") in caught.value.answer.headers
        with traffic.enter("b"), pytest.raises(Refused) as caught:
            traffic.enter("c")
        assert caught.value.answer.status == 503
        assert (b"retry-after", b"1") in caught.value.answer.headers
    with traffic.enter("a"):
        assert traffic.posts == 1


def test_more_bytes_than_allowed_are_refused():
    traffic = Traffic(Limits(bytes_under_way=10))
    with traffic.enter("a") as first, traffic.enter("b") as second:
        first.grow(8)
        with pytest.raises(Refused) as caught:
            second.grow(8)
        assert caught.value.answer.status == 503
    assert traffic.bytes == 0


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"application/vnd.sensor+json", True),
        (b"text/plain", False),
        (b"", False),
        (b"application/x-www-form-urlencoded", False),
    ],
)
def test_json_is_told_by_its_content_type(kind: bytes, fits: bool):
    assert is_json({b"content-type": kind}) is fits


@pytest.mark.parametrize(
    ("prefer", "fits"),
    [(b"respond-async", True), (b"wait=5, Respond-Async; x=1", True), (b"return=minimal", False), (b"", False)],
)
def test_the_preference_is_found_among_others(prefer: bytes, fits: bool):
    assert prefers_async({b"prefer": prefer}) is fits
