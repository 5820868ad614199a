"""`security.faces` -> `security.matches`: whose face a seen face is. Pure; the gallery has compared it before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent, TransientFailure
from streams.steps import Emitted, Event, NoState, PreparationFailed

CAPABILITY: Final = "gallery"
SEEN: Final = "FaceSeen"
_SIGHTING: Final = ("sighting_id", "device_id", "camera", "seen_us")


@dataclass(frozen=True, slots=True)
class FaceMatching:
    """The processor's two functions over the ring of keys. Without a ring faces are not compared: they wait."""

    ring: KeyRing | None

    def request(self, event: Event) -> Mapping[str, Any] | None:
        """The face to compare; none when its key is gone. Raises InvalidEvent for an altered one."""
        if event.name != SEEN or self.ring is None:
            return None
        template = unseal(self.ring, event.record["face"], "FaceTemplate")
        return None if isinstance(template, Forgotten) else {"vector": template["vector"]}

    def step(self, state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
        """Say whose face it is; nothing of a face that is forgotten.

        Raises:
            InvalidEvent: a face that cannot be compared, or an event that does not belong here.
            TransientFailure: there is no ring of keys.
        """
        if event.name != SEEN:
            raise InvalidEvent(f"{event.name} is not an event of security.faces.")
        if self.ring is None:
            raise TransientFailure("Faces wait for a ring of keys.")
        found = event.prepared
        if found is None:
            return state, ()
        if isinstance(found, PreparationFailed):
            raise InvalidEvent(f"The face cannot be compared: {found.error}")
        sighting = {name: event.record[name] for name in _SIGHTING}
        matched = sighting | {"user_id": found["user_id"], "distance": found["distance"]}
        return state, [Emitted("FaceMatched", event.record["device_id"].encode(), matched)]
