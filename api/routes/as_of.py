"""GET /v1/as-of: which views of the past there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.answers import json_answer
from projections.queries import as_of
from projections.queries.database import Database


def build(database: Database) -> APIRouter:
    """The route over one database."""
    router = APIRouter(tags=["read models"])

    @router.get("/v1/as-of", summary="Views of the past", response_model=list[dict[str, Any]])
    async def get_views(request: Request) -> Response:
        """Array of `name` (for `as_of=`), `model` and `until_ms`, the log's time up to which it was built."""
        return json_answer(request, await database.read(as_of.listing))

    return router
