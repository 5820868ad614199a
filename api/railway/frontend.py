"""What passengers do for themselves on the web: buy tickets, see them, show their face (seed 003)."""

from __future__ import annotations

import base64
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, File, HTTPException, Request, UploadFile
from pydantic import BaseModel, model_validator

from api.railway.fields import IMAGE, Int32, Moment, Ok
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.passengers import known
from api.railway.refusals import declared, desk, told_of_faces
from api.railway.tickets_shown import Ticket, Wanted, issued, ticket
from api.railway.train_numbers import ZONE, Station, train_number
from projections.queries import railway_passengers

UNFINISHED: Final = "The form is not whole"


class Purchase(BaseModel):
    """A ticket to buy; the train follows from station and hour."""

    wagon_number: Int32
    place_number: Int32
    station_id: Station
    destination_id: Station
    date: Moment

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Purchase:
        if self.station_id == self.destination_id:
            raise ValueError("a journey ends elsewhere")
        return self


def build(railway: Railway) -> APIRouter:
    """The routes under /frontend."""
    router = APIRouter(prefix="/frontend", tags=["frontend"], responses=declared(401))
    person: Any = Depends(railway.person or _nobody)
    _add_tickets(router, railway, person)
    _add_faces(router, railway, person)
    return router


async def _nobody() -> str:
    raise HTTPException(401, "Invalid credentials")


def _add_tickets(router: APIRouter, railway: Railway, person: Any) -> None:
    @router.get("/tickets", summary="My tickets")
    async def listing(paging: Paged, user_id: str = person) -> Page[Ticket]:
        """All tickets of whoever asks, with their codes, the first issued first."""
        asked = partial(railway_passengers.tickets, user_id=user_id, page=paging.page, size=paging.size)
        rows, total = await railway.database.read(asked)
        return page_of([ticket(row) for row in rows], total, paging)

    @router.post("/tickets", summary="Buy", responses=declared(403, 404, 409))
    async def buy(request: Request, purchase: Purchase, user_id: str = person) -> Ticket:
        """400: no train leaves at that hour; 403: not a passenger; 409: the place is somebody's."""
        date, train = _departure(purchase)
        wanted = Wanted(
            user_id, train, purchase.wagon_number, purchase.place_number, purchase.station_id,
            purchase.destination_id, date, date, place_is_taken_once=True,
        )  # fmt: skip
        return await issued(request, railway, wanted, user_id, unknown=403)

    @router.get("/get_ticket", summary="My latest ticket", responses=declared(404))
    async def latest(user_id: str = person) -> Ticket:
        """The ticket with the latest date."""
        row = await railway.database.read(partial(railway_passengers.latest_ticket, user_id=user_id))
        if row is None:
            raise HTTPException(404, "Ticket not found")
        return ticket(row)


def _departure(purchase: Purchase) -> tuple[datetime, int]:
    """When and on which train, in the trains' own time. Raises 400."""
    try:
        train = train_number(purchase.station_id, purchase.date)
        date = purchase.date.astimezone(ZONE)
    except OverflowError as error:
        raise HTTPException(400, "Invalid time") from error
    if train is None:
        raise HTTPException(400, "Invalid time")
    return date, train


def _add_faces(router: APIRouter, railway: Railway, person: Any) -> None:
    @router.post("/faces", summary="Show my face", responses=declared(403, 409))
    async def set_face(
        request: Request, file: Annotated[UploadFile | None, File()] = None, user_id: str = person
    ) -> Ok:
        """Let a picture stand for whoever asks; without a file the face is forgotten. 422: a form that was cut off."""
        if file is None:
            if not await request.form() and _says_something(request):
                raise HTTPException(422, UNFINISHED)
            await desk(railway).remove(request, user_id, user_id)
            return Ok()
        await known(railway, user_id, 403)
        if (file.size or 0) > IMAGE * 3 // 4:
            raise HTTPException(422, "Image too big")
        picture = base64.b64encode(await file.read()).decode()
        with told_of_faces():
            await desk(railway).enrol(request, user_id, picture, user_id)
        return Ok()

    @router.get("/faces", summary="Is my face known?", responses=declared(404))
    async def has_face(user_id: str = person) -> Ok:
        """404: it is not."""
        if not await desk(railway).has(user_id):
            raise HTTPException(404, "Face not found")
        return Ok()


def _says_something(request: Request) -> bool:
    """Whether a form is longer than one without parts: parts that never end are passed over by its reader."""
    _, _, boundary = request.headers.get("content-type", "").partition("boundary=")
    return bool(boundary) and int(request.headers.get("content-length", "0")) > len(boundary) + 8
