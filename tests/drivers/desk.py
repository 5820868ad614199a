"""An office in memory: the real deciders, and read models that know at once what they decided. For HTTP tests."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response

from api.answers import problem
from producers.commands import CommandAnswer
from projections.queries import devices, users
from projections.queries.errors import Unavailable
from schemas import serde
from schemas.envelope import unseal
from schemas.errors import Forgotten
from streams.decisions import Command, Refused
from tests.drivers.deciding import AT_US, DECIDERS, RING

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


class Desk:
    """Both a writer and a database. `failure` is raised by the next write; `blind` read models see nothing new."""

    def __init__(self) -> None:
        self.states = {name: one.state.empty() for name, one in DECIDERS.items()}
        self.devices: dict[str, dict[str, Any]] = {}
        self.names: dict[str, str] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []
        self.sent: list[tuple[str, dict[str, Any], str | None, str]] = []
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.failure: Exception | None = None
        self.outage: Exception | None = None
        self.refused = 0
        self.blind = False
        self.answers: dict[str, tuple[str, CommandAnswer]] = {}
        self.now_us = AT_US

    async def command(
        self,
        command: str,
        key: str,
        record: Mapping[str, Any],
        *,
        command_id: str | None = None,
        fingerprint: str = "",
        await_model: str | None = None,
    ) -> CommandAnswer:
        if self.failure:
            self.refused += 1
            raise self.failure
        serde.encode(command, record)
        command_id = command_id or str(uuid.uuid4())
        self.sent.append((command, dict(record), await_model, command_id))
        known = self.answers.get(command_id)
        if known and known[0] != fingerprint:
            return CommandAnswer(False, "conflict", "This id was used for another request")
        if known:
            return known[1]
        answer = self.decide(command, record)
        self.answers[command_id] = (fingerprint, answer)
        return answer

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None:
        if self.failure:
            raise self.failure
        self.told.append((command, record))
        self.decide(command, record)

    def decide(self, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        name = "users" if command in ("CreateUser", "ChangeUser", "DeleteUser", "RecordSignIn") else "devices"
        one = DECIDERS[name]
        self.now_us += 1_000_000
        verdict = one.decide(self.states[name], Command(command, record, self.now_us, "c"))
        if isinstance(verdict, Refused):
            return CommandAnswer(False, verdict.code, verdict.detail)
        for fact in verdict.events:
            self.states[name] = one.evolve(self.states[name], fact.name, fact.record)
            if not self.blind:
                self.take_in(fact.name, dict(fact.record))
        result = None if verdict.result is None else json.loads(json.dumps(verdict.result))
        return CommandAnswer(True, None, None, result, not self.blind)

    def take_in(self, name: str, body: dict[str, Any]) -> None:
        at = moment(body["at_us"])
        match name:
            case "DeviceRegistered":
                row = {key: body[key] for key in ("device_id", "point_id", "register_id", "is_enabled")}
                self.devices[body["device_id"]] = row | {"created_at": at, "last_seen_at": None}
            case "DeviceEnabled" | "DeviceDisabled":
                self.devices[body["device_id"]]["is_enabled"] = name == "DeviceEnabled"
            case "PointNamed" | "RegisterNamed":
                self.names[body.get("point_id") or body["register_id"]] = body["name"]
            case "UserCreated":
                row = {"is_active": True, "is_admin": body["is_admin"], "created_at": at, "last_login_at": None}
                self.users[body["user_id"]] = {"user_id": body["user_id"]} | opened(body["details"]) | row
            case "UserChanged":
                told = {key: body[key] for key in ("is_admin", "is_active")}
                told |= opened(body["details"]) if body["details"] else {}
                self.users[body["user_id"]] |= {key: value for key, value in told.items() if value is not None}
            case "UserDeleted":
                del self.users[body["user_id"]]
            case "UserSignedIn":
                self.users[body["user_id"]]["last_login_at"] = at
            case _:
                raise AssertionError(name)

    async def read(self, read: Any, **_: Any) -> Any:
        if self.outage:
            raise self.outage
        function, asked = (read.func, read.keywords) if isinstance(read, partial) else (read, {})
        if function is devices.listing:
            return sorted(map(self.device, self.devices), key=lambda row: row["created_at"], reverse=True)
        if function is devices.one:
            return self.device(str(asked["device_id"])) if str(asked["device_id"]) in self.devices else None
        if function is devices.dropped:
            return {"files": 0, "bytes": 0, "last_at": None}
        if function is devices.history:
            return self.history[: asked["limit"]]
        if function is users.listing:
            return [public(row) for row in sorted(self.users.values(), key=lambda row: row["created_at"])]
        if function is users.one:
            row = self.users.get(str(asked["user_id"]))
            return public(row) if row else None
        if function is users.by_name:
            return next((dict(row) for row in self.users.values() if row["username"] == asked["username"]), None)
        raise AssertionError(function)

    def device(self, device_id: str) -> dict[str, Any]:
        row = self.devices[device_id]
        return row | {
            "point_name": self.names.get(row["point_id"]),
            "register_name": self.names.get(row["register_id"]),
        }


def opened(sealed: Mapping[str, Any]) -> dict[str, Any]:
    details = unseal(RING, sealed, "UserDetails")
    assert not isinstance(details, Forgotten)
    return {key: value for key, value in details.items() if value is not None}


def public(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "password_hash"}


def app_of(*routers: Any) -> FastAPI:
    """An app of these routers, with the API's answer to a database that is away."""
    app = FastAPI()
    for router in routers:
        app.include_router(router)

    async def unavailable(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Unavailable)
        return problem(503, "Service Unavailable", str(error), {"Retry-After": str(error.retry_after_s)})

    app.add_exception_handler(Unavailable, unavailable)
    return app
