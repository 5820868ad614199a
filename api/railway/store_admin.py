"""Store server, `/admin`: stores are made, listed, shown and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, HTTPException, Request

from api.railway.asking import STORES, decided, new_id
from api.railway.fields import Id, Ok
from api.railway.paging import Page, Paged, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.store_shapes import Ids, NewStore, Store, store
from projections.queries import railway_stores

KEY: Final = "stores"
"""Key of the commands of the directory of stores."""
NO_STORE: Final = "Store not found"


def build(railway: Railway) -> APIRouter:
    """The routes; whoever `railway.admin` lets in may call them."""
    router = APIRouter(prefix="/admin", tags=["admin"])
    _add_changes(router, railway, Depends(railway.admin))
    _add_reads(router, railway, Depends(railway.admin))
    return router


def _add_changes(router: APIRouter, railway: Railway, admin: Any) -> None:
    @router.post("/store", summary="Create a store", responses=declared(401, 403, 409))
    async def create(request: Request, new: NewStore, by: str | None = admin) -> Store:
        """The store, without items; 409 when another has its name."""
        record = {"store_id": new_id(request, by, "store"), **new.model_dump(), "by": by}
        await decided(request, railway, "CreateStore", KEY, record, STORES)
        return store(record | {"id": record["store_id"]})

    @router.delete("/store/{store_id}", summary="Delete a store", responses=declared(401, 403, 404, 409))
    async def delete(request: Request, store_id: Id, by: str | None = admin) -> Ok:
        """With its items, its tasks, its trains and its terminal; purchases stay in the accounts."""
        record = {"store_id": store_id, "by": by}
        await decided(request, railway, "DeleteStore", KEY, record, STORES)
        return Ok()


def _add_reads(router: APIRouter, railway: Railway, admin: Any) -> None:
    @router.get("/stores", summary="Stores", responses=declared(401, 403))
    async def listing(paging: Paged, by: str | None = admin) -> Page[Store]:
        """The oldest first, without their items."""
        del by
        read = partial(railway_stores.listing, page=paging.page, size=paging.size)
        rows, total = await railway.database.read(read)
        return page_of([store(row) for row in rows], total, paging)

    @router.get("/store/{store_id}", summary="A store", responses=declared(401, 403, 404))
    async def one(store_id: Id, by: str | None = admin) -> Store:
        """With all its items."""
        del by
        return await whole(railway, store_id)

    # A body in a GET is what the Base server of the seed sends.
    @router.get("/ids/stores", summary="Stores by their ids", responses=declared(401, 403))
    async def some(asked: Annotated[Ids, Body()], by: str | None = admin) -> Sequence[Store]:
        """In the order asked for, each once; unknown ids are left out."""
        del by
        return await by_ids(railway, asked.ids)


async def whole(railway: Railway, store_id: str) -> Store:
    """A store with its items. Raises HTTPException 404."""
    row = await railway.database.read(partial(railway_stores.one, store_id=store_id))
    if row is None:
        raise HTTPException(404, NO_STORE)
    return store(row, await railway.database.read(partial(railway_stores.all_items, store_id=store_id)))


async def by_ids(railway: Railway, ids: Sequence[str]) -> Sequence[Store]:
    """Those of the stores that there are, in the order of their ids, without items."""
    wanted = list(dict.fromkeys(ids))
    rows = await railway.database.read(partial(railway_stores.by_ids, ids=wanted))
    found = {str(row["id"]): row for row in rows}
    return [store(found[one]) for one in wanted if one in found]
