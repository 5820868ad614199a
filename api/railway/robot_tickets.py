"""A robot at the door: may this passenger enter here? As seed 003 asks, and as a conductor asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from api import commanding
from api.attempts import Attempts
from api.railway.asking import PASSENGERS, decided
from api.railway.cards import READINGS, Administrator, marks
from api.railway.engineer_check import begin
from api.railway.fields import IMAGE, STORABLE, Int32, Moment
from api.railway.parts import Railway
from api.railway.passengers import Passenger, shown
from api.railway.refusals import NOT_RECOGNISED, Refusal, declared, desk, told_of_faces
from api.railway.sessions import robot_of
from api.railway.ticket_check import REFUSALS, Door, Finding, Verdict, judge, looked_up
from api.railway.tickets_shown import Ticket, right_ticket, ticket
from projections.queries import railway_access, railway_passengers

Image = Annotated[str, Field(max_length=IMAGE, description="JPEG or PNG in base64.")]
Code = Annotated[str, STORABLE]
Card = Annotated[str, Field(max_length=256), STORABLE]
Station = Annotated[str, Field(max_length=60), STORABLE]
UNREADABLE: Final = "Unprocessable Entity"


class Entry(BaseModel):
    """Who wants to enter where; a face wins over a code."""

    station_id: Station
    train_number: Int32
    wagon_number: Int32
    date: Moment
    mark_as_used: bool
    face: Image | None = None
    code: Code | None = None


class Wrong(BaseModel):
    """Which ticket would have been right, and for what."""

    message: str
    right_ticket: Ticket


class WrongTicket(BaseModel):
    """Why a passenger may not enter here."""

    detail: Wrong | str


class Check(BaseModel):
    """Who is asked about, on which train; of face, code and card the first that is there."""

    train_number: Int32
    date: Moment
    wagon_number: Int32 | None = None
    station_id: Station | None = None
    mark_as_used: bool = False
    face: Image | None = None
    code: Code | None = None
    card: Annotated[Card | None, Field(repr=False)] = None


class Checked(BaseModel):
    """What was found; `ticket` is the one that fits or would, without its code."""

    verdict: Verdict
    ticket: Ticket | None = None
    user: Passenger | None = None
    staff: Administrator | None = None


def build(railway: Railway) -> APIRouter:
    """The routes under /robot."""
    router = APIRouter(prefix="/robot", tags=["robot"], responses=declared(401))
    _add_validation(router, railway, Depends(robot_of(railway)))
    _add_check(router, railway, Depends(robot_of(railway)))
    return router


def _add_validation(router: APIRouter, railway: Railway, robot: Any) -> None:
    refused: Any = {400: {"model": WrongTicket}, 404: {"model": Refusal}}

    @router.post("/ticket_validation", summary="May this passenger enter?", responses=declared(404, 409) | refused)
    async def validation(request: Request, entry: Entry, robot_id: str = robot) -> Ticket:
        """The ticket. 400: it is for elsewhere; 401: no such code here; 404, 422: nobody known, nobody to be seen.

        A ticket that was used is right again: a robot looks at the same passenger every two seconds.
        """
        if entry.face is None and entry.code is None:
            raise HTTPException(422, UNREADABLE)
        row = await (_by_code(railway, entry) if entry.face is None else _by_face(railway, entry, robot_id))
        if entry.mark_as_used and not row["used"]:
            await _use(request, railway, row, robot_id)
        return ticket(row)


def _add_check(router: APIRouter, railway: Railway, robot: Any) -> None:
    readings = Attempts(READINGS)

    @router.post("/ticket_check", summary="What about this passenger's ticket?", responses=declared(404, 409, 429))
    async def check(request: Request, asked: Check, robot_id: str = robot) -> Checked:
        """The verdict on a face, a ticket's code (or id), or a card, for the train of this robot.

        `used` is a ticket that fits and was used before; with `mark_as_used` a `valid` one is used from now on, and of
        two doors that ask at the same time one is told so. `none`: nobody known, or without tickets.
        """
        if asked.face is not None:
            return await _checked(request, railway, asked, robot_id, await _tickets_of(railway, asked.face, robot_id))
        if asked.code is not None:
            rows = await railway.database.read(partial(railway_passengers.tickets_by_code, code=asked.code))
            return await _checked(request, railway, asked, robot_id, (None, rows))
        if asked.card is None:
            raise HTTPException(422, UNREADABLE)
        begin(readings, robot_id, "")
        found = await _staff(railway, asked.card)
        if found.staff is not None:
            readings.succeeded(robot_id, "")
        return found


def _door(asked: Entry | Check) -> Door:
    return Door(asked.train_number, asked.date, asked.wagon_number, asked.station_id)


async def _by_code(railway: Railway, entry: Entry) -> Mapping[str, Any]:
    """The ticket with this code, or id, for exactly this place. Raises 401."""
    rows = await railway.database.read(partial(railway_passengers.tickets_by_code, code=entry.code or ""))
    found = judge(rows, _door(entry))
    if found.verdict != "valid" or found.ticket is None:
        raise HTTPException(401, "Invalid ticket code")
    return found.ticket


async def _by_face(railway: Railway, entry: Entry, robot_id: str) -> Mapping[str, Any]:
    """The ticket of whoever has this face. Raises 400, 404, 422."""
    user_id = await _recognised(railway, entry.face or "", robot_id)
    if user_id is None:
        raise HTTPException(404, "Face not found")
    rows = await railway.database.read(partial(railway_passengers.tickets_of, user_id=user_id))
    found = judge(rows, _door(entry))
    if found.ticket is None:
        raise HTTPException(400, REFUSALS["none"])
    if found.verdict != "valid":
        told = {"message": REFUSALS[found.verdict], "right_ticket": right_ticket(found.ticket)}
        raise HTTPException(400, told)  # pyright: ignore[reportArgumentType] - an object, as the robot reads it
    return found.ticket


async def _recognised(railway: Railway, face: str, robot_id: str) -> str | None:
    with told_of_faces(NOT_RECOGNISED):
        return await desk(railway).search(face, robot_id)


async def _tickets_of(railway: Railway, face: str, robot_id: str) -> tuple[str | None, Sequence[Mapping[str, Any]]]:
    user_id = await _recognised(railway, face, robot_id)
    if user_id is None:
        return None, ()
    return user_id, await railway.database.read(partial(railway_passengers.tickets_of, user_id=user_id))


async def _checked(
    request: Request, railway: Railway, asked: Check, robot_id: str,
    of: tuple[str | None, Sequence[Mapping[str, Any]]],
) -> Checked:  # fmt: skip
    user_id, rows = of
    found = looked_up(rows, _door(asked))
    if asked.mark_as_used and found.ticket is not None and _to_be_used(request, found, robot_id):
        was_first = await _use(request, railway, found.ticket, robot_id)
        found = Finding("valid" if was_first else "used", found.ticket)
    owner = user_id if found.ticket is None else str(found.ticket["user_id"])
    user = owner and await railway.database.read(partial(railway_passengers.user, user_id=owner))
    told = None if found.ticket is None else ticket(found.ticket, code=False)
    return Checked(verdict=found.verdict, ticket=told, user=shown(user) if user else None)


def _to_be_used(request: Request, found: Finding, robot_id: str) -> bool:
    """Whether to ask for the use: of a used ticket too by a request that may come again, for the use may be its own."""
    return found.verdict == "valid" or (found.verdict == "used" and commanding.id_of(request, robot_id) is not None)


async def _staff(railway: Railway, card: str) -> Checked:
    asked = partial(railway_access.engineer_of_card, marks=marks(railway.keyring, card))
    row = await railway.database.read(asked) if card else None
    if row is None:
        return Checked(verdict="none")
    return Checked(verdict="staff", staff=Administrator(login=row["login"], id=row["id"]))


async def _use(request: Request, railway: Railway, row: Mapping[str, Any], robot_id: str) -> bool:
    """Mark a ticket as used; whether this was the first time."""
    record = {"ticket_id": str(row["id"]), "robot_id": robot_id, "by": robot_id}
    answer = await decided(request, railway, "UseTicket", "passengers", record, PASSENGERS)
    return (answer.result or {}).get("is_first", True)
