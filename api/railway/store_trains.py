"""Base server: which stores are on board of a train."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError

from api.railway.asking import STORES, decided, new_id
from api.railway.fields import Id, Int32, Moment, Ok, microseconds
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import robot_of
from api.railway.store_admin import KEY
from api.railway.store_shapes import Store, Trip, store
from projections.queries import railway_stores

ON_BOARD: Final = 50
"""Stores that a robot is told of, at most."""


def build(railway: Railway) -> APIRouter:
    """The routes, under `/admin` for whoever `railway.admin` lets in, under `/robot` for robots."""
    router = APIRouter()
    _add_admin(router, railway, Depends(railway.admin))
    robot: Any = Depends(robot_of(railway))

    @router.get("/robot/train/stores", tags=["robot"], summary="Stores of a train", responses=declared(401))
    async def on_board(robot_id: str = robot, trip: Trip = _TRIP) -> Sequence[Store]:
        """Without their items; the train as JSON in the body, or in the query."""
        del robot_id
        read = partial(railway_stores.on_board, **_train(trip), limit=ON_BOARD)
        return [store(row) for row in await railway.database.read(read)]

    return router


def _add_admin(router: APIRouter, railway: Railway, admin: Any) -> None:
    @router.post(
        "/admin/store/{store_id}/train",
        tags=["admin"],
        summary="A store goes on board",
        responses=declared(401, 403, 404, 409),
    )
    async def bind(request: Request, store_id: Id, trip: Trip, by: str | None = admin) -> Ok:
        """404 when there is no such store, 409 when it is on board already."""
        record = {"binding_id": new_id(request, by, "binding"), "store_id": store_id, **_train(trip), "by": by}
        try:
            await decided(request, railway, "BindTrainStore", KEY, record, STORES)
        except HTTPException as refusal:
            if refusal.status_code == 404:
                raise HTTPException(404, "Store id not found") from refusal
            raise
        return Ok()

    @router.delete(
        "/admin/store/{store_id}/train/unbind",
        tags=["admin"],
        summary="A store leaves a train",
        responses=declared(401, 403, 409),
    )
    async def unbind(request: Request, store_id: Id, trip: Annotated[Trip, Body()], by: str | None = admin) -> Ok:
        """Done, too, when it was not on board."""
        record = {"store_id": store_id, **_train(trip), "by": by}
        await decided(request, railway, "UnbindTrainStore", KEY, record, STORES)
        return Ok()

    @router.get("/admin/train/stores", tags=["admin"], summary="Ids of a train's stores", responses=declared(401, 403))
    async def bound(paging: Paged, by: str | None = admin, trip: Trip = _TRIP) -> Page[str]:
        """The train as JSON in the body, or in the query."""
        del by
        read = partial(railway_stores.bound, **_train(trip), page=paging.page, size=paging.size)
        rows, total = await railway.database.read(read)
        return page_of([str(row["store_id"]) for row in rows], total, paging)


def _asked(
    trip: Annotated[Trip | None, Body()] = None,
    train_number: Annotated[Int32 | None, Query(description="Instead of the body.")] = None,
    train_date: Annotated[Moment | None, Query(description="Instead of the body.")] = None,
) -> Trip:
    """The body, which a browser cannot send with a GET, or else the query. Raises RequestValidationError."""
    if trip is not None:
        return trip
    given = {"train_number": train_number, "train_date": train_date}
    if missing := [name for name, value in given.items() if value is None]:
        told = {"type": "missing", "msg": "Field required", "input": None}
        raise RequestValidationError([told | {"loc": ("query", name)} for name in missing])
    return Trip.model_validate(given)


_TRIP: Any = Depends(_asked)


def _train(trip: Trip) -> dict[str, int]:
    return {"train_number": trip.train_number, "train_date_us": microseconds(trip.train_date)}
