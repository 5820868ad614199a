"""Points of many posts as numpy columns, and as rows of PostgreSQL's binary COPY. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from projections.emotion_tables import POINT_COLUMNS
from schemas.emotion_columns import PointColumns, Texts
from schemas.emotions import NO_BOX
from schemas.errors import InvalidEvent
from schemas.record import Record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
"""Signature, flags and extension length (PostgreSQL's manual, COPY, binary format)."""
COPY_TRAILER: Final = b"\xff\xff"
FARTHEST_MS: Final = 2**60
BOXES: Final = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_TYPES: Final = {
    "id": ">i8", "t_ms": ">i8", "track_id": ">i8", "kafka_offset": ">i8", "valence": ">f8", "arousal": ">f8",
    "person_id": ">i4", "bbox_x1": ">i4", "bbox_y1": ">i4", "bbox_x2": ">i4", "bbox_y2": ">i4",
    "kafka_partition": ">i2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Points:
    """Points of a batch in log order. Runs are stretches of rows of one person in one post."""

    records: list[Record]
    columns: PointColumns
    post_of_row: Ints
    offset: Ints
    partition: Ints
    run_start: Ints
    run_rises: NDArray[np.bool_]
    """Whether time rises strictly within a run, so that it cannot hold a point twice."""

    def __len__(self) -> int:
        return len(self.post_of_row)


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


def columns_of(bodies: Sequence[Mapping[str, Any]]) -> PointColumns:
    """Join the columns of decoded EmotionPointsRecorded (checked to be equally long)."""

    def ints(name: str) -> Ints:
        return np.fromiter(chain.from_iterable(body[name] for body in bodies), np.int64)

    def floats(name: str) -> Floats:
        return np.fromiter(chain.from_iterable(body[name] for body in bodies), np.float64)

    return PointColumns(
        sizes=np.fromiter((len(body["t_ms"]) for body in bodies), np.int64, len(bodies)),
        device_id=[body["device_id"] for body in bodies],
        session_id=[body["session_id"] for body in bodies],
        session_person_id=ints("session_person_id"),
        track_id=ints("track_id"),
        t_ms=ints("t_ms"),
        absolute_time=Texts.of(list(chain.from_iterable(body["absolute_time"] for body in bodies))),
        valence=floats("valence"),
        arousal=floats("arousal"),
        boxes=tuple(ints(box) for box in BOXES),
    )


def gather(records: Sequence[Record], columns: PointColumns) -> Points:
    """Points of posts and where they came from. Raises InvalidEvent for a time beyond any calendar."""
    t_ms, post_of_row = columns.t_ms, np.repeat(np.arange(len(records)), columns.sizes)
    if len(t_ms) and max(-int(t_ms.min()), int(t_ms.max())) > FARTHEST_MS:
        raise InvalidEvent("A point's time is beyond any calendar.")
    # Adding 0.0 makes -0.0 0.0: equal numbers are to be the same bits, whichever came first.
    columns = replace(columns, valence=columns.valence + 0.0, arousal=columns.arousal + 0.0)
    run_start = _run_starts(post_of_row, columns.session_person_id)
    return Points(
        records=list(records),
        columns=columns,
        post_of_row=post_of_row,
        offset=np.fromiter((record.offset for record in records), np.int64, len(records))[post_of_row],
        partition=np.fromiter((record.partition for record in records), np.int64, len(records))[post_of_row],
        run_start=run_start,
        run_rises=_rising(t_ms, run_start),
    )


def lay_out(points: Points) -> Layout:
    """Rows for COPY. Their width depends on the length of `absolute_time` and on which coordinates are absent."""
    shape = points.columns.absolute_time.length * 16
    for bit, box in enumerate(points.columns.boxes):
        shape = shape + ((box == NO_BOX).astype(np.int64) << bit)
    if len(shape) == 0:
        return Layout(0, [])
    if shape.min() == shape.max():
        return Layout(len(points), [(None, _rows(points, None, int(shape[0])))])
    groups: list[tuple[Ints | None, NDArray[Any]]] = []
    for value in np.unique(shape).tolist():
        positions = np.flatnonzero(shape == value)
        groups.append((positions, _rows(points, positions, value)))
    return Layout(len(points), groups)


def _rows(points: Points, positions: Ints | None, shape: int) -> NDArray[Any]:
    length, absent = divmod(shape, 16)
    nulls = {box for bit, box in enumerate(BOXES) if absent >> bit & 1}
    columns = points.columns
    rows = np.empty(len(points) if positions is None else len(positions), _row_type(length, frozenset(nulls)))
    rows["columns"] = len(POINT_COLUMNS)
    values: dict[str, NDArray[Any]] = {
        "t_ms": columns.t_ms, "track_id": columns.track_id, "kafka_offset": points.offset, "valence": columns.valence,
        "arousal": columns.arousal, "kafka_partition": points.partition,
        **dict(zip(BOXES, columns.boxes, strict=True)),
    }  # fmt: skip
    for name in POINT_COLUMNS:
        rows[f"{name}_size"] = -1 if name in nulls else length if name == "absolute_time" else _width(name)
        if name in values and name not in nulls:
            rows[name] = values[name] if positions is None else values[name][positions]
    if length:
        start = columns.absolute_time.start
        rows["absolute_time"] = _fixed_width(
            columns.absolute_time, start if positions is None else start[positions], length
        )
    return rows


def _fixed_width(texts: Texts, start: Ints, length: int) -> NDArray[Any]:
    """Texts of one length, gathered from wherever they lie in the buffer."""
    anywhere = np.ndarray((len(texts.buffer) - length + 1,), f"S{length}", texts.buffer.data, strides=(1,))
    return anywhere[start]


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


def _run_starts(post_of_row: Ints, person: Ints) -> Ints:
    if len(person) == 0:
        return np.zeros(0, np.int64)
    changes = (np.diff(post_of_row) != 0) | (np.diff(person) != 0)
    return np.concatenate(([0], np.flatnonzero(changes) + 1))


def _rising(t_ms: Ints, run_start: Ints) -> NDArray[np.bool_]:
    if len(t_ms) == 0:
        return np.zeros(0, np.bool_)
    rises = np.ones(len(t_ms), np.bool_)
    rises[1:] = t_ms[1:] > t_ms[:-1]
    rises[run_start] = True
    return np.logical_and.reduceat(rises, run_start)
