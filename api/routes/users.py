"""People who sign in: login, oneself, and what administrators do with users (seed 002)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field

from api.attempts import Attempts, TooManyAttempts
from api.bodies import documented, reads
from api.commanding import RETRY_S, Asked, Writes, decided
from api.parameters import Text
from api.passwords import Passwords
from api.sign_in import Caller, SignIn, refused
from projections.queries import users
from projections.queries.database import Database
from schemas.envelope import KeyRing, seal
from schemas.errors import Overloaded, SensoriumError

log = logging.getLogger(__name__)

MODEL: Final = "users"
_REFUSALS: Final = {"username_taken": 409, "user_not_found": 404, "self": 400}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

UserName = Annotated[Text, Field(min_length=3, max_length=64)]
FullName = Annotated[Text, Field(min_length=1, max_length=256)]
Password = Annotated[str, Field(min_length=6, max_length=4096)]


class Login(BaseModel):
    """Who signs in."""

    username: UserName
    password: Password = Field(repr=False)


class NewUser(BaseModel):
    """A person who may sign in from now on."""

    username: UserName
    password: Password = Field(repr=False)
    full_name: FullName
    is_admin: bool = False


class UserChange(BaseModel):
    """What may be changed of a user; null leaves it as it is."""

    full_name: FullName | None = None
    password: Password | None = Field(None, repr=False)
    is_admin: bool | None = None
    is_active: bool | None = None


def peer(request: Request) -> str:
    """The address at the other end of the connection."""
    return request.client.host if request.client else ""


@dataclass(frozen=True, slots=True)
class People:
    """What these routes need. `client` tells the address that a request really comes from."""

    database: Database
    writer: Writes
    sign_in: SignIn
    keyring: KeyRing
    passwords: Passwords = field(default_factory=Passwords)
    attempts: Attempts = field(default_factory=Attempts)
    client: Callable[[Request], str] = peer


def build(people: People) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["users"])
    _add_login(router, people)
    _add_reading(router, people)
    _add_writing(router, people)
    return router


def _add_login(router: APIRouter, people: People) -> None:
    read = reads(Login)
    under_way: set[asyncio.Task[None]] = set()

    @router.post("/api/v1/auth/login", summary="Sign in", openapi_extra=documented(Login))
    async def login(request: Request) -> Response:
        """A token for 24 hours. 401 for whoever may not, in the same words and time; 429 after five wrong attempts."""
        asked = await read(request)
        address = people.client(request)
        try:
            people.attempts.begin(address, asked.username)
            row = await people.database.read(partial(users.by_name, username=asked.username))
            fits = await people.passwords.fits(asked.password, row["password_hash"] if row else None)
        except TooManyAttempts as many:
            raise HTTPException(429, str(many), {"Retry-After": str(many.retry_after_s)}) from many
        except Overloaded as busy:
            raise HTTPException(503, str(busy), {"Retry-After": RETRY_S}) from busy
        if row is None or not fits or not row["is_active"]:
            raise refused("Incorrect username or password")
        people.attempts.succeeded(address, asked.username)
        telling = asyncio.create_task(_tell_sign_in(people.writer, row["user_id"]))
        under_way.add(telling)
        telling.add_done_callback(under_way.discard)
        token = people.sign_in.token_of(row["user_id"])
        user = _user(row | {"last_login_at": datetime.now(UTC)})
        return _json({"access_token": token, "token_type": "bearer", "user": user})


async def _tell_sign_in(writer: Writes, user_id: str) -> None:
    """Nobody waits for it: signing in works while Kafka is away."""
    try:
        await writer.tell("RecordSignIn", user_id, {"user_id": user_id})
    except SensoriumError as failure:
        log.warning("the sign-in of user %s is not recorded: %s", user_id, failure)


def _add_reading(router: APIRouter, people: People) -> None:
    myself: Any = Depends(people.sign_in.user)
    administrator: Any = Depends(people.sign_in.administrator)

    @router.get("/api/v1/users/me", summary="Oneself")
    async def me(caller: Caller = myself) -> Response:
        """Whoever asks."""
        row = await people.database.read(partial(users.one, user_id=UUID(caller.user_id)))
        if row is None:
            raise refused("Could not validate credentials")
        return _json(_user(row))

    @router.get("/api/v1/users", summary="Users")
    async def listing(caller: Caller = administrator) -> Response:
        """All users, the oldest first."""
        del caller
        return _json([_user(row) for row in await people.database.read(users.listing)])


def _add_writing(router: APIRouter, people: People) -> None:
    administrator: Any = Depends(people.sign_in.administrator)
    read_new, read_change = reads(NewUser), reads(UserChange)

    @router.post("/api/v1/users", status_code=201, summary="Create a user", openapi_extra=documented(NewUser))
    async def create(request: Request, caller: Caller = administrator) -> Response:
        """201 with the user; 409 when the name is taken."""
        new = await read_new(request)
        user_id = str(uuid.uuid4())
        record = await creation(people, new, user_id, caller.by)
        asked = Asked("CreateUser", user_id, record, MODEL, _REFUSALS)
        answer = await decided(request, people.writer, asked, new.model_dump(exclude={"password"}))
        told = answer.result or {}
        created = _EPOCH + told["created_us"] * datetime.resolution
        names = {"username": new.username, "full_name": new.full_name, "is_admin": new.is_admin, "is_active": True}
        return _json(_user({"user_id": told["user_id"], "created_at": created, "last_login_at": None} | names), 201)

    @router.patch("/api/v1/users/{user_id}", summary="Change a user", openapi_extra=documented(UserChange))
    async def change(request: Request, user_id: UUID, caller: Caller = administrator) -> Response:
        """Change what is given; who is made inactive is signed out at once."""
        wanted = await read_change(request)
        changes = {name: value for name, value in wanted.model_dump().items() if value is not None}
        if changes:
            record = await _changing(people, wanted, str(user_id), caller.by)
            asked = Asked("ChangeUser", str(user_id), record, MODEL, _REFUSALS)
            await decided(request, people.writer, asked, wanted.model_dump(exclude={"password"}))
        row = await people.database.read(partial(users.one, user_id=user_id))
        if row is None and changes:
            raise HTTPException(503, "The user is not visible yet", {"Retry-After": RETRY_S})
        if row is None:
            raise HTTPException(404, "User not found")
        return _json(_user(row | changes))

    @router.delete("/api/v1/users/{user_id}", status_code=204, summary="Delete a user")
    async def delete(request: Request, user_id: UUID, caller: Caller = administrator) -> Response:
        """204; who is deleted is signed out at once, and the name is free again."""
        record = {"user_id": str(user_id), "by": caller.by}
        await decided(request, people.writer, Asked("DeleteUser", str(user_id), record, MODEL, _REFUSALS), record)
        return Response(status_code=204)


async def creation(people: People, new: NewUser, user_id: str, by: str) -> dict[str, Any]:
    """The record of CreateUser; the password is hashed and sealed before it leaves this process."""
    details = {
        "username": new.username,
        "full_name": new.full_name,
        "password_hash": await _hash(people.passwords, new.password),
    }
    sealed = seal(people.keyring, f"user/{user_id}", "UserDetails", details)
    return {"user_id": user_id, "details": sealed, "is_admin": new.is_admin, "by": by}


async def _changing(people: People, wanted: UserChange, user_id: str, by: str) -> dict[str, Any]:
    hashed = None if wanted.password is None else await _hash(people.passwords, wanted.password)
    details = {"username": None, "full_name": wanted.full_name, "password_hash": hashed}
    told = wanted.full_name is not None or hashed is not None
    sealed = seal(people.keyring, f"user/{user_id}", "UserDetails", details) if told else None
    flags = {"is_admin": wanted.is_admin, "is_active": wanted.is_active}
    return {"user_id": user_id, "details": sealed, "by": by} | flags


async def _hash(passwords: Passwords, password: str) -> str:
    try:
        return await passwords.hash(password)
    except Overloaded as busy:
        raise HTTPException(503, str(busy), {"Retry-After": RETRY_S}) from busy


def _user(row: dict[str, Any]) -> dict[str, Any]:
    """A User on the wire: its times end with +00:00."""
    names = ("user_id", "username", "full_name", "is_admin", "is_active")
    times = {name: _time(row[name]) for name in ("created_at", "last_login_at")}
    return {name: row[name] for name in names} | times


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
