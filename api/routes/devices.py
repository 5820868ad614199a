"""Recorders: registered, listed, let in and shut out, named; and what happened to them (seed 002 and more)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from api import cursors
from api.answers import json_answer
from api.bodies import documented, reads
from api.commanding import Asked, Writes, decided
from api.parameters import Text
from api.sign_in import Caller, SignIn
from projections.queries import devices
from projections.queries.database import Database

MODEL: Final = "devices"
ADMIN: Final = "/api/v1/admin"
HISTORY: Final = "/v1/sales/devices/{device_id}/history"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = datetime.resolution
_REFUSALS: Final = {"device_exists": 409, "token_taken": 409, "device_not_found": 404}


class NewDevice(BaseModel):
    """What registers a recorder; the token has another name in one of seed 002's scripts."""

    model_config = ConfigDict(populate_by_name=True)

    point_id: UUID
    register_id: UUID
    device_id: UUID
    token_plain: str = Field(min_length=16, max_length=4096, validation_alias=AliasChoices("token_plain", "token"))
    is_enabled: bool | None = None


class DeviceChange(BaseModel):
    """What may be changed of a recorder; null leaves it as it is."""

    is_enabled: bool | None = None


class Name(BaseModel):
    """A name for a point of sale or a cash register."""

    name: Annotated[Text, Field(min_length=1, max_length=255)]


class HistoryQuery(BaseModel):
    """A page of a device's history."""

    limit: int = Field(100, ge=1, le=1000, description="Entries a page, the newest first.")
    after: str | None = Field(None, description="Cursor of the next page, from the Link header.")


def build(database: Database, writer: Writes, sign_in: SignIn) -> APIRouter:
    """The routes over one database, one writer and one way to sign in."""
    router = APIRouter(tags=["devices"])
    _add_admin(router, database, writer, sign_in)
    _add_names(router, writer, sign_in)
    _add_history(router, database, sign_in)
    return router


def _add_admin(router: APIRouter, database: Database, writer: Writes, sign_in: SignIn) -> None:
    known: Any = Depends(sign_in.caller)
    read_new, read_change = reads(NewDevice), reads(DeviceChange)

    @router.post(f"{ADMIN}/devices", status_code=201, summary="Register", openapi_extra=documented(NewDevice))
    async def register(request: Request, caller: Caller = known) -> Response:
        """201 with the device; 409 when the device, or another with this token, is there already."""
        new = await read_new(request)
        record = _registration(new, caller)
        asked = Asked("RegisterDevice", record["device_id"], record, MODEL, _REFUSALS)
        answer = await decided(request, writer, asked, record)
        return _json(_told(answer.result or {}), 201)

    @router.get(f"{ADMIN}/devices", summary="Recorders")
    async def listing(caller: Caller = known) -> Response:
        """All devices, the newest first."""
        del caller
        return _json([_device(row) for row in await database.read(devices.listing)])

    @router.patch(f"{ADMIN}/devices/{{device_id}}", summary="Let in, shut out", openapi_extra=documented(DeviceChange))
    async def change(request: Request, device_id: UUID, caller: Caller = known) -> Response:
        """Let a device in or shut it out: within a second its token is refused."""
        wanted = (await read_change(request)).is_enabled
        told: dict[str, Any] = {}
        if wanted is not None:
            record = {"device_id": str(device_id), "is_enabled": wanted, "by": caller.by}
            asked = Asked("SetDeviceEnabled", str(device_id), record, MODEL, _REFUSALS)
            told = _told((await decided(request, writer, asked, record)).result or {})
        row = await database.read(partial(devices.one, device_id=device_id))
        if row is None and not told:
            raise HTTPException(404, "Device not found")
        return _json((_device(row) if row else {}) | told | {"point_name": None, "register_name": None} | _seen(row))


def _add_names(router: APIRouter, writer: Writes, sign_in: SignIn) -> None:
    known: Any = Depends(sign_in.caller)
    read_name = reads(Name)

    async def name(request: Request, caller: Caller, command: str, key: str, of: UUID) -> Response:
        wanted = (await read_name(request)).name
        record = {key: str(of), "name": wanted, "by": caller.by}
        await decided(request, writer, Asked(command, str(of), record, MODEL, _REFUSALS), record)
        return _json({key: str(of), "name": wanted})

    @router.patch(f"{ADMIN}/points/{{point_id}}", summary="Name a point", openapi_extra=documented(Name))
    async def name_point(request: Request, point_id: UUID, caller: Caller = known) -> Response:
        """Call a point of sale so, whether it has devices yet or not."""
        return await name(request, caller, "NamePoint", "point_id", point_id)

    @router.patch(f"{ADMIN}/registers/{{register_id}}", summary="Name a register", openapi_extra=documented(Name))
    async def name_register(request: Request, register_id: UUID, caller: Caller = known) -> Response:
        """Call a cash register so, whether it has devices yet or not."""
        return await name(request, caller, "NameRegister", "register_id", register_id)


def _add_history(router: APIRouter, database: Database, sign_in: SignIn) -> None:
    known: Any = Depends(sign_in.caller)

    @router.get(HISTORY, summary="What happened to a recorder")
    async def history(
        request: Request, device_id: UUID, query: Annotated[HistoryQuery, Query()], caller: Caller = known
    ) -> Response:
        """The device (null until it is registered), what it deleted unsent, and what happened to it."""
        del caller
        after: Any = cursors.read(query.after, cursors.EpochUs, str, int, int)
        row = await database.read(partial(devices.one, device_id=device_id))
        read = partial(devices.history, device_id=device_id, after=after, limit=query.limit + 1)
        rows = await database.read(read)
        dropped = await database.read(partial(devices.dropped, device_id=device_id))
        if row is None and not rows:
            raise HTTPException(404, "Device not found")
        kept = rows[: query.limit]
        last = _cursor(kept[-1]) if len(rows) > len(kept) else None
        content = {
            "device": _device(row) if row else None,
            "dropped": dropped | {"last_at": _time(dropped["last_at"])},
            "count": len(kept),
            "events": [entry | {"at": _time(entry["at"])} for entry in kept],
        }
        return json_answer(request, content, after=last)


def _registration(new: NewDevice, caller: Caller) -> dict[str, Any]:
    """The command's record: of the token only its hash."""
    return {
        "device_id": str(new.device_id),
        "point_id": str(new.point_id),
        "register_id": str(new.register_id),
        "token_sha256": sha256(new.token_plain.encode()).hexdigest(),
        "is_enabled": new.is_enabled is not False,
        "by": caller.by,
    }


def _told(result: Any) -> dict[str, Any]:
    """A Device as the decider tells it; names are not told in answers to changes."""
    created = _EPOCH + result["created_us"] * _MICROSECOND
    return {
        "device_id": result["device_id"],
        "point_id": result["point_id"],
        "register_id": result["register_id"],
        "is_enabled": result["is_enabled"],
        "created_at": _time(created),
        "last_seen_at": None,
        "point_name": None,
        "register_name": None,
    }


def _device(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"created_at": _time(row["created_at"])} | _seen(row)


def _seen(row: dict[str, Any] | None) -> dict[str, Any]:
    return {"last_seen_at": _time(row["last_seen_at"]) if row else None}


def _time(moment: datetime | None) -> str | None:
    """UTC with Z; a fraction of six digits unless it is zero."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _cursor(row: dict[str, Any]) -> str:
    at_us = (row["at"] - _EPOCH) // _MICROSECOND
    return cursors.write(at_us, row["topic"], row["kafka_partition"], row["kafka_offset"])


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
