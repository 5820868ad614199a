"""What security's routes take and tell: rows as JSON, bodies as models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, Field

from api.parameters import Text

FRAME: Final = 2_800_000
"""Characters of a picture in base64: 2 MB."""
Row = Mapping[str, Any]
Id = Annotated[Text, Field(min_length=1, max_length=128)]
Word = Annotated[Text, Field(max_length=256)]
Note = Annotated[Text, Field(max_length=2_000)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Picture = Annotated[str, Field(max_length=FRAME, description="Standard base64 of a JPEG file, 2 MB at most.")]


class Participant(BaseModel):
    """Somebody who was seen: `bbox` is left, top, right, bottom in pixels of the key frame."""

    bbox: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    track_id: int | None = None
    user_id: Id | None = None


class Window(BaseModel):
    """The score of a window of frames. `camera` and `location` name a camera that nobody has configured yet."""

    camera_id: Id
    camera: Word | None = None
    location: Word | None = None
    device_id: Id | None = None
    start: datetime
    end: datetime
    score: Score
    model: Annotated[Text, Field(min_length=1, max_length=128)]
    frame: Picture | None = None
    participants: Annotated[list[Participant], Field(max_length=100)] = Field(default_factory=list[Participant])


class Sighting(BaseModel):
    """A picture with faces; it is not kept. `camera` and `location` as of a window."""

    camera_id: Id
    camera: Word | None = None
    location: Word | None = None
    device_id: Id | None = None
    seen_at: datetime | None = None
    image: Annotated[str, Field(max_length=16 << 20, description="Standard base64 of a JPEG, PNG or WebP file.")]


class Hours(BaseModel):
    """On these days (0: Monday) from `from` to `to` (24:00 at most), past midnight where that is earlier."""

    days: list[Annotated[int, Field(ge=0, le=6)]]
    begin: Annotated[str, Field(alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Field(alias="to", pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class CameraSettings(BaseModel):
    """How a camera is watched: who sends its pictures, or where they come from, and what is looked for when."""

    name: Word
    location: Word = ""
    device_id: Id | None = None
    source: Annotated[Text, Field(max_length=2_048)] | None = None
    deviance: bool = True
    deviance_on: Score = 0.5
    deviance_off: Score = 0.25
    faces: bool = True
    schedule: Annotated[list[Hours], Field(max_length=50)] = Field(default_factory=list[Hours])


class Mute(BaseModel):
    """Hear nothing of a kind for so many minutes; null: for ever, 0: hear it again."""

    kind: Literal["deviance", "threat", "all"] = "all"
    minutes: Annotated[float, Field(ge=0, le=525_600)] | None = 30


class Watched(BaseModel):
    """Why somebody is watched for, and what to do."""

    level: Literal["low", "medium", "high"] = "medium"
    reason: Note | None = None
    instruction: Note | None = None


class Remark(BaseModel):
    """What is to be remembered of how an alert was dealt with."""

    note: Note | None = None


def alert_told(row: Row, names: Mapping[str, str]) -> dict[str, Any]:
    """An alert as lists and the live feed have it; `names` of passengers by their ids."""
    plain = ("alert_id", "kind", "model", "muted", "level", "sightings", "status", "note", "settled_by")
    times = {name: _time(row[f"{name}_at"]) for name in ("start", "end", "raised", "updated", "settled")}
    camera = {"camera_id": row["camera_id"], "name": row["camera"], "location": row["location"]}
    user_id = row["user_id"]
    person = None if user_id is None else {"user_id": user_id, "name": names.get(user_id)}
    told = {name: row[name] for name in plain} | {f"{name}_at": at for name, at in times.items()}
    told |= {"score": round(row["score"], 4), "camera": camera, "person": person}
    return told | {"evidence": orjson.loads(row["evidence"]), "id": row["kafka_offset"]}


def event_told(row: Row) -> dict[str, Any]:
    """One thing that happened to an alert."""
    details = orjson.loads(row["details"])
    if isinstance(details.get("evidence"), str):
        details["evidence"] = orjson.loads(details["evidence"])
    return {"at": _time(row["at"]), "event": row["event"], "by": row["by"], "details": details}


def camera_told(row: Row) -> dict[str, Any]:
    """A camera with its mutes."""
    told = {name: row[name] for name in ("camera_id", "name", "location", "device_id", "source", "deviance", "faces")}
    told |= {name: round(row[name], 4) for name in ("deviance_on", "deviance_off")}
    mutes = [{"kind": one["kind"], "until": _time(one["until"]), "by": one["by"]} for one in row["mutes"]]
    schedule, configured = orjson.loads(row["schedule"]), _time(row["configured_at"])
    return told | {"schedule": schedule, "mutes": mutes, "configured_at": configured, "by": row["by"]}


def watched_told(row: Row, names: Mapping[str, str]) -> dict[str, Any]:
    """Somebody on the watch list."""
    told = {name: row[name] for name in ("user_id", "level", "reason", "instruction", "by")}
    return told | {"name": names.get(row["user_id"]), "watched_at": _time(row["watched_at"])}


def ticket_told(row: Row | None) -> dict[str, Any] | None:
    """Where a person is to be found: wagon and place of a ticket."""
    if row is None:
        return None
    places = {name: row[name] for name in ("train_number", "wagon_number", "place_number")}
    ways = {name: row[name] for name in ("station_id", "destination_id", "used")}
    return places | ways | {"date": _time(row["date"]), "start_date": _time(row["start_date"])}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
