"""Store server, `/store`: a store's terminal keeps its items."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request

from api.railway.asking import STORES, decided, new_id
from api.railway.fields import Id, Ok
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import store_of
from api.railway.store_admin import NO_STORE
from api.railway.store_shapes import Item, ItemChange, NewItem, item
from projections.queries import railway_stores

NO_ITEM: Final = "Item not found"
_BLANK: Final = {"name": "", "description": "", "logo_url": "", "balance": None, "price_penny": 0, "category": ""}
_CHANGED: Final = ("name", "description", "logo_url", "price_penny", "category")


def build(railway: Railway) -> APIRouter:
    """The routes; only a store that has signed in may call them, and only for its own items."""
    router = APIRouter(prefix="/store", tags=["store"])
    _add_reads(router, railway, Depends(store_of(railway)))
    _add_changes(router, railway, Depends(store_of(railway)))
    return router


def _add_reads(router: APIRouter, railway: Railway, mine: Any) -> None:
    @router.get("/items", summary="Items", responses=declared(401, 404))
    async def listing(paging: Paged, store_id: str = mine) -> Page[Item]:
        """The store's own, the oldest first."""
        await must_be(railway, store_id)
        read = partial(railway_stores.items, store_id=store_id, page=paging.page, size=paging.size)
        rows, total = await railway.database.read(read)
        return page_of([item(row) for row in rows], total, paging)

    @router.get("/item/{item_id}", summary="An item", responses=declared(401, 404))
    async def one(item_id: Id, store_id: str = mine) -> Item:
        """One of the store's own."""
        row = await railway.database.read(partial(railway_stores.item, store_id=store_id, item_id=item_id))
        if row is None:
            raise HTTPException(404, NO_ITEM)
        return item(row)


def _add_changes(router: APIRouter, railway: Railway, mine: Any) -> None:
    @router.post("/item", summary="Add an item", responses=declared(401, 404, 409))
    async def add(request: Request, new: NewItem, store_id: str = mine) -> Item:
        """Without a balance, or with null, it does not run out; 0 is sold out."""
        item_id = new_id(request, store_id, "item")
        told = new.model_dump(include=set(_CHANGED)) | {"balance": new.stock}
        record = {"store_id": store_id, "item_id": item_id, **told, "by": store_id}
        await decided(request, railway, "AddItem", store_id, record, STORES)
        return item(told | {"id": item_id})

    @router.put("/item", summary="Change an item", responses=declared(401, 404, 409))
    async def change(request: Request, asked: ItemChange, store_id: str = mine) -> Item:
        """Keys that are absent keep their value; a balance of null means that it does not run out."""
        told: dict[str, Any] = {name: getattr(asked, name) for name in _CHANGED}
        stock = {"balance_given": asked.has_stock, "balance": asked.stock if asked.has_stock else None}
        record = {"store_id": store_id, "item_id": asked.id, **told, **stock, "by": store_id}
        await decided(request, railway, "ChangeItem", store_id, record, STORES)
        row = await railway.database.read(partial(railway_stores.item, store_id=store_id, item_id=asked.id))
        given = {name: value for name, value in told.items() if value is not None}
        given |= {"balance": asked.stock} if asked.has_stock else {}
        # What is given goes over what is read, for the read model may be late.
        return item(_BLANK | dict(row or {}) | given | {"id": asked.id})

    @router.delete("/item/{item_id}", summary="Remove an item", responses=declared(401, 404, 409))
    async def remove(request: Request, item_id: Id, store_id: str = mine) -> Ok:
        """What was bought of it stays in the history."""
        record = {"store_id": store_id, "item_id": item_id, "by": store_id}
        await decided(request, railway, "RemoveItem", store_id, record, STORES)
        return Ok()


async def must_be(railway: Railway, store_id: str) -> None:
    """Raises HTTPException 404 where there is no such store (any more)."""
    if await railway.database.read(partial(railway_stores.one, store_id=store_id)) is None:
        raise HTTPException(404, NO_STORE)
