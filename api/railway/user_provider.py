"""Passengers for Keycloak's user provider, whose reader is strict: five keys, no more and no fewer (seed 003)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from api import commanding
from api.attempts import AttemptLimits, Attempts
from api.passwords import Passwords
from api.railway.asking import PASSENGERS, REFUSALS, mark_of_secret, new_id
from api.railway.engineer_check import begin, passwords_of
from api.railway.fields import STORABLE, Id
from api.railway.parts import Railway
from api.railway.passengers import KEY, known, removed
from api.railway.refusals import RETRY_S, declared
from projections.queries import railway_passengers
from schemas.envelope import seal
from schemas.errors import Overloaded

ATTEMPTS: Final = AttemptLimits(per_name=20, per_source=1200)
"""Checks of a password a minute: of one passenger, and of one Keycloak, behind which everybody is."""
Said = Annotated[str, Field(max_length=256), STORABLE]
Password = Annotated[str, Field(max_length=4096)]


class NewUser(BaseModel):
    """Who registers; empty is the same as not said."""

    username: Said = ""
    full_name: Said = ""
    email: Said = ""
    password: Annotated[Password, Field(repr=False)]


class UserChange(BaseModel):
    """What is said of a user from now on; null leaves it, and so does an empty password."""

    full_name: Said | None = None
    email: Said | None = None
    password: Annotated[Password | None, Field(repr=False)] = None


class User(BaseModel):
    """A user as the provider reads it; `created_at` in Unix seconds."""

    username: str
    full_name: str
    email: str
    id: str
    created_at: int


class Credentials(BaseModel):
    """Who says to be whom."""

    user_id: Id
    password: Annotated[Password, Field(repr=False)]


class Validity(BaseModel):
    """Whether a password is somebody's."""

    valid: bool


def build(railway: Railway) -> APIRouter:
    """The routes under /user-provider, for whoever is let in as administrator."""
    router = APIRouter(
        prefix="/user-provider/users", tags=["user provider"],
        dependencies=[Depends(railway.admin)], responses=declared(401, 403),
    )  # fmt: skip
    passwords = passwords_of(railway)
    _add_reading(router, railway)
    _add_validation(router, railway, passwords)
    _add_writing(router, railway, passwords)
    return router


def shown(row: Mapping[str, Any]) -> User:
    """A row of `users` as it is answered; what was not said is empty."""
    said = {"username": row["username"] or "", "full_name": row["name"] or "", "email": row["email"] or ""}
    return User(**said, id=str(row["id"]), created_at=int(row["created_at"].timestamp()))


def _written(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Many users as JSON; takes a while."""
    return orjson.dumps([shown(row).model_dump() for row in rows])


def _add_reading(router: APIRouter, railway: Railway) -> None:
    @router.get("/all", summary="Users", response_model=list[User])
    async def everybody() -> Response:
        """All users, the first created first."""
        rows = await railway.database.read(railway_passengers.everybody)
        return Response(await asyncio.to_thread(_written, rows), media_type="application/json")

    @router.get("/id/{user_id}", summary="A user", responses=declared(404))
    async def by_id(user_id: Id) -> User:
        """The user of this id."""
        return shown(await known(railway, user_id))

    @router.get("/username/{name:path}", summary="A user by name", responses=declared(404))
    async def by_name(name: Annotated[str, Path(max_length=256), STORABLE]) -> User:
        """The user of this name, or else of this e-mail."""
        return _found(await railway.database.read(partial(railway_passengers.registered, username=name, email=name)))

    @router.get("/email/{email:path}", summary="A user by e-mail", responses=declared(404))
    async def by_email(email: Annotated[str, Path(max_length=256), STORABLE]) -> User:
        """The user of this e-mail."""
        return _found(await railway.database.read(partial(railway_passengers.registered, email=email)))


def _found(row: Mapping[str, Any] | None) -> User:
    if row is None:
        raise HTTPException(404, "User not found")
    return shown(row)


def _add_validation(router: APIRouter, railway: Railway, passwords: Passwords) -> None:
    attempts = Attempts(ATTEMPTS)

    @router.get("/validate", summary="Is this the password?", responses=declared(429))
    async def validate(request: Request, shown: Credentials) -> Validity:
        """Never so for an empty password, nor for somebody unknown, which takes as long."""
        address = railway.client(request)
        begin(attempts, address, shown.user_id)
        try:
            row = await railway.database.read(partial(railway_passengers.user, user_id=shown.user_id))
            fits = await passwords.fits(shown.password, row["password"] if row else None)
        except Overloaded as busy:
            raise HTTPException(503, str(busy), {"Retry-After": RETRY_S}) from busy
        valid = fits and shown.password != ""
        if valid:
            attempts.succeeded(address, shown.user_id)
        return Validity(valid=valid)


def _add_writing(router: APIRouter, railway: Railway, passwords: Passwords) -> None:
    admin: Any = Depends(railway.admin)

    @router.post("", summary="Register", responses=declared(409))
    async def register(request: Request, new: NewUser, by: str | None = admin) -> User:
        """409: the user name, or the e-mail, is somebody's."""
        user_id = new_id(request, by, "user")
        details = {"name": new.full_name, "username": new.username or None, "email": new.email or None}
        record = {
            "user_id": user_id,
            "details": await _sealed(railway, passwords, user_id, details, new.password),
            "name_is_taken_once": False,
            "by": by,
        }
        asked = commanding.Asked("AddPassenger", KEY, record, PASSENGERS, REFUSALS)
        said = new.model_dump(exclude={"password"})
        meant = said | {"password": mark_of_secret(request, railway, new.password)}
        created_us = ((await commanding.decided(request, railway.writer, asked, meant)).result or {})["created_us"]
        return User(**said, id=user_id, created_at=created_us // 1_000_000)

    @router.patch("/{user_id}", summary="Change", responses=declared(404, 409))
    async def change(request: Request, user_id: Id, wanted: UserChange, by: str | None = admin) -> User:
        """The user as it is now. 409: the e-mail is somebody's."""
        row = await known(railway, user_id)
        changes = {"name": wanted.full_name, "email": wanted.email}
        if wanted.password or any(value is not None for value in changes.values()):
            details = await _sealed(railway, passwords, user_id, changes | {"username": None}, wanted.password)
            record = {"user_id": user_id, "details": details, "by": by}
            asked = commanding.Asked("ChangePassenger", KEY, record, PASSENGERS, REFUSALS)
            meant = changes | {"password": mark_of_secret(request, railway, wanted.password)}
            await commanding.decided(request, railway.writer, asked, meant)
        return shown({**row, **{name: value for name, value in changes.items() if value is not None}})

    @router.delete("/{user_id}", status_code=204, summary="Remove", responses=declared(404))
    async def remove(request: Request, user_id: Id, by: str | None = admin) -> Response:
        """Remove a user with tickets, links and face."""
        await removed(request, railway, user_id, by)
        return Response(status_code=204)


async def _sealed(
    railway: Railway, passwords: Passwords, user_id: str, details: Mapping[str, Any], password: str | None
) -> Mapping[str, Any]:
    """What is said of a passenger in an envelope; an empty password is none."""
    try:
        hashed = await passwords.hash(password) if password else None
    except Overloaded as busy:
        raise HTTPException(503, str(busy), {"Retry-After": RETRY_S}) from busy
    return seal(railway.keyring, f"passenger/{user_id}", "PassengerDetails", {**details, "password_hash": hashed})
