"""The railway in memory: its real decider, and read models that know at once what it decided. For HTTP tests."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from fastapi import Request

from api.railway import sessions
from api.railway.app import Front, servers
from api.railway.parts import FaceTaken, Railway, Unrecognisable
from producers.commands import CommandAnswer
from schemas import serde
from schemas.envelope import unseal
from schemas.errors import Forgotten
from streams.decisions import Command, Refused
from streams.railway import decider
from tests.drivers.deciding import AT_US, RING

ROBOT = "0f9d3c1e-0000-4000-8000-0000000000d1"
TOKEN = "robot-token"
AS_ROBOT = {"Authorization": f"Bearer {TOKEN}"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


def moment(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


class Faces:
    """Knows faces by their text: what is `useless` has none on it, `two` has two."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.useless = {"nobody"}
        self.enrolled: list[tuple[str, str, str | None]] = []

    def look(self, image: str) -> None:
        if image in self.useless:
            raise Unrecognisable("No faces")

    async def enrol(self, request: Request, user_id: str, image: str, by: str | None) -> None:
        del request
        await self.check(user_id, image, by)
        self.known = {face: whose for face, whose in self.known.items() if whose != user_id} | {image: user_id}
        self.enrolled.append((user_id, image, by))

    async def check(self, user_id: str, image: str, by: str | None) -> None:
        del by
        self.look(image)
        if image == "two":
            raise Unrecognisable("Too many faces")
        if self.known.get(image, user_id) != user_id:
            raise FaceTaken

    async def search(self, image: str, by: str | None) -> str | None:
        assert by is not None
        self.look(image)
        return self.known.get(image)

    async def remove(self, request: Request, user_id: str, by: str | None) -> None:
        del request, by
        self.known = {face: whose for face, whose in self.known.items() if whose != user_id}

    async def has(self, user_id: str) -> bool:
        return user_id in self.known.values()


class Office:
    """Both a writer and a database. `failure` is raised by the next write, `outage` by the next read."""

    def __init__(self) -> None:
        self.decider = decider(RING)
        self.state: Any = self.decider.state.empty()
        self.users: dict[str, Row] = {}
        self.tickets: dict[str, Row] = {}
        self.places: dict[str, Row] = {}
        self.cards: dict[str, Row] = {}
        self.sent: list[tuple[str, str, Row, str | None]] = []
        self.events: list[str] = []
        self.failure: Exception | None = None
        self.outage: Exception | None = None
        self.answers: dict[str, tuple[str, CommandAnswer]] = {}
        self.now_us = AT_US
        self.reads: dict[str, Callable[..., Any]] = _reads(self)

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
            raise self.failure
        serde.encode(command, record)
        command_id = command_id or str(uuid.uuid4())
        self.sent.append((command, key, dict(record), await_model))
        known = self.answers.get(command_id)
        if known and known[0] != fingerprint:
            return CommandAnswer(False, "conflict", "This id was used for another request")
        answer = known[1] if known else self.decide(command, record)
        self.answers[command_id] = (fingerprint, answer)
        return answer

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None:
        del command, key, record

    def decide(self, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        self.now_us += 1_000_000
        verdict = self.decider.decide(self.state, Command(command, record, self.now_us, "c"))
        if isinstance(verdict, Refused):
            return CommandAnswer(False, verdict.code, verdict.detail)
        for fact in verdict.events:
            self.state = self.decider.evolve(self.state, fact.name, fact.record)
            self.events.append(fact.name)
            self.take_in(fact.name, dict(fact.record))
        result = None if verdict.result is None else json.loads(json.dumps(verdict.result))
        return CommandAnswer(True, None, None, result, True)

    def take_in(self, name: str, body: Row) -> None:
        at = moment(body["at_us"])
        match name:
            case "PassengerAdded":
                told = opened(body["details"], "PassengerDetails")
                row = {"id": body["user_id"], "name": told["name"] or "", "created_at": at}
                more = {"email": told["email"], "username": told["username"], "password": told["password_hash"]}
                self.users[body["user_id"]] = row | more
            case "PassengerChanged":
                told = opened(body["details"], "PassengerDetails")
                told["password"] = told.pop("password_hash")
                self.users[body["user_id"]] |= {key: value for key, value in told.items() if value is not None}
            case "PassengerRemoved":
                del self.users[body["user_id"]]
            case "TicketIssued":
                row = {key: body[key] for key in ("train_number", "wagon_number", "place_number", "user_id")}
                row |= {key: body[key] for key in ("station_id", "destination_id")}
                row |= {"date": moment(body["date_us"]), "start_date": moment(body["start_date_us"])}
                code = opened(body["code"], "TicketCode")["code"]
                self.tickets[body["ticket_id"]] = row | {
                    "id": body["ticket_id"], "code": code, "used": False, "created_at": at
                }  # fmt: skip
            case "TicketUsed":
                self.tickets[body["ticket_id"]]["used"] = True
            case "TicketCancelled":
                del self.tickets[body["ticket_id"]]
            case "PlaceAdded":
                self.places[body["place_id"]] = {"id": body["place_id"]} | body
            case "PlaceRemoved":
                del self.places[body["place_id"]]
            case _:
                pass

    async def read(self, read: Any, **_: Any) -> Any:
        if self.outage:
            raise self.outage
        function, asked = (read.func, read.keywords) if isinstance(read, partial) else (read, {})
        return self.reads[function.__name__](**asked)


def _reads(office: Office) -> dict[str, Callable[..., Any]]:
    """What each query gives, by its name."""

    def registered(**asked: str) -> Row | None:
        wanted = [(field, text) for field, text in asked.items() if text]
        return next((row for field, text in wanted for row in office.users.values() if row[field] == text), None)

    def tickets(page: int, size: int, user_id: str | None = None) -> Any:
        return cut([row for row in office.tickets.values() if user_id in (None, row["user_id"])], page, size)

    def coded(code: str) -> list[Row]:
        return [dict(row) for row in office.tickets.values() if code and code in (row["code"], row["id"])]

    def used_ticket(**asked: Any) -> Any:
        found = [row for row in office.tickets.values() if row["used"] and all(row[k] == v for k, v in asked.items())]
        return found[-1] if found else None

    def places(kind: str, destination_id: str, page: int, size: int) -> Any:
        rows = [row for row in office.places.values() if (row["kind"], row["destination_id"]) == (kind, destination_id)]
        return cut(rows, page, size)

    def of_user(user_id: str) -> list[Row]:
        return [dict(row) for row in office.tickets.values() if row["user_id"] == user_id]

    def found(token_sha256s: list[str]) -> dict[str, Row]:
        row = {"session_id": "s", "client_type": "ROBOT", "component_id": ROBOT, "expires_at": moment(2**52)}
        return {token: row for token in token_sha256s if token == sessions.hash_of(TOKEN)}

    return {
        "everybody": lambda: list(office.users.values()),
        "users": lambda page, size: cut(list(office.users.values()), page, size),
        "user": lambda user_id: office.users.get(user_id),
        "registered": registered,
        "tickets": tickets,
        "ticket": lambda ticket_id: office.tickets.get(ticket_id),
        "tickets_of": of_user,
        "tickets_by_code": coded,
        "latest_ticket": lambda user_id: max(of_user(user_id), key=lambda row: row["date"], default=None),
        "used_ticket": used_ticket,
        "places": places,
        "sessions": found,
        "engineer_of_card": lambda marks: next((office.cards[one] for one in marks if one in office.cards), None),
    }


def cut(rows: list[Row], page: int, size: int) -> tuple[list[Row], int]:
    return rows[(page - 1) * size : page * size], len(rows)


def opened(sealed: Mapping[str, Any], event: str) -> Row:
    record = unseal(RING, sealed, event)
    assert not isinstance(record, Forgotten)
    return record


async def anybody() -> str | None:
    """Lets everybody in."""
    return None


def railway_of(office: Any, **changed: Any) -> Railway:
    """A railway over an office in memory."""
    told: dict[str, Any] = {"database": office, "writer": office, "keyring": RING, "admin": anybody}
    return Railway(**(told | changed))


def server_of(railway: Railway) -> Front:
    """Its servers; other paths answer 404."""

    async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return Front(servers(railway), nothing)


def client_of(railway: Railway) -> httpx.AsyncClient:
    """A client of its servers."""
    return client_at(server_of(railway))


def client_at(server: Any, prefix: str = "") -> httpx.AsyncClient:
    """A client of servers that are there, all or the one of this prefix."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url=f"http://t{prefix}")
