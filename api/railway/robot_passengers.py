"""What a robot asks about a passenger: who it is, where the journey goes (seed 003)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from api.railway.fields import IMAGE, Id, Int32, Moment
from api.railway.parts import Railway
from api.railway.passengers import Passenger, known, shown
from api.railway.refusals import NOT_RECOGNISED, declared, desk, told_of_faces
from api.railway.sessions import robot_of
from api.railway.ticket_check import REFUSALS
from api.railway.tickets_shown import Ticket, ticket
from projections.queries import railway_passengers

NO_TICKETS: Final = REFUSALS["none"]


class Picture(BaseModel):
    """What the robot's camera sees."""

    image: Annotated[str, Field(max_length=IMAGE, description="JPEG or PNG in base64.")]


class Journey(BaseModel):
    """A passenger on a train that started then."""

    user_id: Id
    train_number: Int32
    start_date: Moment


class CurrentJourney(BaseModel):
    """The same with another name for the train."""

    user_id: Id
    train_id: Int32
    start_date: Moment


class Destination(BaseModel):
    """Where a journey goes."""

    id: str


def build(railway: Railway) -> APIRouter:
    """The routes under /robot."""
    router = APIRouter(prefix="/robot", tags=["robot"], responses=declared(401))
    robot: Any = Depends(robot_of(railway))

    @router.post("/identification", summary="Whose face is it?", responses=declared(404))
    async def identification(picture: Picture, robot_id: str = robot) -> Passenger:
        """404: nobody known; 422: nobody can be recognised in the picture."""
        with told_of_faces(NOT_RECOGNISED):
            user_id = await desk(railway).search(picture.image, robot_id)
        if user_id is None:
            raise HTTPException(404, "User not found")
        return shown(await known(railway, user_id))

    @router.get("/user/{user_id}", summary="A passenger", responses=declared(404))
    async def user(user_id: Id, robot_id: str = robot) -> Passenger:
        """Who it is."""
        del robot_id
        return shown(await known(railway, user_id))

    @router.post("/user/current_ticket", summary="The ticket of a journey", responses=declared(404))
    async def current_ticket(journey: CurrentJourney, robot_id: str = robot) -> Ticket:
        """The ticket a passenger came on board with, the newest of several; without its code."""
        del robot_id
        row = await _on_board(railway, journey.user_id, journey.train_id, journey.start_date)
        if row is None:
            raise HTTPException(404, "Ticket not found")
        return ticket(row, code=False)

    @router.post("/determine_destination", summary="Where does the journey go?")
    async def determine_destination(journey: Journey, robot_id: str = robot) -> Destination:
        """400: this passenger did not come on board of this train."""
        del robot_id
        row = await _on_board(railway, journey.user_id, journey.train_number, journey.start_date)
        if row is None:
            raise HTTPException(400, NO_TICKETS)
        return Destination(id=row["destination_id"])

    return router


async def _on_board(railway: Railway, user_id: str, train: int, start: datetime) -> Mapping[str, Any] | None:
    asked = partial(railway_passengers.used_ticket, user_id=user_id, train_number=train, start_date=start)
    return await railway.database.read(asked)
