"""Hotels and attractions of a destination: what robots tell passengers, and who looks after it (seed 003)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from api.railway.asking import PLACES, decided, new_id
from api.railway.fields import STORABLE, Id, Ok
from api.railway.paging import Page, Paged, Paging, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import robot_of
from projections.queries import railway_places
from projections.queries.railway_places import Kind

Short = Annotated[str, Field(max_length=256), STORABLE]
Long = Annotated[str, Field(max_length=1024), STORABLE]
Destination = Annotated[str, Path(max_length=256), STORABLE]


class NewPlace(BaseModel):
    """A hotel or an attraction; `logo_url` is a path such as /static/logos/hotels/1.png."""

    name: Short
    description: Long
    logo_url: Short


class Place(BaseModel):
    """A hotel or an attraction."""

    id: str
    name: str
    description: str
    logo_url: str


def build(railway: Railway) -> APIRouter:
    """The routes under /admin and /robot."""
    router = APIRouter(tags=["places"], responses=declared(401, 403))
    _add_lists(router, railway, "/admin", Depends(railway.admin))
    _add_lists(router, railway, "/robot", Depends(robot_of(railway)))
    _add_writing(router, railway)
    return router


def _add_lists(router: APIRouter, railway: Railway, prefix: str, allowed: Any) -> None:
    @router.get(prefix + "/destination/{destination_id}/hotels", summary="Hotels", dependencies=[allowed])
    async def hotels(destination_id: Destination, paging: Paged) -> Page[Place]:
        """Hotels of a destination, the first added first; none for an unknown one."""
        return await _page(railway, "HOTEL", destination_id, paging)

    @router.get(prefix + "/destination/{destination_id}/attractions", summary="Attractions", dependencies=[allowed])
    async def attractions(destination_id: Destination, paging: Paged) -> Page[Place]:
        """Attractions of a destination, the first added first; none for an unknown one."""
        return await _page(railway, "ATTRACTION", destination_id, paging)


def _add_writing(router: APIRouter, railway: Railway) -> None:
    admin: Any = Depends(railway.admin)

    @router.post("/admin/destination/{destination_id}/hotel", summary="Add a hotel", responses=declared(409))
    async def add_hotel(request: Request, destination_id: Destination, new: NewPlace, by: str | None = admin) -> Place:
        """Add a hotel to a destination."""
        return await _added(request, railway, _Adding("HOTEL", destination_id, by), new)

    @router.post("/admin/destination/{destination_id}/attraction", summary="Add an attraction", responses=declared(409))
    async def add_attraction(
        request: Request, destination_id: Destination, new: NewPlace, by: str | None = admin
    ) -> Place:
        """Add an attraction to a destination."""
        return await _added(request, railway, _Adding("ATTRACTION", destination_id, by), new)

    @router.delete("/admin/destination_info/hotel/{hotel_id}", summary="Remove a hotel")
    async def remove_hotel(request: Request, hotel_id: Id, by: str | None = admin) -> Ok:
        """Remove a hotel; done also when there is none."""
        return await _removed(request, railway, "HOTEL", hotel_id, by)

    @router.delete("/admin/destination_info/attraction/{attraction_id}", summary="Remove an attraction")
    async def remove_attraction(request: Request, attraction_id: Id, by: str | None = admin) -> Ok:
        """Remove an attraction; done also when there is none."""
        return await _removed(request, railway, "ATTRACTION", attraction_id, by)


@dataclass(frozen=True, slots=True)
class _Adding:
    kind: Kind
    destination_id: str
    by: str | None


async def _page(railway: Railway, kind: Kind, destination_id: str, paging: Paging) -> Page[Place]:
    whose = {"kind": kind, "destination_id": destination_id}
    asked = partial(railway_places.places, **whose, page=paging.page, size=paging.size)
    rows, total = await railway.database.read(asked)
    return page_of([_shown(row) for row in rows], total, paging)


async def _added(request: Request, railway: Railway, adding: _Adding, new: NewPlace) -> Place:
    place_id = new_id(request, adding.by, adding.kind)
    record = {"place_id": place_id} | asdict(adding) | new.model_dump()
    await decided(request, railway, "AddPlace", "places", record, PLACES)
    return Place(id=place_id, **new.model_dump())


async def _removed(request: Request, railway: Railway, kind: Kind, place_id: str, by: str | None) -> Ok:
    record = {"place_id": place_id, "kind": kind, "by": by}
    await decided(request, railway, "RemovePlace", "places", record, PLACES)
    return Ok()


def _shown(row: Mapping[str, Any]) -> Place:
    return Place(id=str(row["id"]), **{name: row[name] for name in ("name", "description", "logo_url")})
