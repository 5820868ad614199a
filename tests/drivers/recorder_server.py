"""A small HTTP server that takes chunks as the gateway does, or the original one, or misbehaves as it is told."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What to say. `cut`: after so many bytes of the body the connection breaks; `unsaid`: store, but do not answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    unsaid: bool = False


@dataclass
class Chunk:
    """A chunk as it arrived."""

    fields: dict[str, str]
    names: list[str]
    content: bytes
    filename: str
    headers: dict[str, str]


@dataclass
class Gateway:
    """What arrived. `behave(n, path)` is the answer to the n-th request (from 0) that carries something."""

    behave: Callable[[int, str], Answer] = lambda _n, _path: Answer()
    tus: bool = True
    original: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    stored: dict[str, Chunk] = field(default_factory=dict)
    silences: list[dict[str, Any]] = field(default_factory=list)
    drops: list[dict[str, Any]] = field(default_factory=list)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    connections: int = 0
    date: Callable[[], float] = time.time
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, chunk: Chunk) -> dict[str, Any]:
        """Store once by identity; the answer."""
        fields = chunk.fields
        name = f"{fields.get('boot_id')}/{fields.get('sequence')}"
        if "boot_id" not in fields or self.original:
            name = f"{fields['start_ts']}/{hashlib.sha256(chunk.content).hexdigest()}"
        self.stored.setdefault(name, chunk)
        chunk_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        return {"status": "ok", "chunk_id": chunk_id, "stored_path": f"audio/{chunk_id}.ogg", "queued": True}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway
    wbufsize = 0

    def setup(self) -> None:
        super().setup()
        self.gateway.connections += 1

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.gateway.date(), usegmt=True)

    def do_OPTIONS(self) -> None:
        if self.gateway.tus and not self.gateway.original:
            self._say(204, None, {"tus-version": "1.0.0"})
        else:
            self._say(405, {"detail": "Method Not Allowed"})

    def do_HEAD(self) -> None:
        upload = self.gateway.uploads.get(self.path.rpartition("/")[2])
        if upload is None:
            self._say(404, None)
            return
        headers = {"upload-offset": str(len(upload["content"])), "upload-length": str(upload["length"])}
        if "chunk_id" in upload:
            headers["chunk-id"] = upload["chunk_id"]
        self._say(200, None, headers)

    def do_DELETE(self) -> None:
        self.gateway.uploads.pop(self.path.rpartition("/")[2], None)
        self._say(204, None)

    def do_PATCH(self) -> None:
        answer = self._decide()
        upload = self.gateway.uploads.get(self.path.rpartition("/")[2])
        length = int(self.headers["content-length"])
        data = self.rfile.read(min(length, length if answer.cut is None else answer.cut))
        if upload is None:
            self._say(404, {"detail": "no such upload"})
            return
        if int(self.headers["upload-offset"]) != len(upload["content"]):
            self._say(409, None, {"upload-offset": str(len(upload["content"]))})
            return
        upload["content"] += data
        if answer.cut is not None or answer.status != 200:
            self._misbehave(answer)
            return
        headers = {"upload-offset": str(len(upload["content"]))}
        if len(upload["content"]) == upload["length"]:
            chunk = Chunk(upload["fields"], list(upload["fields"]), upload["content"], "", {})
            upload["chunk_id"] = headers["chunk-id"] = self.gateway.keep(chunk)["chunk_id"]
        if answer.unsaid:
            self._hang_up()
        else:
            self._say(204, None, headers)

    def do_POST(self) -> None:
        answer = self._decide()
        length = int(self.headers.get("content-length", 0))
        if answer.cut is not None:
            self.rfile.read(min(length, answer.cut))
            self._hang_up()
            return
        body = self.rfile.read(length)
        if answer.status != 200 or answer.body is not None:
            self._misbehave(answer)
            return
        said = self._taken(body)
        if answer.unsaid:
            self._hang_up()
        elif said is None:
            self._say(404, {"detail": "Not Found"})
        else:
            self._say(*said)

    def _decide(self) -> Answer:
        with self.gateway.lock:
            number = len(self.gateway.requests)
            answer = self.gateway.behave(number, self.path)
            self.gateway.requests.append((self.command, self.path, answer.status))
        return answer

    def _taken(self, body: bytes) -> tuple[int, Any, dict[str, str]] | None:
        gateway = self.gateway
        with gateway.lock:
            if self.path == "/api/v1/chunks":
                chunk = _parsed(self.headers, body)
                gateway.chunks.append(chunk)
                return 200, gateway.keep(chunk), {}
            if gateway.original:
                return None
            if self.path == "/api/v1/silences":
                gateway.silences.append(json.loads(body))
                return 200, {"status": "ok"}, {}
            if self.path == "/api/v1/recorders/drops":
                gateway.drops.append(json.loads(body))
                return 200, {"status": "ok"}, {}
            if self.path == "/api/v1/uploads":
                name = uuid.uuid4().hex
                pairs = (pair.split(" ") for pair in self.headers["upload-metadata"].split(","))
                fields = {key: base64.b64decode(value).decode() for key, value in pairs}
                length = int(self.headers["upload-length"])
                gateway.uploads[name] = {"fields": fields, "length": length, "content": b""}
                return 201, None, {"location": f"/api/v1/uploads/{name}"}
        return None

    def _misbehave(self, answer: Answer) -> None:
        if answer.cut is not None:
            self._hang_up()
            return
        self._say(answer.status, {"detail": "as told"} if answer.body is None else answer.body, dict(answer.headers))

    def _hang_up(self) -> None:
        self.close_connection = True

    def _say(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


def _parsed(headers: Any, body: bytes) -> Chunk:
    head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    fields: dict[str, str] = {}
    names: list[str] = []
    content, filename = b"", ""
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        names.append(name)
        payload = part.get_payload(decode=True)
        if part.get_filename():
            content, filename = payload, str(part.get_filename())
        else:
            fields[name] = payload.decode()
    return Chunk(fields, names, content, filename, dict(headers))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed client is no news here."""


@contextmanager
def recorder_server(gateway: Gateway | None = None, port: int = 0) -> Generator[Gateway]:
    """The server on a free port of the loopback, until the block ends."""
    gateway = gateway or Gateway()
    handler = type("Handler", (_Handler,), {"gateway": gateway})
    server = _Server(("127.0.0.1", port), handler)
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
