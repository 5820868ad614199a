"""GET /api/v1/analytics/...: a day, its dialogues, one dialogue, points of sale, as seed 002's page reads them.

Days and hours are UTC's here; `/v1/sales/...` counts in the site's zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Response

from api import sales_shapes
from api.parameters import Text
from api.sales_days import Days
from projections.queries import sales_figures, sales_lists, sales_names
from projections.queries.database import Connection, Database
from projections.queries.sales_figures import Range

Day = Annotated[date, Query(alias="date", description="UTC day, YYYY-MM-DD.")]
Point = Annotated[UUID | None, Query(description="Only this point of sale.")]


def build(database: Database) -> APIRouter:
    """The routes over one database; the caller guards them."""
    router = APIRouter(prefix="/api/v1/analytics", tags=["sales (seed 002)"])
    _add_daily(router, database)
    _add_dialogues(router, database)

    @router.get("/points", summary="Points of sale by dialogues", response_model=dict[str, Any])
    async def get_points(days: Annotated[int, Query(ge=1, le=365)] = 30) -> Response:
        """Points with dialogues of the last days, whatever became of these, most first."""
        rows = await database.read(partial(sales_figures.points, since=datetime.now(UTC) - timedelta(days=days)))
        names = await database.read(sales_names.names)
        points = [
            {"point_id": row["point_id"], "name": names.get(row["point_id"]), "dialogue_count": row["dialogue_count"]}
            for row in rows
        ]
        return sales_shapes.answer({"points": points})

    return router


def _add_daily(router: APIRouter, database: Database) -> None:
    @router.get("/daily", summary="Figures of a day", response_model=dict[str, Any])
    async def get_daily(day: Day, point_id: Point = None) -> Response:
        """Counts of all transcribed dialogues; shares, categories and hours of the analysed ones."""
        hours, categories = await database.read(partial(_figures, where=utc(day, point_id)))
        return sales_shapes.answer(sales_shapes.daily(day.isoformat(), point_id, hours, categories))


def _add_dialogues(router: APIRouter, database: Database) -> None:
    @router.get("/dialogues", summary="Analysed dialogues of a day", response_model=dict[str, Any])
    async def get_dialogues(
        day: Day,
        point_id: Point = None,
        min_quality: Annotated[int | None, Query(ge=0, le=3)] = None,
        attempted: Text | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """`total` before paging and a page, the latest start first."""
        wanted = sales_lists.Wanted(utc(day, point_id), min_quality, attempted, limit, min(offset, 2**62))
        total, rows = await database.read(partial(sales_lists.page, wanted=wanted))
        names = await database.read(sales_names.names)
        listed = [sales_shapes.named(row, names) for row in rows]
        return sales_shapes.answer({"date": day.isoformat(), "point_id": point_id, "total": total, "dialogues": listed})

    @router.get("/dialogues/{dialogue_id}", summary="One dialogue", response_model=dict[str, Any])
    async def get_dialogue(dialogue_id: UUID) -> Response:
        """With its text and evidence; 404 until it has an analysis."""
        row = await database.read(partial(sales_lists.one, dialogue_id=dialogue_id))
        if row is None:
            raise HTTPException(404, "Dialogue not found")
        return sales_shapes.answer(sales_shapes.named(row, await database.read(sales_names.names)))


def utc(day: date, point_id: UUID | None = None) -> Range:
    """A day of UTC."""
    days = Days(day, day, "UTC")
    return Range(days.start, days.end, "UTC", point_id)


async def _figures(connection: Connection, where: Range) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return await sales_figures.hours(connection, where), await sales_figures.categories(connection, where)
