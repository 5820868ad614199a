"""A server of OpenAI's chat interface on a thread: it answers as scripted by register and keeps what it is asked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.drivers.language_model import VERDICT, completion

Answer = Mapping[str, Any] | str | int
"""A verdict, any text, or an HTTP status."""
Key = tuple[str, float]
"""A dialogue as the server sees it: its register and its duration, of which no two are alike."""


@dataclass
class Asked:
    """One request: what was asked, whether the answer cost something and reached whoever asked."""

    key: Key
    messages: list[dict[str, str]]
    transcript: str
    is_billed: bool = False
    is_over: bool = False


Behaviour = Callable[[Asked, int], Answer]
"""The answer to a request, which is the n-th (from 0) of its dialogue. It may take its time."""


def honest(asked: Asked, _: int) -> Answer:
    """A verdict with a quote that is there."""
    return VERDICT | {"evidence_quotes": [" ".join(asked.transcript.split()[:4])]}


def first(*answers: Answer) -> Behaviour:
    """These answers one after the other, then honest ones."""
    return lambda asked, nth: answers[nth] if nth < len(answers) else honest(asked, nth)


@dataclass
class ModelServer:
    """What runs: `behaves` by register id, everybody else is answered honestly."""

    base_url: str = ""
    behaves: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, register_id: str) -> list[Asked]:
        """What was asked for one register, in order."""
        with self._lock:
            return [one for one in self.asked if one.key[0] == register_id]

    def billed(self) -> Counter[Key]:
        """Answers that cost something, by dialogue."""
        with self._lock:
            return Counter(one.key for one in self.asked if one.is_billed)

    def answers(self, body: Mapping[str, Any]) -> tuple[Asked, Answer]:
        """Remember a request and make its answer."""
        data = json.loads(body["messages"][-1]["content"])
        key = (data["register_id"], data["duration_s"])
        asked = Asked(key, body["messages"], data["transcript"])
        with self._lock:
            nth = sum(one.key == key for one in self.asked)
            self.asked.append(asked)
        return asked, self.behaves.get(key[0], honest)(asked, nth)


@contextmanager
def model_server() -> Generator[ModelServer]:
    """A server that runs meanwhile."""
    model = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked, answer = model.answers(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = answer if isinstance(answer, int) else 200
            text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
            said = {"error": {"message": f"status {answer}"}} if status != 200 else completion(text, (1000, 100))
            content = json.dumps(said).encode()
            asked.is_billed = status == 200
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()
            except OSError:
                return  # whoever asked is gone
            asked.is_over = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
