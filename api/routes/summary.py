"""GET /api/dashboard/summary: the emotion totals of one device and its people (seed 001)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api.parameters import Text
from projections.queries import totals
from projections.queries.database import Connection, Database


class SummaryQuery(BaseModel):
    """Parameters of GET /api/dashboard/summary."""

    device_id: Text = "jetson_1"
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


def build(database: Database, frame_fps: Callable[[str], float], device_names: Callable[[str], str]) -> APIRouter:
    """The routes over one database; `frame_fps` and `device_names` answer for a device id."""
    router = APIRouter(tags=["dashboard"])

    @router.get("/api/dashboard/summary", summary="Emotion totals of a device", response_model=dict[str, Any])
    async def get_summary(query: Annotated[SummaryQuery, Query()]) -> Response:
        """Totals in seconds over all people, then everybody ever seen, in order of first appearance."""
        read = partial(_both, device_id=query.device_id)
        sums, people = await database.read(read, model="person_emotions", as_of=query.as_of)
        payload = {
            "device_id": query.device_id,
            "device_name": device_names(query.device_id),
            "updated_at": zulu(datetime.now(UTC), fraction=True),
            "emotion_totals": sums,
            "current_people": [person(row) for row in people],
            "model_fps": float(frame_fps(query.device_id)),
            "frontend_fps": 0.0,
        }
        return Response(orjson.dumps(payload), media_type="application/json", headers={"Cache-Control": "no-cache"})

    @router.get("/api/dashboard/devices", summary="Devices with totals", response_model=list[dict[str, str]])
    async def get_devices() -> Response:
        """Array of `device_id` and `device_name` of every device that has reported totals."""
        known = await database.read(totals.devices)
        payload = [{"device_id": name, "device_name": device_names(name)} for name in known]
        return Response(orjson.dumps(payload), media_type="application/json", headers={"Cache-Control": "no-cache"})

    return router


async def _both(connection: Connection, device_id: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
    return await totals.totals(connection, device_id), await totals.people(connection, device_id)


def person(row: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of current_people."""
    times = {f"time_{emotion}": row[f"time_{emotion}"] for emotion in totals.EMOTIONS}
    return {
        "person_id": row["person_id"],
        "current_emotion": current_emotion(times),
        **times,
        "last_seen": zulu(row["last_seen"]),
    }


def current_emotion(times: Mapping[str, float]) -> str:
    """The emotion with the greatest time; where equal the earlier in `EMOTIONS`; neutral if all are 0."""
    if not any(times.values()):
        return "neutral"
    return max(totals.EMOTIONS, key=lambda emotion: times[f"time_{emotion}"])


def zulu(moment: datetime, *, fraction: bool = False) -> str:
    """UTC with a Z; a fraction of six digits where it is not zero or always."""
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="microseconds" if fraction or naive.microsecond else "seconds") + "Z"
