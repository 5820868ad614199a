"""Tickets as they are asked for and answered, key for key; issuing one. All servers' times are UTC."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import HTTPException, Request
from pydantic import BaseModel, Field

from api import commanding
from api.railway.asking import PASSENGERS, REFUSALS, new_id
from api.railway.fields import microseconds, moment_text
from api.railway.parts import Railway
from api.railway.refusals import RETRY_S
from projections.queries import railway_passengers
from schemas.envelope import seal


class Ticket(BaseModel):
    """A place on a train; `code` opens the door and is empty where it is nobody's business."""

    user_id: str
    train_number: int
    wagon_number: int
    place_number: int
    station_id: str
    destination: str
    date: str = Field(json_schema_extra={"format": "date-time"})
    start_date: str = Field(json_schema_extra={"format": "date-time"})
    id: str
    code: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket to be issued; `place_is_taken_once`: not when somebody has this place."""

    user_id: str
    train_number: int
    wagon_number: int
    place_number: int
    station_id: str
    destination_id: str
    date: datetime
    start_date: datetime
    place_is_taken_once: bool = False


def ticket(row: Mapping[str, Any], *, code: bool = True) -> Ticket:
    """A row of `tickets` as it is answered."""
    return Ticket(**_told(row, code))


def right_ticket(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ticket that would have been right, inside a refusal: without its code, times with +00:00."""
    told = ticket(row, code=False).model_dump()
    return told | {name: row[name].isoformat() for name in ("date", "start_date")}


async def issued(request: Request, railway: Railway, wanted: Wanted, by: str | None, unknown: int = 404) -> Ticket:
    """Issue a ticket and give it, its times as they were sent; `unknown` is the status for an unknown passenger.

    Raises:
        HTTPException: refused, or not decided.
    """
    ticket_id = new_id(request, by, "ticket")
    code = "".join(secrets.choice(railway.options.symbols_pool) for _ in range(railway.options.ticket_code_len))
    names = ("user_id", "train_number", "wagon_number", "place_number", "station_id", "destination_id")
    meant = {name: getattr(wanted, name) for name in names} | {
        "date_us": microseconds(wanted.date),
        "start_date_us": microseconds(wanted.start_date),
        "place_is_taken_once": wanted.place_is_taken_once,
    }
    sealed = seal(railway.keyring, f"ticket/{ticket_id}", "TicketCode", {"code": code})
    record = meant | {"ticket_id": ticket_id, "code": sealed, "by": by}
    asked = commanding.Asked("IssueTicket", "passengers", record, PASSENGERS, {**REFUSALS, "user_not_found": unknown})
    answer = await commanding.decided(request, railway.writer, asked, meant)
    if commanding.id_of(request, by) is not None:
        code = await _first_code(railway, ticket_id, answer.seen)
    sent = {"date": wanted.date, "start_date": wanted.start_date, "id": ticket_id, "code": code}
    return ticket({name: getattr(wanted, name) for name in names} | sent)


async def _first_code(railway: Railway, ticket_id: str, seen: bool) -> str:
    """The code of a ticket that may have been issued by an earlier request under the same key, and cancelled since."""
    row = await railway.database.read(partial(railway_passengers.ticket, ticket_id=ticket_id))
    if row is None and seen:
        raise HTTPException(404, "Ticket not found")
    if row is None:
        raise HTTPException(503, "The ticket is not visible yet", {"Retry-After": RETRY_S})
    return row["code"] or ""


def _told(row: Mapping[str, Any], code: bool) -> dict[str, Any]:
    return {
        "user_id": str(row["user_id"]),
        "train_number": row["train_number"],
        "wagon_number": row["wagon_number"],
        "place_number": row["place_number"],
        "station_id": row["station_id"],
        "destination": row["destination_id"],
        "date": moment_text(row["date"]),
        "start_date": moment_text(row["start_date"]),
        "id": str(row["id"]),
        "code": (row["code"] or "") if code else "",
    }
