"""`security.matches` -> `security.commands`: whoever was recognised may be a threat. Pure.

Every recognised face becomes a command, and the decider refuses who is not on the watch list: a list followed here
would be a copy that lags behind, and miss whoever walks by in that moment.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

import orjson

from schemas.errors import InvalidEvent
from schemas.faces import MODEL
from schemas.identity import NAMESPACE
from streams.steps import Emitted, Event, NoState

MATCHED: Final = "FaceMatched"
KEY: Final = b"security"


def step(state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
    """Ask to raise a threat for a recognised face; nothing for one that nobody knows. Raises InvalidEvent."""
    record = event.record
    if event.name != MATCHED:
        raise InvalidEvent(f"{event.name} is not an event of security.matches.")
    if record["user_id"] is None:
        return state, ()
    distance = record["distance"] or 0.0
    evidence = {"sighting_id": record["sighting_id"], "device_id": record["device_id"], "distance": round(distance, 4)}
    asked = {
        "alert_id": threat_id(record["sighting_id"], record["user_id"]), "kind": "threat",
        "camera_id": record["camera"], "user_id": record["user_id"], "start_us": record["seen_us"], "end_us": None,
        "score": max(0.0, 1.0 - distance), "model": MODEL, "evidence": orjson.dumps(evidence).decode(), "by": None,
    }  # fmt: skip
    return state, [Emitted("RaiseAlert", KEY, asked)]


def threat_id(sighting_id: str, user_id: str) -> str:
    """The id of the threat that a sighting is the first of."""
    return str(uuid.uuid5(NAMESPACE, f"threat\n{sighting_id}\n{user_id}"))
