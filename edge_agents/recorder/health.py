"""`GET /health` on the loopback, with exactly the keys its readers know."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from edge_agents.recorder.errors import RecorderError

Health = Callable[[], Mapping[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    server_version = "recorder-agent"
    sys_version = ""
    timeout: ClassVar[float] = 10.0  # pyright: ignore[reportIncompatibleVariableOverride]
    health: Health

    def do_GET(self) -> None:
        """The only method."""
        if self.path.partition("?")[0] != "/health":
            self._answer(404, {"detail": "Not Found"})
            return
        self._answer(200, self.health())

    def _refuse(self) -> None:
        self._answer(405, {"detail": "Method Not Allowed"})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

    def _answer(self, status: int, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 405:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody wants a line for every look."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hung up is no news."""


class HealthServer:
    """Serves in a thread of its own. `port` is the one really taken (0 asks for any)."""

    def __init__(self, port: int, health: Health) -> None:
        """Raises RecorderError when the port is taken."""
        handler = type("Handler", (_Handler,), {"health": staticmethod(health)})
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except OSError as error:
            text = f"health_port {port} cannot be listened on: {error.strerror}. Is another recorder running?"
            raise RecorderError(text) from None
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
