"""Tickets: whether this passenger, or this code, is right at this door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from edge_agents.robot.errors import BadAnswer, Refused
from edge_agents.robot.servers import Servers, part
from edge_agents.robot.shapes import Ticket, record, ticket

NO_VERDICT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.UNPROCESSABLE_ENTITY})
"""A code that is none, a picture with nobody in it: neither yes nor no."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where tickets are checked."""

    station_id: str
    train_number: int
    wagon_number: int
    date: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ticket that is right, or a refusal, with the ticket that would be right where the server knows one."""

    valid: bool
    ticket: Ticket | None = None
    message: str = ""


async def validate(servers: Servers, door: Door, *, code: str | None = None, face: str | None = None) -> Verdict | None:
    """The verdict on a code or on a face (base64 JPEG); None when the server cannot tell.

    Raises Refused for other statuses, ServerAway, BadAnswer.
    """
    body: dict[str, Any] = {
        "station_id": door.station_id,
        "train_number": door.train_number,
        "wagon_number": door.wagon_number,
        "date": door.date.isoformat(),
        "mark_as_used": True,
    }
    body |= {"code": code} if code is not None else {"face": face}
    try:
        return Verdict(True, ticket(record(await servers.base("POST", "/robot/ticket_validation", body))))
    except Refused as refused:
        if refused.status in NO_VERDICT:
            return None
        if refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST):
            return refusal(refused.detail)
        raise


def refusal(detail: object) -> Verdict:
    """What a 400, 403 or 404 says: a sentence, or an object with `message` and perhaps `right_ticket`."""
    if not isinstance(detail, dict):
        return Verdict(False, None, str(detail))
    right = detail.get("right_ticket")
    try:
        found = ticket(right) if isinstance(right, dict) else None
    except BadAnswer:
        found = None
    return Verdict(False, found, str(detail.get("message", "")))


async def current_ticket(servers: Servers, user_id: str, train_number: int, start_date: datetime) -> Ticket | None:
    """The ticket a passenger came on board with; None when there is none."""
    body = {"user_id": user_id, "train_id": train_number, "start_date": start_date.isoformat()}
    try:
        return ticket(record(await servers.base("POST", "/robot/user/current_ticket", body)))
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return None
        raise


async def station_ticket(servers: Servers, station_id: str, user_id: str) -> Ticket | None:
    """The same by station, as older servers had it."""
    path = f"/robot/station/{part(station_id)}/user/{part(user_id)}/current_ticket"
    try:
        return ticket(record(await servers.base("GET", path)))
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return None
        raise
