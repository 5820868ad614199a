"""Runs an ASGI app under uvicorn with what uvicorn lacks: limits on slow and oversized request heads and bodies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ops.errors import OperatorError

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_DEADLINE_S: Final = 10.0
REQUEST_DEADLINE_S: Final = 120.0
MAX_CONNECTIONS: Final = 2000


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol, which closes a request that trickles in (slowloris) or has an endless head.

    A request that arrives in one piece arms no timer, so the hot path pays two attribute writes.
    """

    head_deadline_s = HEAD_DEADLINE_S
    request_deadline_s = REQUEST_DEADLINE_S

    _arriving = False
    _in_head = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a new connection the head's deadline to say anything at all."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_deadline_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with its connection."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then bound what has not arrived whole."""
        super().data_received(data)
        if not self._arriving:
            self._disarm()
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", "The request's headers are too large.")
                return
        if self._deadline is None:
            patience = self.head_deadline_s if self._in_head else self.request_deadline_s
            self._deadline = self.loop.call_later(patience, self._give_up)

    def on_message_begin(self) -> None:
        """Note that a request has begun to arrive."""
        self._arriving = self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is there; the body has a deadline of its own."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._arriving = False
        super().on_message_complete()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._in_head:
            self._refuse(b"408 Request Timeout", "The request did not arrive in time.")
        else:
            # An answer may be under way: the connection is all that can be ended.
            self.transport.close()

    def _refuse(self, status: bytes, sentence: str) -> None:
        self._disarm()
        if not self.transport.is_closing():
            body = b'{"detail":"' + sentence.encode() + b'"}'
            head = b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, so that a taken port is one sentence rather than a traceback.

    Raises:
        OperatorError: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise OperatorError(
            f"Cannot listen on {host}:{port} ({error.strerror}). Set SENSORIUM_PORT (PORT, DASHBOARD_PORT) to a "
            "free port, or stop what uses this one."
        ) from error
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def server(app: Callable[..., Any], **overrides: Any) -> uvicorn.Server:
    """Make a uvicorn server with our limits; `overrides` are uvicorn.Config's."""
    options: dict[str, Any] = {
        "http": BoundedProtocol,
        "loop": "uvloop",
        "ws": "none",
        "access_log": False,
        "log_level": "warning",
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_keep_alive": 65,
        "timeout_graceful_shutdown": 5,
        "server_header": False,
        "proxy_headers": False,
    }
    return uvicorn.Server(uvicorn.Config(app, **(options | overrides)))
