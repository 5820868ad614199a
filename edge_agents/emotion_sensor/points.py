"""One observed point, and the body of a post as the ingest contract wants it. Pure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_agents.emotion_sensor.boxes import Box


@dataclass(frozen=True, slots=True)
class Point:
    """Valence and arousal of one face at one moment. `t_ms` is UTC epoch milliseconds."""

    session_person_id: int
    track_id: int
    t_ms: int
    absolute_time: str
    valence: float
    arousal: float
    box: Box


def absolute_time(t_ms: int, zone_of: datetime | None = None) -> str:
    """ISO 8601 with milliseconds and the UTC offset of this machine's zone (or of `zone_of`)."""
    moment = datetime.fromtimestamp(t_ms // 1000, UTC).replace(microsecond=t_ms % 1000 * 1000)
    return moment.astimezone(zone_of.tzinfo if zone_of else None).isoformat(timespec="milliseconds")


def record(point: Point) -> dict[str, object]:
    """The point as one record of a bulk post."""
    return {
        "session_person_id": point.session_person_id,
        "track_id": point.track_id,
        "absolute_time": point.absolute_time,
        "valence": point.valence,
        "arousal": point.arousal,
        "bbox_x1": point.box.x1,
        "bbox_y1": point.box.y1,
        "bbox_x2": point.box.x2,
        "bbox_y2": point.box.y2,
    }


def post_body(device_id: str, session_id: str, points: Sequence[Point]) -> bytes:
    """The gzipped JSON of a bulk post: the same bytes for the same points, whenever it is made."""
    return packed({"device_id": device_id, "session_id": session_id, "records": [record(point) for point in points]})


def packed(body: Mapping[str, object]) -> bytes:
    """A body as gzipped JSON without blanks; nothing in it tells when it was packed."""
    return gzip.compress(json.dumps(body, separators=(",", ":")).encode(), mtime=0)
