"""Following what was found from look to look by overlap. Pure: the times come with the looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.vision.boxes import Box, Detection, Numbers, overlaps

LEAST_OVERLAP: Final = 0.3
MOST_MISSES: Final = 2
"""A track is not lost by time alone: at two looks a second, 1.5 s are three of them."""


@dataclass(slots=True)
class Track:
    """Somebody or something that was seen several times. `number` stays None until it was seen often enough."""

    name: str
    box: Box
    confidence: float
    first_frame: int
    first_ms: int
    last_ms: int
    hits: int = 1
    misses: int = 0
    number: int | None = None


class Tracker:
    """Greedy: the pair that overlaps most is the same one. Numbers count from `first_number` without gaps."""

    def __init__(self, hits: int, lose_ms: float, first_number: int = 1) -> None:
        self._hits, self._lose_ms, self._next = hits, lose_ms, first_number
        self.tracks: list[Track] = []

    def see(self, found: Sequence[Detection], frame: int, ms: int) -> list[Track]:
        """Take what one look found; each one's track, in the same order. Times do not go back."""
        pairs = dict(_pairs(self.tracks, found))
        seen = [self._follow(pairs.get(index), one, frame, ms) for index, one in enumerate(found)]
        here = {id(track) for track in seen}
        for track in self.tracks:
            track.misses = 0 if id(track) in here else track.misses + 1
        self.tracks = [track for track in self.tracks if not self._lost(track, ms)]
        return seen

    def hold(self, ms: int) -> list[Track]:
        """Nothing has moved: who was seen at the last look is still there, and no surer than before."""
        held = [track for track in self.tracks if not track.misses]
        for track in held:
            track.last_ms = ms
        return held

    def _follow(self, track: Track | None, found: Detection, frame: int, ms: int) -> Track:
        if track is None:
            track = Track(found.name, found.box, found.confidence, frame, ms, ms)
            self.tracks.append(track)
        else:
            track.box, track.confidence, track.last_ms = found.box, found.confidence, ms
            track.hits += 1
        if track.number is None and track.hits >= self._hits:
            track.number, self._next = self._next, self._next + 1
        return track

    def _lost(self, track: Track, ms: int) -> bool:
        return track.misses >= MOST_MISSES and ms - track.last_ms > self._lose_ms


def _pairs(tracks: Sequence[Track], found: Sequence[Detection]) -> list[tuple[int, Track]]:
    """Which detection belongs to which track."""
    if not tracks or not found:
        return []
    shared = overlaps(_rows([one.box for one in tracks]), _rows([one.box for one in found]))
    same = np.array([[track.name == one.name for one in found] for track in tracks])
    shared[~same] = 0
    pairs: list[tuple[int, Track]] = []
    for flat in np.argsort(-shared, axis=None, kind="stable").tolist():
        row, column = divmod(flat, len(found))
        if shared[row, column] < LEAST_OVERLAP:
            break
        if all(index != column and track is not tracks[row] for index, track in pairs):
            pairs.append((column, tracks[row]))
    return pairs


def _rows(boxes: Sequence[Box]) -> Numbers:
    return np.array(boxes, np.float32).reshape(-1, 4)
