"""Store server, `/store`: a store's terminal sells, and does what purchases ask for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from api.railway.asking import STORES, decided, new_id
from api.railway.fields import Id, Ok, moment_text
from api.railway.paging import Page, Paged, Paging, page_of
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import store_of
from api.railway.store_items import must_be
from api.railway.store_shapes import Line, Purchase, PurchaseAsked, Row, Task, as_json
from projections.queries import railway_stores

Ready = Annotated[bool, Query(description="Those too that are done.")]
_OF_ADMIN: Final = declared(401, 403, 404)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def build(railway: Railway) -> APIRouter:
    """The routes; a store that has signed in calls them, only for itself, and an administrator looks at its tasks."""
    router = APIRouter()
    mine: Any = Depends(store_of(railway))
    admin: Any = Depends(railway.admin)

    @router.post("/store/purchase", tags=["store"], summary="Sell", responses=declared(401, 404, 409))
    async def sell(request: Request, asked: PurchaseAsked, store_id: str = mine) -> Purchase:
        """Takes the items from the stock, all or none, and makes a task."""
        return await bought(request, railway, store_id, asked, ("STORE", store_id))

    @router.get("/store/tasks", tags=["store"], summary="Tasks", responses=declared(401, 404))
    async def tasks(paging: Paged, also_ready_tasks: Ready = False, store_id: str = mine) -> Page[Task]:
        """What the store has to do, the oldest first."""
        return await listed(railway, store_id, also_ready_tasks, paging)

    @router.get("/admin/store/{store_id}/tasks", tags=["admin"], summary="A store's tasks", responses=_OF_ADMIN)
    async def tasks_of(
        store_id: Id, paging: Paged, also_ready_tasks: Ready = False, by: str | None = admin
    ) -> Page[Task]:
        """The same list, for who keeps the railway."""
        del by
        return await listed(railway, store_id, also_ready_tasks, paging)

    async def complete(request: Request, task_id: Id, store_id: str = mine) -> Ok:
        """One way, and as often as wanted."""
        record = {"store_id": store_id, "task_id": task_id, "by": store_id}
        try:
            await decided(request, railway, "CompleteTask", store_id, record, STORES)
        except HTTPException as refusal:
            if refusal.status_code != 404 or not await _is_done(railway, store_id, task_id):
                raise
        return Ok()

    router.put(
        "/store/task/{task_id}/ready", tags=["store"], summary="A task is done", responses=declared(401, 404, 409)
    )(complete)
    # The console of the seed calls it so.
    router.put("/store/task/{task_id}", include_in_schema=False)(complete)
    return router


async def bought(
    request: Request, railway: Railway, store_id: str, asked: PurchaseAsked, seller: tuple[str, str]
) -> Purchase:
    """Buy in a store; `seller` is the channel and the id of who sold. Raises HTTPException 404, 400."""
    channel, by = seller
    told = {"id": new_id(request, by, "purchase"), "store_id": store_id, "user_id": asked.user_id}
    record = {
        "store_id": store_id,
        "purchase_id": told["id"],
        "task_id": new_id(request, by, "task"),
        "user_id": asked.user_id,
        "lines": [line.model_dump() for line in asked.items],
        "is_default_ready": asked.is_default_ready,
        "additional_data": as_json(asked.additional_data),
        "channel": channel,
        "by": by,
    }
    answer = await decided(request, railway, "MakePurchase", store_id, record, STORES)
    date = _EPOCH + timedelta(microseconds=(answer.result or {})["bought_us"])
    return Purchase(**told, items=asked.items, date=moment_text(date))


async def listed(railway: Railway, store_id: str, also_ready: bool, paging: Paging) -> Page[Task]:
    """A page of a store's tasks. Raises HTTPException 404."""
    await must_be(railway, store_id)
    read = partial(railway_stores.tasks, store_id=store_id, also_ready=also_ready, page=paging.page, size=paging.size)
    rows, total = await railway.database.read(read)
    return page_of([_task(row) for row in rows], total, paging)


async def _is_done(railway: Railway, store_id: str, task_id: str) -> bool:
    """The decider forgets tasks that were done long ago; the read model knows them."""
    row = await railway.database.read(partial(railway_stores.task, store_id=store_id, task_id=task_id))
    return row is not None and row["is_ready"]


def _task(row: Row) -> Task:
    date, data = moment_text(row["created_at"]), row["additional_data"]
    told = {"store_id": str(row["store_id"]), "user_id": str(row["user_id"]), "date": date}
    lines = [Line(item_id=str(line["item_id"]), count=line["count"]) for line in row["items"]]
    purchase = Purchase(id=str(row["purchase_id"]), **told, items=lines)
    kept = json.loads(data) if isinstance(data, str) else data
    return Task(id=str(row["id"]), purchase=purchase, **told, is_ready=row["is_ready"], additional_data=kept or {})
