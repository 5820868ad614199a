"""Passengers for who looks after them: created, listed, removed, their faces, their sign-ins elsewhere (seed 003)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, Field

from api import commanding
from api.railway.asking import PASSENGERS, REFUSALS, decided, new_id
from api.railway.fields import IMAGE, STORABLE, Id, Ok
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared, desk, told_of_faces
from projections.queries import railway_passengers
from projections.queries.errors import Unavailable
from schemas.envelope import seal
from schemas.errors import Overloaded, TransientFailure

log = logging.getLogger(__name__)

KEY = "passengers"
Name = Annotated[str, Field(max_length=255), STORABLE]
Image = Annotated[str, Field(max_length=IMAGE, description="JPEG or PNG in base64, one face on it.")]


class NewPassenger(BaseModel):
    """Who is to be known, with or without a face."""

    name: Name
    face: Image | None = None


class Face(BaseModel):
    """A picture of somebody's face."""

    face: Image


class Passenger(BaseModel):
    """Who is known."""

    id: str
    name: str


class Link(BaseModel):
    """A Keycloak user who stands for a passenger."""

    k_id: Id
    user_id: Id


def build(railway: Railway) -> APIRouter:
    """The routes under /admin."""
    router = APIRouter(prefix="/admin", tags=["passengers"], responses=declared(401, 403))
    _add_writing(router, railway)
    _add_reading(router, railway)
    _add_faces(router, railway)
    _add_links(router, railway)
    return router


def shown(row: Mapping[str, Any]) -> Passenger:
    """A row of `users` as it is answered."""
    return Passenger(id=str(row["id"]), name=row["name"])


async def known(railway: Railway, user_id: str, unknown: int = 404) -> Mapping[str, Any]:
    """The passenger of this id. Raises HTTPException with `unknown` as its status."""
    row = await railway.database.read(partial(railway_passengers.user, user_id=user_id))
    if row is None:
        raise HTTPException(unknown, "User not found")
    return row


async def removed(request: Request, railway: Railway, user_id: str, by: str | None) -> None:
    """Remove a passenger with tickets and links; the face is forgotten by what follows from it in the log."""
    await decided(request, railway, "RemovePassenger", KEY, {"user_id": user_id, "by": by}, PASSENGERS)


def _add_writing(router: APIRouter, railway: Railway) -> None:
    admin: Any = Depends(railway.admin)

    @router.post("/user", summary="Create", responses=declared(409))
    async def create(request: Request, new: NewPassenger, by: str | None = admin) -> Passenger:
        """Create a passenger. 409: the name, or the face, is somebody's already; 422: the picture is of no use."""
        user_id = new_id(request, by, "user")
        if new.face is not None:
            with told_of_faces():
                await desk(railway).check(user_id, new.face, by)
        await _added(request, railway, user_id, new, by)
        if new.face is not None:
            await _with_face(request, railway, user_id, new.face, by)
        return Passenger(id=user_id, name=new.name)

    @router.delete("/users/{user_id}", summary="Remove", responses=declared(404))
    async def remove(request: Request, user_id: Id, by: str | None = admin) -> Ok:
        """Remove a passenger with tickets, links and face."""
        await removed(request, railway, user_id, by)
        return Ok()


async def _added(request: Request, railway: Railway, user_id: str, new: NewPassenger, by: str | None) -> None:
    details = {"name": new.name, "username": None, "email": None, "password_hash": None}
    sealed = seal(railway.keyring, f"passenger/{user_id}", "PassengerDetails", details)
    record = {"user_id": user_id, "details": sealed, "name_is_taken_once": True, "by": by}
    asked = commanding.Asked("AddPassenger", KEY, record, PASSENGERS, REFUSALS)
    face = new.face and sha256(new.face.encode()).hexdigest()
    await commanding.decided(request, railway.writer, asked, {"name": new.name, "face": face})


async def _with_face(request: Request, railway: Railway, user_id: str, face: str, by: str | None) -> None:
    """Enrol the face of somebody new. Who does not get it is removed again, unless the same request may come again."""
    await known(railway, user_id, 409)  # removed again when this request came before
    try:
        with told_of_faces():
            await desk(railway).enrol(request, user_id, face, by)
    except (HTTPException, Unavailable) as refusal:
        is_final = isinstance(refusal, HTTPException) and refusal.status_code < 500
        if is_final or commanding.id_of(request, by) is None:
            await _taken_back(railway, user_id, by)
        raise


async def _taken_back(railway: Railway, user_id: str, by: str | None) -> None:
    """Remove a passenger by a command of its own, for the request's id stands for the creation."""
    try:
        await railway.writer.command("RemovePassenger", KEY, {"user_id": user_id, "by": by}, await_model=PASSENGERS)
    except (TransientFailure, Overloaded) as failure:
        log.warning("passenger %s has no face and may not have been removed: %s", user_id, failure)


def _add_reading(router: APIRouter, railway: Railway) -> None:
    admin: Any = Depends(railway.admin)

    @router.get("/users", summary="Passengers")
    async def listing(paging: Paged, by: str | None = admin) -> Page[Passenger]:
        """Passengers, the first created first."""
        del by
        asked = partial(railway_passengers.users, page=paging.page, size=paging.size)
        rows, total = await railway.database.read(asked)
        return page_of([shown(row) for row in rows], total, paging)


def _add_faces(router: APIRouter, railway: Railway) -> None:
    admin: Any = Depends(railway.admin)

    @router.patch("/user/{user_id}/face", summary="Set a face", responses=declared(404, 409))
    async def set_face(request: Request, user_id: Id, wanted: Face, by: str | None = admin) -> Ok:
        """Let a picture stand for a passenger, instead of the one before."""
        await known(railway, user_id)
        with told_of_faces():
            await desk(railway).enrol(request, user_id, wanted.face, by)
        return Ok()

    @router.delete("/user/face", summary="Forget a face", responses=declared(404, 409))
    async def forget_face(request: Request, user_id: Annotated[Id, Query()], by: str | None = admin) -> Ok:
        """Forget a passenger's face, if there is one."""
        await known(railway, user_id)
        await desk(railway).remove(request, user_id, by)
        return Ok()


def _add_links(router: APIRouter, railway: Railway) -> None:
    admin: Any = Depends(railway.admin)

    @router.post("/keycloak_user", summary="Link a Keycloak user", responses=declared(404, 409))
    async def link(request: Request, wanted: Link, by: str | None = admin) -> Ok:
        """Let a Keycloak user stand for a passenger."""
        record = {"keycloak_id": wanted.k_id, "user_id": wanted.user_id, "by": by}
        await decided(request, railway, "LinkKeycloakUser", KEY, record, PASSENGERS)
        return Ok()

    @router.delete("/keycloak_user", summary="Unlink a Keycloak user", responses=declared(409))
    async def unlink(request: Request, wanted: Link, by: str | None = admin) -> Ok:
        """Let a Keycloak user stand for nobody; done also when it did not."""
        record = {"keycloak_id": wanted.k_id, "by": by}
        await decided(request, railway, "UnlinkKeycloakUser", KEY, record, PASSENGERS)
        return Ok()
