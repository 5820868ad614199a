"""Pass requests on to a process that listens on a Unix socket or another address. Raw ASGI, streaming both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import httpx

from producers.answers import AsgiApp, Receive, Scope, Send, send_answer, unavailable
from producers.bodies import ClientGone

# RFC 9110, 7.6.1: between two hops only. The length is httpx' to say again where it is known.
_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host")
)
_OWN: Final = _HOP | {b"date", b"server"}
CONNECT_S: Final = 2.0


class Forwarder:
    """An ASGI app that answers what another process answers; 503 while that is away.

    `address`: `unix:/path/of/socket` or a base URL. `longest_s` bounds each wait for the other process: a long poll has
    to fit. A client that goes away ends its request there too.
    """

    def __init__(self, address: str, who: str, *, longest_s: float = 60.0, connections: int = 256) -> None:
        """`who` is named in the 503."""
        path = address.removeprefix("unix:")
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=20)
        transport = httpx.AsyncHTTPTransport(uds=path if path != address else None, limits=limits, trust_env=False)
        self._base = "http://localhost" if path != address else address.rstrip("/")
        self._who = who
        self._client = httpx.AsyncClient(
            transport=transport, timeout=httpx.Timeout(longest_s, connect=CONNECT_S), trust_env=False
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; pass over whatever is not HTTP."""
        if scope["type"] != "http":
            return
        body = _Body(receive, has_one=_has_body(scope))
        exchange = asyncio.create_task(self._exchange(scope, body, send))
        leaving = asyncio.create_task(body.until_gone())
        try:
            await asyncio.wait((exchange, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not leaving.done():
                await exchange
        finally:
            exchange.cancel()
            leaving.cancel()
            await asyncio.gather(exchange, leaving, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, scope: Scope, body: _Body, send: Send) -> None:
        begun = False
        try:
            async with self._client.stream(
                scope["method"],
                self._url(scope),
                headers=[one for one in scope["headers"] if one[0].lower() not in _HOP],
                content=body.parts() if body.has_one else None,
            ) as answer:
                begun = True
                headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _OWN]
                await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
                async for part in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except httpx.HTTPError as error:
            if begun:
                raise
            refused = unavailable(f"The {self._who} does not answer ({type(error).__name__}); try again")
            await send_answer(send, refused.answer, [])

    def _url(self, scope: Scope) -> httpx.URL:
        query: bytes = scope.get("query_string", b"")
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        return httpx.URL(self._base).copy_with(raw_path=path.partition(b"?")[0] + (b"?" + query if query else b""))


def forwarder(address: str, who: str) -> AsgiApp:
    """A forwarder with its defaults."""
    return Forwarder(address, who)


class _Body:
    """A request's body as it comes, and the moment when its client goes."""

    def __init__(self, receive: Receive, *, has_one: bool) -> None:
        self.has_one = has_one
        self._receive = receive
        self._whole, self._gone = asyncio.Event(), False
        if not has_one:
            self._whole.set()

    async def parts(self) -> AsyncGenerator[bytes]:
        """The body's parts. Raises ClientGone."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._gone = True
                self._whole.set()
                raise ClientGone
            more = message.get("more_body", False)
            if part := message.get("body", b""):
                yield part
        self._whole.set()

    async def until_gone(self) -> None:
        """Return when the client has gone: seen while its body comes, or after it."""
        await self._whole.wait()
        while not self._gone:
            self._gone = (await self._receive())["type"] == "http.disconnect"


def _has_body(scope: Scope) -> bool:
    names = {name.lower(): value for name, value in scope["headers"]}
    return b"transfer-encoding" in names or names.get(b"content-length", b"0") != b"0"
