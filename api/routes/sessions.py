"""GET /v1/sessions: which sessions there are, newest activity first (seed 000; pages, time range, exports are new)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import cursors
from api.answers import json_answer
from api.exports import Key, exported, walk
from api.parameters import Asked, Text, wanted_format
from projections.queries import sessions
from projections.queries.database import Database

SCHEMA = pa.schema(
    {
        "device_id": pa.string(),
        "session_id": pa.string(),
        "n_points": pa.int64(),
        "n_persons": pa.int64(),
        "min_ms": pa.int64(),
        "max_ms": pa.int64(),
    }
)


class SessionsQuery(Asked):
    """Parameters of GET /v1/sessions."""

    device_id: Text | None = Field(None, description="Only this device's; empty means all.")
    limit: int | None = Field(None, ge=1, le=10_000, description="Rows a page; all where it is not given.")


def build(database: Database) -> APIRouter:
    """The route over one database."""
    router = APIRouter(tags=["read models"])

    @router.get("/v1/sessions", summary="Sessions, newest activity first", response_model=list[dict[str, Any]])
    async def get_sessions(request: Request, query: Annotated[SessionsQuery, Query()]) -> Response:
        """Array of device_id, session_id, n_points, n_persons, min_ms, max_ms; order: max_ms descending."""
        asked = sessions.SessionsAsked(
            device_id=query.device_id or None,
            from_ms=query.first(),
            to_ms=query.end(),
            after=cursors.read(query.after, int, str, str),
            limit=query.limit,
        )
        kind = wanted_format(query.format, request.headers.get("accept"))
        if kind == "json":
            return await _listed(request, database, asked, query.as_of)
        return await exported(
            kind, "sessions", SCHEMA, walk(_reader(database, asked, query), _key, asked.after, query.limit)
        )

    return router


def _key(row: dict[str, Any]) -> Key:
    return row["max_ms"], row["device_id"], row["session_id"]


def _reader(database: Database, asked: sessions.SessionsAsked, query: SessionsQuery) -> Any:
    async def read(after: Any, limit: int) -> Any:
        one = replace(asked, after=after, limit=limit)
        return await database.read(partial(sessions.page, asked=one), model="emotion_logs", as_of=query.as_of)

    return read


async def _listed(request: Request, database: Database, asked: sessions.SessionsAsked, as_of: str | None) -> Response:
    limit = asked.limit
    more = replace(asked, limit=None if limit is None else limit + 1)
    rows = await database.read(partial(sessions.page, asked=more), model="emotion_logs", as_of=as_of)
    cut = limit is not None and len(rows) > limit
    rows = rows[:limit] if cut else rows
    return json_answer(request, rows, after=cursors.write(*_key(rows[-1])) if cut else None)
