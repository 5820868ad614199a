"""Points of many posts as numpy columns, and as rows of PostgreSQL's binary COPY. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from projections.emotion_tables import POINT_COLUMNS
from projections.read_model import Event
from schemas.emotions import NO_BOX

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
"""Signature, flags and extension length (PostgreSQL's manual, COPY, binary format)."""
COPY_TRAILER: Final = b"\xff\xff"
BOXES: Final = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_TYPES: Final = {
    "id": ">i8", "t_ms": ">i8", "track_id": ">i8", "kafka_offset": ">i8", "valence": ">f8", "arousal": ">f8",
    "person_id": ">i4", "bbox_x1": ">i4", "bbox_y1": ">i4", "bbox_x2": ">i4", "bbox_y2": ">i4",
    "kafka_partition": ">i2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Points:
    """Points of a batch in log order. Runs are stretches of rows of one person in one post."""

    events: list[Event]
    event_of_row: Ints
    offset: Ints
    partition: Ints
    session_person_id: Ints
    track_id: Ints
    t_ms: Ints
    valence: Floats
    arousal: Floats
    boxes: tuple[Ints, ...]
    absolute_time: list[str]
    run_start: Ints
    run_rises: NDArray[np.bool_]
    """Whether time rises strictly within a run, so that it cannot hold a point twice."""

    def __len__(self) -> int:
        return len(self.t_ms)


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows in COPY's format but for `id` and `person_id`; those of equal width lie together."""

    size: int
    groups: list[tuple[Ints | None, NDArray[Any]]]
    """(positions in the batch, or None for all of them; rows)."""

    def payload(self, person_id: Ints, row_id: Ints, chosen: NDArray[np.bool_] | None = None) -> list[bytes]:
        """Everything that COPY wants for the chosen rows (None: all)."""
        parts = [COPY_HEADER]
        for positions, rows in self.groups:
            rows["person_id"] = person_id if positions is None else person_id[positions]
            rows["id"] = row_id if positions is None else row_id[positions]
            if chosen is not None:
                rows = rows[chosen if positions is None else chosen[positions]]  # noqa: PLW2901
            parts.append(rows.tobytes())
        parts.append(COPY_TRAILER)
        return parts


def gather(events: Sequence[Event]) -> Points:
    """Join the columns of posts (EmotionPointsRecorded, columns checked to be equally long)."""
    bodies = [event.body for event in events]
    sizes = np.fromiter((len(body["t_ms"]) for body in bodies), np.int64, len(bodies))
    n = int(sizes.sum())
    event_of_row = np.repeat(np.arange(len(bodies)), sizes)
    person, t_ms = _ints(bodies, "session_person_id", n), _ints(bodies, "t_ms", n)
    run_start = _run_starts(event_of_row, person)
    return Points(
        events=list(events),
        event_of_row=event_of_row,
        offset=np.repeat(np.fromiter((e.record.offset for e in events), np.int64, len(bodies)), sizes),
        partition=np.repeat(np.fromiter((e.record.partition for e in events), np.int64, len(bodies)), sizes),
        session_person_id=person,
        track_id=_ints(bodies, "track_id", n),
        t_ms=t_ms,
        # Adding 0.0 makes -0.0 0.0: equal numbers are to be the same bits, whichever came first.
        valence=_floats(bodies, "valence", n) + 0.0,
        arousal=_floats(bodies, "arousal", n) + 0.0,
        boxes=tuple(_ints(bodies, box, n) for box in BOXES),
        absolute_time=list(chain.from_iterable(body["absolute_time"] for body in bodies)),
        run_start=run_start,
        run_rises=_rising(t_ms, run_start),
    )


def lay_out(points: Points) -> Layout:
    """Rows for COPY. Their width depends on the length of `absolute_time` and on which coordinates are absent."""
    absent = sum(((box == NO_BOX).astype(np.int64) << bit for bit, box in enumerate(points.boxes)), np.int64(0))
    texts, lengths = _texts(points.absolute_time)
    shape = np.asarray(lengths * 16 + absent)
    if shape.ndim == 0 or len(shape) == 0 or shape.min() == shape.max():
        return Layout(len(points), [(None, _rows(points, None, texts, int(shape.flat[0]) if shape.size else 0))])
    groups: list[tuple[Ints | None, NDArray[Any]]] = []
    for value in np.unique(shape).tolist():
        positions = np.flatnonzero(shape == value)
        groups.append((positions, _rows(points, positions, texts, value)))
    return Layout(len(points), groups)


def _rows(points: Points, positions: Ints | None, texts: list[bytes] | bytes, shape: int) -> NDArray[Any]:
    length, absent = divmod(shape, 16)
    nulls = {box for bit, box in enumerate(BOXES) if absent >> bit & 1}
    count = len(points) if positions is None else len(positions)
    rows = np.zeros(count, _row_type(length, frozenset(nulls)))
    rows["columns"] = len(POINT_COLUMNS)
    columns: dict[str, NDArray[Any]] = {
        "t_ms": points.t_ms, "track_id": points.track_id, "kafka_offset": points.offset, "valence": points.valence,
        "arousal": points.arousal, "kafka_partition": points.partition, **dict(zip(BOXES, points.boxes, strict=True)),
    }  # fmt: skip
    for name in POINT_COLUMNS:
        rows[f"{name}_size"] = -1 if name in nulls else length if name == "absolute_time" else _width(name)
        if name in columns and name not in nulls:
            rows[name] = columns[name] if positions is None else columns[name][positions]
    if length:
        rows["absolute_time"] = np.frombuffer(_chosen(texts, positions, length), f"S{length}")
    return rows


def _row_type(length: int, nulls: frozenset[str]) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    for name in POINT_COLUMNS:
        fields.append((f"{name}_size", ">i4"))
        if name == "absolute_time":
            fields += [(name, f"S{length}")] if length else []
        elif name not in nulls:
            fields.append((name, _TYPES[name]))
    return np.dtype(fields)


def _width(name: str) -> int:
    return int(_TYPES[name][2])


def _texts(texts: list[str]) -> tuple[list[bytes] | bytes, Ints]:
    """UTF-8 of all texts (joined when they are equally long) and their lengths in bytes."""
    joined = "".join(texts)
    if joined.isascii() and len(set(map(len, texts))) == 1:
        return joined.encode(), np.full(1, len(texts[0]), np.int64)
    encoded = [text.encode() for text in texts]
    return encoded, np.fromiter(map(len, encoded), np.int64, len(encoded))


def _chosen(texts: list[bytes] | bytes, positions: Ints | None, length: int) -> bytes:
    if isinstance(texts, list):
        return b"".join(texts if positions is None else [texts[i] for i in positions.tolist()])
    if positions is None:
        return texts
    return np.frombuffer(texts, f"S{length}")[positions].tobytes()


def _ints(bodies: Sequence[dict[str, Any]], column: str, n: int) -> Ints:
    return np.fromiter(chain.from_iterable(body[column] for body in bodies), np.int64, n)


def _floats(bodies: Sequence[dict[str, Any]], column: str, n: int) -> Floats:
    return np.fromiter(chain.from_iterable(body[column] for body in bodies), np.float64, n)


def _run_starts(event_of_row: Ints, person: Ints) -> Ints:
    if len(person) == 0:
        return np.zeros(0, np.int64)
    changes = (np.diff(event_of_row) != 0) | (np.diff(person) != 0)
    return np.concatenate(([0], np.flatnonzero(changes) + 1))


def _rising(t_ms: Ints, run_start: Ints) -> NDArray[np.bool_]:
    if len(t_ms) == 0:
        return np.zeros(0, np.bool_)
    rises = np.ones(len(t_ms), np.bool_)
    rises[1:] = t_ms[1:] > t_ms[:-1]
    rises[run_start] = True
    return np.logical_and.reduceat(rises, run_start)
