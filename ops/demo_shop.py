"""The demo's shop counter: registers its recorder as an administrator would, once per home, and says how to run it."""

from __future__ import annotations

import http.client
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from ops.errors import OperatorError
from ops.settings import Settings, write_secret

NAME: Final = "shop-recorder"
POINT_NAME: Final = "Demo shop · Демо-магазин"
REGISTER_NAME: Final = "Counter 1 · Касса 1"
LONGEST_ANSWER: Final = 4 << 20
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Counter:
    """Where the demo's recorder stands, and its token."""

    point_id: str
    register_id: str
    device_id: str
    token: str

    @classmethod
    def of(cls, settings: Settings) -> Counter:
        """The counter of a home; its token is made on first use and kept (mode 0600)."""
        path = settings.home / NAME / "counter"
        if not path.is_file():
            write_secret(path, lambda: json.dumps([*(str(uuid.uuid4()) for _ in range(3)), secrets.token_hex(24)]))
        try:
            return cls(*json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise OperatorError(f"{path} cannot be read: delete it, and the demo's shop begins anew.") from error


def register(settings: Settings) -> Counter:
    """Register the recorder unless it is; give its counter a name. OperatorError says what the API answered."""
    counter = Counter.of(settings)
    device = {
        "point_id": counter.point_id,
        "register_id": counter.register_id,
        "device_id": counter.device_id,
        "token_plain": counter.token,
    }
    until = time.monotonic() + _PATIENCE_S
    status, said = ask(settings, "POST", "/api/v1/admin/devices", device)
    while status in (0, HTTPStatus.SERVICE_UNAVAILABLE) and time.monotonic() < until:
        time.sleep(0.5)
        status, said = ask(settings, "POST", "/api/v1/admin/devices", device)
    if status not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
        raise OperatorError(f"The demo's recorder could not be registered: {status} {said}")
    if status == HTTPStatus.CREATED:
        ask(settings, "PATCH", f"/api/v1/admin/points/{counter.point_id}", {"name": POINT_NAME})
        ask(settings, "PATCH", f"/api/v1/admin/registers/{counter.register_id}", {"name": REGISTER_NAME})
    return counter


def arguments(settings: Settings, audio: str | None) -> list[str]:
    """Flags of the recorder: the scripted dialogues, or somebody's own recording, as fast as the machine goes."""
    counter = register(settings)
    source = ["--file", audio] if audio else ["--demo"]
    place = {
        "--server": settings.base_url,
        "--point-id": counter.point_id,
        "--register-id": counter.register_id,
        "--device-id": counter.device_id,
        "--spool-dir": str(settings.home / NAME / "spool"),
    }
    return [*source, "--speed", "0", *(part for pair in place.items() for part in pair)]


def environment(settings: Settings) -> dict[str, str]:
    """The token goes by the environment: arguments can be read by everybody on the machine."""
    return {"RA_INGEST_TOKEN": Counter.of(settings).token}


def ask(settings: Settings, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Ask the front door as the administrator: status and text of its answer; 0 and why when nobody answers."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host  # noqa: S104 - compared
    connection = http.client.HTTPConnection(host, settings.port, timeout=_PATIENCE_S)
    headers = {"Authorization": f"Bearer {settings.admin_token}", "Content-Type": "application/json"}
    try:
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST_ANSWER).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
