"""A railway's servers as `debug-data` sees them: in memory, with keys of repeats, refusals of doubles and sign-in."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ADMIN = "admin-token"
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
Body = dict[str, Any]


class DebugServer:
    """Keeps what is made. `forget` drops the keys of repeats; `before` may answer in its place, or raise."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Body]] = {}
        self.privileges: dict[str, list[str]] = {}
        self.cards: dict[str, str] = {}
        self.bound: set[tuple[str, int, str]] = set()
        self.items: dict[str, list[Body]] = {}
        self.passwords: dict[str, str] = {}
        self.sign_ins = 0
        self.answers: dict[tuple[str, str, str | None], httpx.Response] = {}
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        self._keys: dict[str, RSAPublicKey] = {}
        self._challenges: dict[str, tuple[str, str]] = {}
        self._tokens: dict[str, str] = {}

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://railway")

    def forget(self) -> None:
        self.answers.clear()

    def count(self, what: str) -> int:
        return len(self.made.get(what, {}))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        instead = self.before(request)
        if instead is not None:
            return instead
        path = request.url.path.partition("_api/v1")[2]
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        repeat = (path, request.headers.get("idempotency-key", ""), self._tokens.get(bearer, bearer))
        if repeat in self.answers:
            return self.answers[repeat]
        answer = self._decide(request, path, json.loads(request.content) if request.content else {})
        if repeat[1] and answer.status_code == 200:
            self.answers[repeat] = answer
        return answer

    def _decide(self, request: httpx.Request, path: str, body: Body) -> httpx.Response:
        if path.startswith("/auth/"):
            return self._sign_in(path, body)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if path == "/store/item":
            return self._item(self._tokens.get(bearer), body)
        if bearer != ADMIN:
            return refused(401, "Invalid credentials")
        if request.method == "GET":
            return self._read(path, int(request.url.params.get("page", "1")))
        if request.method == "PUT":
            if "engineer_privileges" in path:
                self.privileges[body["id"]] = body["privileges"]
            else:
                self.cards[path.split("/")[3]] = body["key"]
            return answered({"status": "OK"})
        return self._make(path, body)

    def _make(self, path: str, body: Body) -> httpx.Response:
        if found := re.fullmatch(r"/admin/store/([^/]+)/train", path):
            trip = (found[1], body["train_number"], body["train_date"])
            if trip in self.bound:
                return refused(409, "Binding already exists")
            self.bound.add(trip)
            return answered({"status": "OK"})
        there = self.made.setdefault(path, {})
        unique = {"/admin/user": "name", "/admin/engineer": "login", "/admin/store": "name"}.get(path)
        if unique and any(one[unique] == body[unique] for one in there.values()):
            return refused(409, "It already exists")
        made = {**body, "id": str(uuid.uuid4())}
        if "password" in body:
            self.passwords[body["login"]] = made.pop("password")
        there[made["id"]] = made
        return answered(made)

    def _read(self, path: str, page: int) -> httpx.Response:
        if found := re.fullmatch(r"/admin/store/([^/]+)", path):
            return answered({**self.made["/admin/store"][found[1]], "items": self.items.get(found[1], [])})
        rows = list(self.made.get(path.removesuffix("s"), {}).values())
        begin = (page - 1) * 100
        return answered({"items": rows[begin : begin + 100], "total": len(rows), "pages": -(-len(rows) // 100)})

    def _sign_in(self, path: str, body: Body) -> httpx.Response:
        if path == "/auth/store/new_login":
            if self.passwords.get(body["login"]) != body["password"]:
                return refused(401, "Invalid credentials")
            if body["store_id"] not in self.made.get("/admin/store", {}):
                return refused(404, "Store id not found")
            key = load_pem_public_key(body["public_key"].encode())
            assert isinstance(key, RSAPublicKey)
            self._keys[body["store_id"]] = key
            return answered({"id": body["store_id"]})
        if path == "/auth/store/login":
            asked, text = str(uuid.uuid4()), uuid.uuid4().hex
            self._challenges[asked] = (body["id"], text)
            hidden = self._keys[body["id"]].encrypt(text.encode(), _OAEP)
            return answered({"request_id": asked, "data": base64.b64encode(hidden).decode()})
        store_id, text = self._challenges.pop(body["request_id"])
        if body["data"] != text:
            return refused(401, "Invalid credentials")
        token = str(uuid.uuid4())
        self._tokens[token] = store_id
        self.sign_ins += 1
        return answered({"token": token})

    def _item(self, store_id: str | None, body: Body) -> httpx.Response:
        if store_id is None:
            return refused(401, "Invalid credentials")
        self.items.setdefault(store_id, []).append({**body, "id": str(uuid.uuid4())})
        return answered(self.items[store_id][-1])


def answered(body: Body) -> httpx.Response:
    return httpx.Response(200, json=body)


def refused(status: int, detail: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": detail}, headers=headers)
