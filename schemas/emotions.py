"""What emotion events mean beyond their Avro types: constants and invariants. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from schemas.errors import InvalidEvent

NO_BOX: Final = -(2**31)
"""Stands in a bounding box column for a coordinate that was not sent."""

LARGEST_AFFECT: Final = 1e4
"""Valence and arousal are nominally -1..1 but were never checked; sums stay exact in 64 bits up to this size."""

POINT_COLUMNS: Final = (
    "session_person_id",
    "track_id",
    "t_ms",
    "absolute_time",
    "valence",
    "arousal",
    "bbox_x1",
    "bbox_y1",
    "bbox_x2",
    "bbox_y2",
)


def check_points(event: Mapping[str, Any]) -> None:
    """Columns of an EmotionPointsRecorded are equally long and its affect finite and bounded.

    Raises:
        InvalidEvent: naming the column.
    """
    length = len(event["t_ms"])
    for column in POINT_COLUMNS:
        if len(event[column]) != length:
            raise InvalidEvent(f"Column {column} has {len(event[column])} values where t_ms has {length}.")
    for column in ("valence", "arousal"):
        values = event[column]
        # min and max miss a NaN in the middle; a sum does not.
        if values and not (math.isfinite(sum(values)) and max(map(abs, values)) <= LARGEST_AFFECT):
            raise InvalidEvent(f"Column {column} holds a value that is not finite or beyond {LARGEST_AFFECT:g}.")
