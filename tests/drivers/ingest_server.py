"""A small real HTTP server that answers like the ingest and totals servers, or misbehaves as it is told."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Key = tuple[str, str, int, int, int]
KEEP, DROP, SLOW, REFUSE, BUSY, ERROR = "keep", "drop after storing", "too slow", "refuse", "busy", "error"


@dataclass
class Ingest:
    """What arrived. `behave` names the behaviour for the n-th post (from 0) and its body."""

    behave: Callable[[int, dict[str, Any]], str] = lambda _n, _body: KEEP
    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    seen: Counter[Key] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, body: dict[str, Any]) -> int:
        """Insert by the contract's unique key; the number really inserted."""
        inserted = 0
        for record in body["records"]:
            moment = datetime.fromisoformat(record["absolute_time"])
            t_ms = round(moment.timestamp() * 1000)
            key = (body["device_id"], body["session_id"], record["session_person_id"], record["track_id"], t_ms)
            self.seen[key] += 1
            if key not in self.rows:
                self.rows[key] = record
                inserted += 1
            elif self.rows[key] != record:
                self.conflicts.append((self.rows[key], record))
        return inserted

    def sessions(self) -> dict[str, list[tuple[Key, dict[str, Any]]]]:
        """Rows by session, in the order of their keys."""
        found: dict[str, list[tuple[Key, dict[str, Any]]]] = {}
        for key, record in sorted(self.rows.items(), key=lambda item: item[0]):
            found.setdefault(key[1], []).append((key, record))
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ingest: Ingest
    released: threading.Event

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        body = json.loads(raw)
        kind = {"/api/v1/logs/bulk": "bodies", "/api/emotions/batch": "batches", "/api/stream/frame": "frames"}[
            self.path
        ]
        with self.ingest.lock:
            list_ = getattr(self.ingest, kind)
            list_.append(body)
            behaviour = self.ingest.behave(len(list_) - 1, body)
            answer: dict[str, Any] = {"status": "ok"}
            if kind == "bodies" and behaviour in (KEEP, DROP, SLOW):
                answer = {"ok": True, "inserted": self.ingest.store(body)}
        self._answer(behaviour, answer)

    def _answer(self, behaviour: str, answer: dict[str, Any]) -> None:
        if behaviour == SLOW:
            self.released.wait(60)
        if behaviour in (DROP, SLOW):
            self.close_connection = True
            return
        status = {KEEP: 200, REFUSE: 422, BUSY: 503, ERROR: 500}[behaviour]
        content = json.dumps(answer if status == 200 else {"detail": behaviour}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if behaviour == BUSY:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed client is no news here."""


@contextmanager
def ingest_server(ingest: Ingest | None = None, port: int = 0) -> Generator[Ingest]:
    """The server on a free port of the loopback, until the block ends."""
    ingest = ingest or Ingest()
    released = threading.Event()
    handler = type("Handler", (_Handler,), {"ingest": ingest, "released": released})
    server = _Server(("127.0.0.1", port), handler)
    ingest.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield ingest
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()
