"""What was seen since a scenario's beginning, in the shape that its readers know. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.vision.tracking import Track
from streams.workers import BadInput


class Seen(msgspec.Struct, rename={"kind": "class"}):
    """All of one class: the surest sighting, how many there were, how many at once, when first and last."""

    kind: str
    confidence: float
    bbox: tuple[int, int, int, int]
    tracks: int
    most_at_once: int
    first_frame: int
    first_ms: int
    last_frame: int
    last_ms: int


class Summary(msgspec.Struct):
    """`predictions` as the documents show them, with further figures in each; `frames` and `video_ms` passed so far."""

    predictions: list[Seen] = []
    frames: int = 0
    video_ms: int = 0

    @property
    def tracks(self) -> int:
        """How many were seen altogether."""
        return sum(one.tracks for one in self.predictions)

    def passed(self, frame: int, ms: int) -> None:
        """A frame has gone by, looked at or not."""
        self.frames, self.video_ms = frame + 1, ms

    def add(self, tracks: Sequence[Track], frame: int, ms: int) -> None:
        """Count one look's tracks; those that are not certain yet do not count."""
        certain = [one for one in tracks if one.number is not None]
        at_once = Counter(one.name for one in certain)
        kinds = {one.kind: one for one in self.predictions}
        highest = self.tracks
        for track in certain:
            new = track.number is not None and track.number > highest
            if track.name not in kinds:
                kinds[track.name] = Seen(track.name, 0.0, track.box, 0, 0, track.first_frame, track.first_ms, frame, ms)
                self.predictions.append(kinds[track.name])
            _count(kinds[track.name], track, new, at_once[track.name], (frame, ms))

    def told(self) -> dict[str, Any]:
        """As plain values."""
        return msgspec.to_builtins(self)


def remembered(told: Mapping[str, Any] | None) -> Summary:
    """A summary from its plain values, a new one for None. Raises BadInput."""
    if not told:
        return Summary(predictions=[])
    try:
        return msgspec.convert(told, Summary)
    except msgspec.ValidationError as wrong:
        raise BadInput(f"The summary to go on from is none: {wrong}.") from wrong


def _count(seen: Seen, track: Track, new: bool, at_once: int, now: tuple[int, int]) -> None:
    confidence = round(track.confidence, 2)
    if confidence > seen.confidence:
        seen.confidence, seen.bbox = confidence, track.box
    seen.tracks += new
    seen.most_at_once = max(seen.most_at_once, at_once)
    seen.last_frame, seen.last_ms = now
