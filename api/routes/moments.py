"""GET /v1/moments and /v1/heatmap: what stands out in a session, and where it lived on the affect plane."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from api import cursors
from api.answers import json_answer
from api.parameters import Int64, Period, Text
from projections.queries import heatmaps, moments
from projections.queries.database import Database


class MomentsQuery(Period):
    """Parameters of GET /v1/moments."""

    device_id: Text
    session_id: Text
    session_person_id: Int64 | None = None
    limit: int = Field(1000, ge=1, le=10_000, description="Rows a page, the earliest first.")
    after: str | None = Field(None, description="Cursor of the next page, from the Link header.")
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


class HeatmapQuery(BaseModel):
    """Parameters of GET /v1/heatmap."""

    device_id: Text
    session_id: Text
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


def build(database: Database) -> APIRouter:
    """The routes over one database."""
    router = APIRouter(tags=["read models"])

    @router.get("/v1/moments", summary="Strong and sudden changes of a person", response_model=dict[str, Any])
    async def get_moments(request: Request, query: Annotated[MomentsQuery, Query()]) -> Response:
        """`count` and `records` by start_ms ascending; `end_ms` is null until a later event of the device closes it.

        Each names the topic, partition and offset of the event it came from.
        """
        after: Any = cursors.read(query.after, int, UUID)
        person = query.session_person_id
        asked = moments.MomentsAsked(
            query.device_id, query.session_id, person, query.first(), query.end(), after, query.limit
        )
        more = replace(asked, limit=query.limit + 1)
        rows = await database.read(partial(moments.page, asked=more), model="emotion_moments", as_of=query.as_of)
        kept = rows[: query.limit]
        last = cursors.write(kept[-1]["start_ms"], kept[-1]["moment_id"]) if len(rows) > len(kept) else None
        return json_answer(request, {"count": len(kept), "records": kept}, after=last)

    @router.get("/v1/heatmap", summary="A session on the affect plane", response_model=dict[str, Any])
    async def get_heatmap(request: Request, query: Annotated[HeatmapQuery, Query()]) -> Response:
        """`cells[row][column]`: points counted by arousal (row, -1 first) and valence (column, -1 first), clamped."""
        read = partial(heatmaps.of_session, device_id=query.device_id, session_id=query.session_id)
        cells = await database.read(read, model="emotion_logs", as_of=query.as_of)
        return json_answer(request, {"side": heatmaps.SIDE, "n": sum(map(sum, cells)), "cells": cells})

    return router
