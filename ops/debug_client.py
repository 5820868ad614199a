"""HTTP to a running railway: retried until it is done, under keys that make every repeat the same request."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ops.errors import OperatorError

BASE: Final = "/base_api/v1"
STORE: Final = "/store_api/v1"
_PAGE: Final = 100
_LONGEST_WAIT_S: Final = 10.0
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


@dataclass(slots=True)
class Railway:
    """A railway's servers at `http`'s address. `token` is ADMIN_TOKEN, empty where the network alone is enough."""

    http: httpx.Client
    token: str
    seed: int
    patience_s: float = 60.0
    pause: Callable[[float], None] = field(default=time.sleep)

    def make(self, path: str, body: dict[str, Any], *, token: str | None = None) -> dict[str, Any] | None:
        """POST once, however often it is called; None when there is such a thing already. Raises OperatorError."""
        answer = self._ask("POST", path, body, token=token, key=self._key("POST", path, body))
        return None if answer.status_code == HTTPStatus.CONFLICT else self._done(answer)

    def put(self, path: str, body: dict[str, Any]) -> None:
        """PUT; the same as often as it is called."""
        self._done(self._ask("PUT", path, body))

    def get(self, path: str) -> dict[str, Any]:
        """GET one thing."""
        return self._done(self._ask("GET", path))

    def every(self, path: str) -> Iterator[dict[str, Any]]:
        """All things of a list that comes in pages."""
        page = 1
        while True:
            got = self.get(f"{path}?page={page}&size={_PAGE}")
            yield from got["items"]
            if page >= got["pages"]:
                return
            page += 1

    def sign_in_store(self, login: str, password: str, store_id: str) -> str:
        """Register a key for a store's terminal, and sign in with it; the token of its session.

        The key is dropped afterwards: a terminal that is to stay registers its own.
        """
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._done(self._register(login, password, store_id, private))
        asked = self._done(self._ask("POST", f"{BASE}/auth/store/login", {"id": store_id}, token=""))
        text = private.decrypt(base64.b64decode(asked["data"]), _OAEP).decode()
        answered = {"request_id": asked["request_id"], "data": text}
        return str(self._done(self._ask("POST", f"{BASE}/auth/store/login_code", answered, token=""))["token"])

    def check_password(self, login: str, password: str) -> None:
        """Raise OperatorError unless this is the engineer's: asked for a store that nobody has."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._register(login, password, str(uuid.uuid4()), private)

    def _register(self, login: str, password: str, store_id: str, private: rsa.RSAPrivateKey) -> httpx.Response:
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        told = {"login": login, "password": password, "public_key": public, "store_id": store_id}
        answer = self._ask("POST", f"{BASE}/auth/store/new_login", told, token="")
        if answer.status_code in (401, 403):
            raise OperatorError(
                f"The engineer {login} may not sign a store in ({_told(answer)}): another password was chosen for this"
                " login before. Say it with --password, or take another --seed."
            )
        return answer

    def _key(self, method: str, path: str, body: dict[str, Any]) -> str:
        """What the request is about, without secrets: another password is no other engineer."""
        told = {name: value for name, value in body.items() if name != "password"}
        return sha256(json.dumps([self.seed, method, path, told], sort_keys=True).encode()).hexdigest()[:32]

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str | None = None, key: str = ""
    ) -> httpx.Response:
        """Ask until there is an answer that is more than `not now`."""
        bearer = self.token if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        headers |= {"Idempotency-Key": key} if key else {}
        until, pause = time.monotonic() + self.patience_s, 0.2
        while True:
            try:
                answer = self.http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                if time.monotonic() > until or isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol):
                    raise OperatorError(self._silence(error)) from error
            else:
                if answer.status_code not in (429, 503) or time.monotonic() > until:
                    return answer
                pause = max(pause, _retry_after(answer))
            self.pause(min(pause, _LONGEST_WAIT_S))
            pause *= 2

    def _silence(self, error: Exception) -> str:
        return (
            f"Nothing answers at {self.http.base_url} ({error}): start it with `sensorium up`, or say where it is"
            " with --url."
        )

    def _done(self, answer: httpx.Response) -> dict[str, Any]:
        request = answer.request
        if answer.status_code in (401, 403):
            raise OperatorError(
                f"{request.url} lets nobody in without a right to it ({_told(answer)}): set ADMIN_TOKEN to the"
                " server's, or run this where the server runs."
            )
        if answer.status_code != HTTPStatus.OK:
            raise OperatorError(f"{request.method} {request.url} answered {answer.status_code}: {_told(answer)}")
        try:
            return answer.json()
        except ValueError as error:
            raise OperatorError(f"{request.url} answers no JSON: that is no railway of Sensorium.") from error


def _told(answer: httpx.Response) -> str:
    """The refusal's own words."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _retry_after(answer: httpx.Response) -> float:
    try:
        return float(answer.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
