"""Base server, `/admin`: engineers, what they may do, their cards, and the robots they registered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from api import commanding
from api.railway.asking import ACCESS, REFUSALS, decided, mark_of_secret, new_id
from api.railway.cards import CardKey, marks
from api.railway.engineer_check import PRIVILEGES, passwords_of
from api.railway.fields import STORABLE, Id, Ok
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import RETRY_S, declared
from api.railway.sessions import KEY
from projections.queries import railway_access
from schemas.envelope import seal
from schemas.errors import Overloaded

Privilege = Literal["ROBOT_LOGIN", "STORE_LOGIN", "ROBOT_ADMIN"]
_CHANGING: Final = declared(401, 403, 404, 409)


class NewEngineer(BaseModel):
    """Somebody who is to register robots and stores' terminals; may do nothing until privileges are set."""

    login: Annotated[str, Field(min_length=1, max_length=60), STORABLE]
    password: Annotated[str, Field(min_length=1, max_length=255, repr=False), STORABLE]


class Engineer(BaseModel):
    """An engineer."""

    login: str
    id: str


class Privileges(BaseModel):
    """All that an engineer may do from now on."""

    id: Id
    privileges: Annotated[list[Privilege], Field(max_length=100)]


class Card(BaseModel):
    """The key that a robot's card reader reads; null or empty takes the card away."""

    key: CardKey | None = None


class Robot(BaseModel):
    """A robot that may sign in."""

    id: str
    robot_model_id: str
    robot_model_name: str


def build(railway: Railway) -> APIRouter:
    """The routes; whoever `railway.admin` lets in may call them."""
    router = APIRouter(prefix="/admin", tags=["admin"])
    admin = Depends(railway.admin)
    _add_lists(router, railway, admin)
    _add_engineers(router, railway, admin)
    _add_rights(router, railway, admin)
    return router


def _add_lists(router: APIRouter, railway: Railway, admin: Any) -> None:
    @router.get("/engineers", summary="Engineers", responses=declared(401, 403), dependencies=[admin])
    async def engineers(paging: Paged) -> Page[Engineer]:
        """The first created first."""
        read = partial(railway_access.engineers, offset=paging.offset, size=paging.size)
        rows, total = await railway.database.read(read)
        return page_of([Engineer(**row) for row in rows], total, paging)

    @router.get("/robots", summary="Robots", responses=declared(401, 403), dependencies=[admin])
    async def robots(paging: Paged) -> Page[Robot]:
        """The first registered first."""
        read = partial(railway_access.robots, offset=paging.offset, size=paging.size)
        rows, total = await railway.database.read(read)
        return page_of([Robot(**row) for row in rows], total, paging)

    @router.delete("/robots/{robot_id}", summary="Remove a robot", responses=declared(401, 403, 409))
    async def remove_robot(request: Request, robot_id: Id, by: str | None = admin) -> Ok:
        """Its sessions end; an unknown one is removed already."""
        await decided(request, railway, "RemoveRobot", KEY, {"robot_id": robot_id, "by": by}, ACCESS)
        return Ok()


def _add_engineers(router: APIRouter, railway: Railway, admin: Any) -> None:
    @router.post("/engineer", summary="Create an engineer", responses=declared(401, 403, 409))
    async def create(request: Request, new: NewEngineer, by: str | None = admin) -> Engineer:
        """Without privileges; 409 when the login is taken."""
        engineer_id = new_id(request, by, "engineer")
        details = {"login": new.login, "password_hash": await _hash(railway, new.password)}
        sealed = seal(railway.keyring, f"engineer/{engineer_id}", "EngineerDetails", details)
        record: Mapping[str, Any] = {"engineer_id": engineer_id, "details": sealed, "by": by}
        asked = commanding.Asked("CreateEngineer", KEY, record, ACCESS, REFUSALS)
        meant = {"login": new.login, "password": mark_of_secret(request, railway, new.password)}
        await commanding.decided(request, railway.writer, asked, meant)
        return Engineer(login=new.login, id=engineer_id)

    @router.delete("/engineers/{engineer_id}", summary="Delete an engineer", responses=_CHANGING)
    async def delete(request: Request, engineer_id: Id, by: str | None = admin) -> Ok:
        """With the card; what the engineer registered stays."""
        await decided(request, railway, "RemoveEngineer", KEY, {"engineer_id": engineer_id, "by": by}, ACCESS)
        return Ok()


def _add_rights(router: APIRouter, railway: Railway, admin: Any) -> None:
    @router.put("/engineer_privileges", summary="Set what an engineer may do", responses=_CHANGING)
    async def privileges(request: Request, wanted: Privileges, by: str | None = admin) -> Ok:
        """Replaces all of it; an empty list leaves nothing."""
        bits = reduce(or_, (PRIVILEGES[name] for name in wanted.privileges), 0)
        record = {"engineer_id": wanted.id, "privileges": bits, "by": by}
        await decided(request, railway, "SetEngineerPrivileges", KEY, record, ACCESS)
        return Ok()

    @router.put("/engineer/{engineer_id}/auth_card", summary="Give or take a card", responses=_CHANGING)
    async def card(request: Request, engineer_id: Id, card: Card, by: str | None = admin) -> Ok:
        """One card for each engineer; 409 when it is another's. Of its key a keyed hash is kept."""
        mark = await _mark(railway, card.key) if card.key else None
        told = {"card_id": new_id(request, by, "card"), "card_mark": mark}
        await decided(request, railway, "SetAuthCard", KEY, {"engineer_id": engineer_id, "by": by} | told, ACCESS)
        return Ok()


async def _hash(railway: Railway, password: str) -> str:
    try:
        return await passwords_of(railway).hash(password)
    except Overloaded as busy:
        raise HTTPException(503, str(busy), {"Retry-After": RETRY_S}) from busy


async def _mark(railway: Railway, key: str) -> str:
    """The mark that a known card has already, else one under the newest key."""
    possible = marks(railway.keyring, key)
    row = await railway.database.read(partial(railway_access.engineer_of_card, marks=possible))
    return row["key"] if row else possible[0]
