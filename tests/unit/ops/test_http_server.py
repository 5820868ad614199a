"""Requests that trickle or never end are closed; whole ones are served."""

import asyncio
import contextlib

import pytest
import uvicorn

from ops import http_server
from ops.errors import OperatorError
from ops.http_server import BoundedProtocol


async def echo_length(scope, receive, send):
    if scope["type"] != "http":
        return
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Hasty(BoundedProtocol):
    head_deadline_s = 0.3
    request_deadline_s = 0.3


@contextlib.asynccontextmanager
async def serving(protocol=Hasty):
    listener = http_server.listen("127.0.0.1", 0)
    server = http_server.server(echo_length, http=protocol, lifespan="off", loop="none")
    assert isinstance(server, uvicorn.Server)
    task = asyncio.create_task(server._serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listener.close()


async def talk(port, *pieces, read_until_closed=True):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read() if read_until_closed else reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    return answer


async def test_a_whole_request_is_served():
    async with serving() as port:
        answer = await talk(port, b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"3")


async def test_requests_on_a_kept_connection_are_served_after_the_first_deadline():
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(request)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(1) == b"2"
        writer.close()


@pytest.mark.parametrize("beginning", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX-A: b"])
async def test_a_head_that_does_not_come_is_closed(beginning):
    async with serving() as port:
        assert (await talk(port, beginning)).startswith(b"HTTP/1.1 408")


async def test_a_second_head_that_does_not_come_is_closed():
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
    async with serving() as port:
        assert b"HTTP/1.1 408" in await talk(port, whole + b"POST / HTTP/1.1\r\nHo")


async def test_a_body_that_does_not_come_is_closed():
    async with serving() as port:
        assert await talk(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab") == b""


async def test_an_endless_head_is_refused():
    async with serving(BoundedProtocol) as port:
        lines = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(100))
        answer = await talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n", lines[:60_000], lines[60_000:])
        assert answer.startswith(b"HTTP/1.1 431")


def test_a_taken_port_is_one_sentence():
    first = http_server.listen("127.0.0.1", 0)
    with pytest.raises(OperatorError, match="SENSORIUM_PORT"):
        http_server.listen("127.0.0.1", first.getsockname()[1])
    first.close()
