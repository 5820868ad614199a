"""GET /v1/persons: who was seen, of one session (seed 000's document) or over all devices (its page)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from api import cursors
from api.answers import json_answer, missing
from api.exports import Key, exported, walk
from api.parameters import Asked, Text, wanted_format
from projections.queries import persons
from projections.queries.database import Database

SCHEMA = pa.schema(
    {
        "person_id": pa.int64(),
        "device_id": pa.string(),
        "session_id": pa.string(),
        "session_person_id": pa.int64(),
        "n_points": pa.int64(),
        "avg_valence": pa.float64(),
        "avg_arousal": pa.float64(),
        "min_ms": pa.int64(),
        "max_ms": pa.int64(),
    }
)


class PersonsQuery(Asked):
    """Parameters of GET /v1/persons."""

    device_id: Text | None = Field(None, description="With session_id: the persons of one session.")
    session_id: Text | None = Field(None, description="With device_id: the persons of one session.")
    limit: int | None = Field(None, ge=1, le=10_000, description="Rows a page; all where it is not given.")

    def everywhere(self) -> bool:
        """Neither device nor session is named: the persons of all devices."""
        return self.device_id is None and self.session_id is None


def build(database: Database) -> APIRouter:
    """The route over one database."""
    router = APIRouter(tags=["read models"])

    @router.get("/v1/persons", summary="Persons of a session, or of all", response_model=list[dict[str, Any]])
    async def get_persons(request: Request, query: Annotated[PersonsQuery, Query()]) -> Response:
        """With device_id and session_id: that session's persons by session_person_id ascending, averages not rounded.

        Without both: everybody by person_id descending, averages rounded to 3 decimals.
        """
        required(query.device_id, query.session_id, unless=query.everywhere())
        (after,) = cursors.read(query.after, int) or (None,)
        asked = persons.PersonsAsked(
            query.device_id, query.session_id, query.first(), query.end(), after=after, limit=query.limit
        )
        kind = wanted_format(query.format, request.headers.get("accept"))
        if kind == "json":
            return await _listed(request, database, asked, query)
        name = "person_id" if query.everywhere() else "session_person_id"
        start = None if after is None else (after,)
        pages = walk(_reader(database, asked, query), lambda row: (row[name],), start, query.limit)
        return await exported(kind, "persons", SCHEMA, pages)

    return router


def required(device_id: str | None, session_id: str | None, *, unless: bool = False) -> None:
    """Refuse a question that names no device or no session, as the original does.

    Raises:
        RequestValidationError: naming what is missing.
    """
    absent = [name for name, value in (("device_id", device_id), ("session_id", session_id)) if value is None]
    if absent and not unless:
        raise RequestValidationError([missing(name) for name in absent])


def _reader(database: Database, asked: persons.PersonsAsked, query: PersonsQuery) -> Any:
    async def read(after: Key | None, limit: int) -> Any:
        one = replace(asked, after=after[0] if after else None, limit=limit)
        return await database.read(partial(persons.page, asked=one), model="emotion_logs", as_of=query.as_of)

    return read


async def _listed(request: Request, database: Database, asked: persons.PersonsAsked, query: PersonsQuery) -> Response:
    limit = asked.limit
    more = replace(asked, limit=None if limit is None else limit + 1)
    rows = await database.read(partial(persons.page, asked=more), model="emotion_logs", as_of=query.as_of)
    cut = limit is not None and len(rows) > limit
    rows = rows[:limit] if cut else rows
    name = "person_id" if query.everywhere() else "session_person_id"
    shape = of_all if query.everywhere() else of_session
    after = cursors.write(rows[-1][name]) if cut else None
    return json_answer(request, [shape(row) for row in rows], after=after)


def of_session(row: Mapping[str, Any]) -> dict[str, Any]:
    """A person of one session; an average of exactly 0 is the integer 0."""
    return {
        "session_person_id": row["session_person_id"],
        "n_points": row["n_points"],
        "avg_valence": row["avg_valence"] or 0,
        "avg_arousal": row["avg_arousal"] or 0,
        "min_ms": row["min_ms"],
        "max_ms": row["max_ms"],
    }


def of_all(row: Mapping[str, Any]) -> dict[str, Any]:
    """A person among all; averages to 3 decimals, exactly 0 is the integer 0."""
    return {
        "person_id": row["person_id"],
        "device_id": row["device_id"],
        "session_id": row["session_id"],
        "n_points": row["n_points"],
        "avg_valence": round(row["avg_valence"], 3) if row["avg_valence"] else 0,
        "avg_arousal": round(row["avg_arousal"], 3) if row["avg_arousal"] else 0,
        "min_ms": row["min_ms"],
        "max_ms": row["max_ms"],
    }
