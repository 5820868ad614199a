"""Which box belongs to whom: greedy overlap tracking of faces. Pure; time comes in as an argument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge_agents.emotion_sensor.boxes import Box


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """Thresholds of the tracker; times in seconds."""

    overlap: float = 0.3  # intersection over union that continues a track
    hits: int = 3  # boxes in a row before a track counts: one false box makes nobody
    track_lost_s: float = 0.7  # a track without a box for longer is over
    person_lost_s: float = 2.0  # a person without a track for longer is gone
    return_distance: float = 1.0  # how far (in face widths) a person may reappear from where it was lost


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face of a confirmed track in one frame."""

    session_person_id: int
    track_id: int
    box: Box


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a frame came to: who is seen, and whose visit is over."""

    sightings: tuple[Sighting, ...]
    ended: tuple[int, ...]


@dataclass(slots=True)
class _Track:
    track_id: int
    box: Box
    seen_s: float
    hits: int = 1
    session_person_id: int | None = None


@dataclass(slots=True)
class _Waiting:
    """A person whose track broke, with the place and time it was last seen."""

    session_person_id: int
    box: Box
    seen_s: float


@dataclass(slots=True)
class Tracker:
    """State of one session. Numbers of tracks and persons begin at 1 and are never given twice."""

    rules: TrackingRules = field(default_factory=TrackingRules)
    _tracks: list[_Track] = field(default_factory=list["_Track"])
    _waiting: list[_Waiting] = field(default_factory=list["_Waiting"])
    _last_track: int = 0
    _persons: int = 0

    def update(self, now_s: float, boxes: Sequence[Box]) -> Tracked:
        """Take the boxes of one frame, seen at `now_s` (any steady clock), and say who they are."""
        matched = self._match(boxes)
        for track, box in matched:
            track.box, track.seen_s, track.hits = box, now_s, track.hits + 1
        taken = [box for _, box in matched]
        self._open(now_s, [box for box in boxes if not any(box is other for other in taken)])
        self._close(now_s)
        self._identify()
        seen = [track for track in self._tracks if track.seen_s == now_s]
        return Tracked(tuple(_sightings(seen)), self._ended(now_s))

    def close(self) -> tuple[int, ...]:
        """Everybody is gone at once (the scene was cut, the session ends); the ids of those who were there."""
        present = {track.session_person_id for track in self._tracks} | {one.session_person_id for one in self._waiting}
        self._tracks.clear()
        self._waiting.clear()
        return tuple(sorted(person for person in present if person is not None))

    def _match(self, boxes: Sequence[Box]) -> list[tuple[_Track, Box]]:
        pairs = [(track.box.overlap(box), i, j) for i, track in enumerate(self._tracks) for j, box in enumerate(boxes)]
        # Best overlap first; equal ones in the order of tracks and boxes, so that a replay agrees.
        pairs = sorted(
            (pair for pair in pairs if pair[0] >= self.rules.overlap), key=lambda pair: (-pair[0], *pair[1:])
        )
        tracks: set[int] = set()
        taken: set[int] = set()
        matched: list[tuple[_Track, Box]] = []
        for _, i, j in pairs:
            if i not in tracks and j not in taken:
                tracks.add(i)
                taken.add(j)
                matched.append((self._tracks[i], boxes[j]))
        return matched

    def _open(self, now_s: float, boxes: Iterable[Box]) -> None:
        for box in boxes:
            self._last_track += 1
            self._tracks.append(_Track(self._last_track, box, now_s))

    def _close(self, now_s: float) -> None:
        """Drop broken tracks: one that never counted at its first miss, a counted one after `track_lost_s`."""
        kept: list[_Track] = []
        for track in self._tracks:
            missing = now_s - track.seen_s
            if missing <= (self.rules.track_lost_s if track.session_person_id is not None else 0):
                kept.append(track)
            elif track.session_person_id is not None:
                self._waiting.append(_Waiting(track.session_person_id, track.box, track.seen_s))
        self._tracks = kept

    def _identify(self) -> None:
        for track in self._tracks:
            if track.session_person_id is None and track.hits >= self.rules.hits:
                track.session_person_id = self._returned(track.box) or self._new_person()

    def _returned(self, box: Box) -> int | None:
        """The waiting person that was lost nearest to here, if near enough."""
        near = [one for one in self._waiting if one.box.distance(box) <= self.rules.return_distance]
        if not near:
            return None
        back = min(near, key=lambda one: one.box.distance(box))
        self._waiting.remove(back)
        return back.session_person_id

    def _new_person(self) -> int:
        self._persons += 1
        return self._persons

    def _ended(self, now_s: float) -> tuple[int, ...]:
        gone = [one for one in self._waiting if now_s - one.seen_s > self.rules.person_lost_s]
        self._waiting = [one for one in self._waiting if one not in gone]
        return tuple(one.session_person_id for one in gone)


def _sightings(tracks: Iterable[_Track]) -> Iterable[Sighting]:
    for track in tracks:
        if track.session_person_id is not None:
            yield Sighting(track.session_person_id, track.track_id, track.box)
