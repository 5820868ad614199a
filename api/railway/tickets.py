"""Tickets for who looks after them: issued, listed, cancelled (seed 003)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from api.railway.asking import PASSENGERS, decided
from api.railway.fields import STORABLE, Id, Int32, Moment, Ok
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.tickets_shown import Ticket, Wanted, issued, ticket
from projections.queries import railway_passengers

Station = Annotated[str, Field(max_length=60), STORABLE]


class NewTicket(BaseModel):
    """A place on a train; `start_date` is when the train starts."""

    user_id: Id
    train_number: Int32
    wagon_number: Int32
    place_number: Int32
    station_id: Station
    destination: Station
    date: Moment
    start_date: Moment


def build(railway: Railway) -> APIRouter:
    """The routes under /admin."""
    router = APIRouter(prefix="/admin", tags=["tickets"], responses=declared(401, 403))
    admin: Any = Depends(railway.admin)

    @router.post("/ticket", summary="Issue", responses=declared(404, 409))
    async def issue(request: Request, new: NewTicket, by: str | None = admin) -> Ticket:
        """Issue a ticket to a passenger; the answer has its code."""
        wanted = Wanted(
            new.user_id, new.train_number, new.wagon_number, new.place_number,
            new.station_id, new.destination, new.date, new.start_date,
        )  # fmt: skip
        return await issued(request, railway, wanted, by)

    @router.get("/tickets", summary="Tickets")
    async def listing(paging: Paged, by: str | None = admin) -> Page[Ticket]:
        """All tickets with their codes, the first issued first."""
        del by
        asked = partial(railway_passengers.tickets, page=paging.page, size=paging.size)
        rows, total = await railway.database.read(asked)
        return page_of([ticket(row) for row in rows], total, paging)

    @router.delete("/ticket/{ticket_id}", summary="Cancel")
    async def cancel(request: Request, ticket_id: Id, by: str | None = admin) -> Ok:
        """Cancel a ticket; done also when there is none."""
        record = {"ticket_id": ticket_id, "by": by}
        await decided(request, railway, "CancelTicket", "passengers", record, PASSENGERS)
        return Ok()

    return router
