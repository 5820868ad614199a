"""GET /v1/logs: points over time, of one person or mixed over a session; curves and exports of the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api import cursors
from api.answers import json_answer, refused
from api.exports import Key, exported, walk
from api.parameters import Asked, Int64, Text, wanted_format
from api.routes.persons import required
from projections.queries import curves, mix, persons, points
from projections.queries.database import Connection, Database, Read
from projections.queries.points import EARLIEST, LATEST, Window

T = TypeVar("T")
Rows = list[dict[str, Any]]
People = list[dict[str, Any]]

MODEL = "emotion_logs"
SCHEMA = pa.schema(
    {
        "device_id": pa.string(),
        "session_id": pa.string(),
        "session_person_id": pa.int64(),
        "person_id": pa.int64(),
        "track_id": pa.int64(),
        "t_ms": pa.int64(),
        "absolute_time": pa.string(),
        "valence": pa.float64(),
        "arousal": pa.float64(),
        "bbox_x1": pa.int32(),
        "bbox_y1": pa.int32(),
        "bbox_x2": pa.int32(),
        "bbox_y2": pa.int32(),
        "kafka_partition": pa.int32(),
        "kafka_offset": pa.int64(),
    }
)


class LogsQuery(Asked):
    """Parameters of GET /v1/logs."""

    device_id: Text | None = Field(None, description="Required unless person_id is given.")
    session_id: Text | None = Field(None, description="Required unless person_id is given.")
    session_person_id: Int64 | None = Field(None, description="One person of the session; without it all, mixed.")
    person_id: Int64 | None = Field(None, description="One person by its number over all devices.")
    limit: int | None = Field(1000, ge=1, le=10_000, description="Rows a page, the oldest first.")
    max_points: int | None = Field(
        None, ge=10, le=20_000, description="A curve of at most so many points a signal, the extremes kept; no pages."
    )

    def window(self) -> Window:
        """The range of time, page and size asked for."""
        first, end = self.first(), self.end()
        last = LATEST if end is None else max(end, EARLIEST + 1) - 1
        after: Any = cursors.read(self.after, int, int, int)
        return Window(EARLIEST if first is None else first, last, after, self.limit or 1000)


@dataclass(frozen=True, slots=True)
class Asking:
    """One question about points: who, when, in which view of the past."""

    database: Database
    query: LogsQuery
    window: Window

    async def read(self, read: Read[T]) -> T:
        """Run a read function in the view of the past that is asked for."""
        return await self.database.read(read, model=MODEL, as_of=self.query.as_of)

    @property
    def is_mix(self) -> bool:
        """All persons of a session, mixed."""
        return self.query.person_id is None and self.query.session_person_id is None

    async def people(self, connection: Connection) -> People:
        """The persons asked about; none where nobody is known by that name."""
        query = self.query
        device_id, session_id = query.device_id or "", query.session_id or ""
        if query.person_id is not None:
            found = await persons.by_id(connection, query.person_id)
        elif query.session_person_id is not None:
            found = await persons.by_key(connection, device_id, session_id, query.session_person_id)
        else:
            return await mix.persons(connection, device_id, session_id, self.window)
        return [] if found is None else [found]

    async def page(self, connection: Connection, people: People, window: Window, *, evidence: bool = False) -> Rows:
        """The oldest rows within a window."""
        if not people:
            return []
        if self.is_mix:
            return await mix.oldest(connection, people, window)
        return await points.of_person(connection, people[0], window, evidence=evidence)

    async def rows(self, connection: Connection) -> Rows:
        """One row more than asked for, to know whether there is a next page."""
        more = replace(self.window, limit=self.window.limit + 1)
        return await self.page(connection, await self.people(connection), more)

    async def curve(self, connection: Connection, max_points: int) -> tuple[int | None, Rows]:
        """Width of the buckets and the buckets, or None and the points."""
        people = await self.people(connection)
        chosen = await curves.choose(connection, people, self.window, max_points)
        if chosen.raw:
            return None, await self.page(connection, people, replace(self.window, limit=max_points))
        return chosen.width, await curves.buckets(connection, people, self.window, chosen)


def build(database: Database) -> APIRouter:
    """The route over one database."""
    router = APIRouter(tags=["read models"])

    @router.get("/v1/logs", summary="Points over time, curves, exports", response_model=dict[str, Any])
    async def get_logs(request: Request, query: Annotated[LogsQuery, Query()]) -> Response:
        """`count` and `records` in ascending t_ms; `limit` keeps the oldest; the next page is in the Link header.

        With `max_points` the records are buckets where there are more points than that: `t_ms` (start), `n`, means
        `valence` and `arousal`, and `min_/max_` of both with the time of each (`.._ms`); `bucket_ms` is their width,
        null where the records are the points themselves.
        """
        required(query.device_id, query.session_id, unless=query.person_id is not None)
        asking = Asking(database, query, query.window())
        kind = wanted_format(query.format, request.headers.get("accept"))
        if kind != "json":
            return await _file(asking, kind)
        if query.max_points is not None:
            return json_answer(request, await _curve(asking, query.max_points))
        return await _listed(request, asking)

    return router


def _record(row: dict[str, Any], *, is_mix: bool) -> dict[str, Any]:
    record = {"t_ms": row["t_ms"], "valence": row["valence"], "arousal": row["arousal"]}
    if is_mix:
        return record | {"session_person_id": row["session_person_id"], "track_id": row["track_id"]}
    box = [row["bbox_x1"], row["bbox_y1"], row["bbox_x2"], row["bbox_y2"]]
    return record | {"track_id": row["track_id"], "bbox": box}


def _answer(asking: Asking, records: list[dict[str, Any]]) -> dict[str, Any]:
    echo = {} if asking.query.person_id is None else {"person_id": asking.query.person_id}
    return echo | {"count": len(records), "records": records}


def _key(row: dict[str, Any]) -> Key:
    return row["t_ms"], row.get("person_id", 0), row["track_id"]


async def _listed(request: Request, asking: Asking) -> Response:
    limit = asking.window.limit
    rows = await asking.read(asking.rows)
    after = cursors.write(*_key(rows[limit - 1])) if len(rows) > limit else None
    records = [_record(row, is_mix=asking.is_mix) for row in rows[:limit]]
    return json_answer(request, _answer(asking, records), after=after)


async def _curve(asking: Asking, max_points: int) -> dict[str, Any]:
    if asking.query.after is not None:
        raise refused("after", "cursor", "A curve has no pages", asking.query.after)
    width, rows = await asking.read(partial(asking.curve, max_points=max_points))
    records = [_record(row, is_mix=asking.is_mix) for row in rows] if width is None else rows
    return _answer(asking, records) | {"bucket_ms": width}


async def _file(asking: Asking, kind: str) -> Response:
    """Everything within the window unless a limit was asked for in so many words."""
    if asking.query.max_points is not None:
        raise refused("max_points", "format", "A curve is JSON; an export holds the points themselves")
    limit = asking.query.limit if "limit" in asking.query.model_fields_set else None
    people = await asking.read(asking.people)
    names = asking.query.device_id, asking.query.session_id

    async def read(after: Key | None, size: int) -> Rows:
        window = replace(asking.window, after=after, limit=size)  # pyright: ignore[reportArgumentType]
        rows = await asking.read(partial(asking.page, people=people, window=window, evidence=True))
        return [_exported(people[0], names, row) for row in rows]

    return await exported(kind, "logs", SCHEMA, walk(read, _key, asking.window.after, limit))


def _exported(person: dict[str, Any], names: tuple[str | None, str | None], row: dict[str, Any]) -> dict[str, Any]:
    """A row that says whose it is; a mixed row already names its person, all share device and session."""
    owner = {
        "device_id": person.get("device_id", names[0]),
        "session_id": person.get("session_id", names[1]),
        "session_person_id": person["session_person_id"],
        "person_id": person["person_id"],
    }
    return owner | row
