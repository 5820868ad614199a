"""Store server, `/robot`: a robot shows stores to passengers and buys for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Depends, Request

from api.railway.fields import Id
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import robot_of
from api.railway.store_admin import by_ids, whole
from api.railway.store_sales import bought
from api.railway.store_shapes import Ids, Item, Purchase, PurchaseAsked, Store, item
from projections.queries import railway_stores

RECOMMENDED: Final = 8
"""Recommendations, at most."""


def build(railway: Railway) -> APIRouter:
    """The routes; only a robot that has signed in may call them."""
    router = APIRouter(prefix="/robot", tags=["robot"])
    robot: Any = Depends(robot_of(railway))

    @router.get("/store/{store_id}", summary="A store", responses=declared(401, 404))
    async def one(store_id: Id, robot_id: str = robot) -> Store:
        """With all its items."""
        del robot_id
        return await whole(railway, store_id)

    @router.post("/store/{store_id}/make_purchase", summary="Buy", responses=declared(401, 404, 409))
    async def buy(request: Request, store_id: Id, asked: PurchaseAsked, robot_id: str = robot) -> Purchase:
        """Takes the items from the stock, all or none, and makes a task for the store."""
        return await bought(request, railway, store_id, asked, ("ROBOT", robot_id))

    @router.get(
        "/store/{store_id}/user/{user_id}/recommendations", summary="What a passenger may like", responses=declared(401)
    )
    async def recommended(store_id: Id, user_id: Id, paging: Paged, robot_id: str = robot) -> Page[Item]:
        """What he bought here last and most, then what is bought here most: at most 8 items."""
        del robot_id
        rows = await railway.database.read(partial(railway_stores.recommended, store_id=store_id, user_id=user_id))
        found = [item(row) for row in rows[:RECOMMENDED]]
        return page_of(found[paging.offset : paging.offset + paging.size], len(found), paging)

    @router.post("/stores/list", summary="Stores by their ids", responses=declared(401))
    async def some(asked: Ids, robot_id: str = robot) -> Sequence[Store]:
        """In the order asked for, each once, without items; unknown ids are left out."""
        del robot_id
        return await by_ids(railway, asked.ids)

    return router
