"""Access to the railway without Kafka: the real decider with rows folded from its events; and a component's client."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from producers.commands import CommandAnswer
from projections.queries import railway_access, railway_stores
from schemas.envelope import unseal
from schemas.errors import Forgotten
from streams.deciders import access
from streams.decisions import Command, Refused
from tests.drivers.access import decider_of, pem_of
from tests.drivers.deciding import RING


@dataclass
class Component:
    """A client of the sign-in, byte by byte as docs/railway-sign-in.md has it; knows nothing of the server's code."""

    http: httpx.AsyncClient
    key: rsa.RSAPrivateKey | Ed25519PrivateKey
    kind: str
    id: str = ""
    base: str = "/base_api/v1"

    async def register(self, login: str, password: str, **more: str) -> httpx.Response:
        """First authentication."""
        body = {"login": login, "password": password, "public_key": pem_of(self.key)} | more
        answer = await self.post("new_login", body)
        if answer.status_code == 200:
            self.id = answer.json()["id"]
        return answer

    async def ask(self, **headers: str) -> dict[str, str]:
        """A challenge."""
        answer = await self.post("login", {"id": self.id}, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def proof(self, challenge: Mapping[str, str]) -> str:
        """What goes back as `data`."""
        if isinstance(self.key, Ed25519PrivateKey):
            lines = ("sensorium component sign-in 1", self.kind.upper(), self.id, challenge["request_id"])
            signed = self.key.sign("\n".join((*lines, challenge["data"])).encode())
            return base64.b64encode(signed).decode()
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return self.key.decrypt(base64.b64decode(challenge["data"], validate=True), oaep).decode()

    async def answer(self, challenge: Mapping[str, str], data: str | None = None, **headers: str) -> httpx.Response:
        """An answer to a challenge: the right one unless told otherwise."""
        body = {"request_id": challenge["request_id"], "data": self.proof(challenge) if data is None else data}
        return await self.post("login_code", body, **headers)

    async def post(self, route: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        """One request; JSON in ASCII, so that a text may hold whatever JSON can."""
        path = f"{self.base}/auth/{self.kind}/{route}"
        said = {"Content-Type": "application/json"} | headers
        return await self.http.post(path, content=json.dumps(body), headers=said)

    async def sign_in(self) -> dict[str, str]:
        """The header of who has signed in."""
        answer = await self.answer(await self.ask())
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}


@dataclass
class AccessDesk:
    """A writer and a database in one: the real decider, and rows folded from its events. `now` is everybody's clock."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    state: access.State = field(default_factory=access.State)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    answers: dict[str, tuple[str, CommandAnswer]] = field(default_factory=dict[str, tuple[str, CommandAnswer]])
    stores: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    failure: Exception | None = None

    async def command(
        self, command: str, key: str, record: Mapping[str, Any], *,
        command_id: str | None = None, fingerprint: str = "", await_model: str | None = None,
    ) -> CommandAnswer:  # fmt: skip
        assert (key, await_model) == ("access", "railway_access")
        if self.failure:
            raise self.failure
        known = self.answers.get(command_id or "")
        if known:
            same = known[0] == command + fingerprint
            return known[1] if same else CommandAnswer(False, "conflict", "This id was used for another request")
        answer = self._decide(command, record)
        self.answers[command_id or uuid.uuid4().hex] = (command + fingerprint, answer)
        return answer

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None:
        if self.failure:
            raise self.failure
        await self.command(command, key, record, await_model="railway_access")

    def _decide(self, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        decider = decider_of()
        self.sent.append((command, dict(record)))
        at_us = round(self.now.timestamp() * 1e6)
        verdict = decider.decide(self.state, Command(command, record, at_us, "c"))
        if isinstance(verdict, Refused):
            return CommandAnswer(False, verdict.code, verdict.detail)
        for fact in verdict.events:
            self.state = decider.evolve(self.state, fact.name, fact.record)
            self.events.append((fact.name, dict(fact.record)))
        result = None if verdict.result is None else json.loads(json.dumps(verdict.result))
        return CommandAnswer(True, None, None, result, seen=True)

    def named(self, event: str) -> list[dict[str, Any]]:
        """All events of a name."""
        return [record for name, record in self.events if name == event]

    async def read(self, read: partial[Any], **_: Any) -> Any:
        known = {
            railway_access.engineer_by_login: self._by_login,
            railway_access.engineers: lambda **paging: _page(self._engineers(), **paging),
            railway_access.robots: lambda **paging: _page(self._robots(), **paging),
            railway_access.engineer_of_card: self._of_card,
            railway_access.component: lambda **asked: self.component(**asked),
            railway_access.sessions: self._sessions,
            railway_stores.one: lambda store_id: self.stores.get(store_id),
            railway_stores.all_items: lambda store_id: [],
        }
        return known[read.func](**read.keywords)

    def component(self, client_type: str, component_id: UUID) -> dict[str, Any] | None:
        """A component's key."""
        owner = self.state.components.get(f"{client_type}/{component_id}")
        return {"public_key": owner.public_key, "algorithm": owner.algorithm} if owner else None

    def _engineers(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for record in self.named("EngineerCreated"):
            opened = unseal(RING, record["details"], "EngineerDetails")
            assert not isinstance(opened, Forgotten)
            known = self.state.engineers.get(record["engineer_id"])
            if known:
                more = {"privileges": known.privileges, "password": opened["password_hash"]}
                rows.append({"id": record["engineer_id"], "login": opened["login"]} | more)
        return rows

    def _by_login(self, login: str) -> dict[str, Any] | None:
        return next((row for row in self._engineers() if row["login"] == login), None)

    def _robots(self) -> list[dict[str, Any]]:
        names = ("robot_model_id", "robot_model_name")
        return [
            {"id": record["robot_id"]} | {name: record[name] for name in names}
            for record in self.named("RobotRegistered")
            if f"ROBOT/{record['robot_id']}" in self.state.components
        ]

    def _of_card(self, marks: list[str]) -> dict[str, Any] | None:
        mark = next((one for one in marks if one in self.state.cards), "")
        owner = self.state.cards.get(mark)
        return next((row | {"key": mark} for row in self._engineers() if row["id"] == owner), None)

    def _sessions(self, token_sha256s: list[str]) -> dict[str, dict[str, Any]]:
        found = {token: self._session(token) for token in token_sha256s}
        return {token: row for token, row in found.items() if row is not None}

    def _session(self, token_sha256: str) -> dict[str, Any] | None:
        for record in reversed(self.named("SessionOpened")):
            owner = self.state.components.get(f"{record['client_type']}/{record['component_id']}")
            for one in owner.sessions if owner else ():
                if one.session_id == record["session_id"] and record["token_sha256"] == token_sha256:
                    expires_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=one.expires_us)
                    names = ("session_id", "client_type", "component_id")
                    return {name: record[name] for name in names} | {"expires_at": expires_at}
        return None


def _page(rows: list[dict[str, Any]], offset: int, size: int) -> tuple[list[dict[str, Any]], int]:
    shown = [{key: row[key] for key in row if key not in ("password", "privileges")} for row in rows]
    return shown[offset : offset + size], len(rows)
