"""Rows are laid out as PostgreSQL's COPY reads them; an independent reader of the format checks it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from projections.emotion_rows import COPY_HEADER, Points, columns_of, gather, lay_out
from projections.emotion_tables import POINT_COLUMNS
from schemas.emotions import NO_BOX
from schemas.errors import InvalidEvent
from schemas.record import Record
from tests.drivers.emotion_points import post

FORMATS = {"i2": ">h", "i4": ">i", "i8": ">q", "f8": ">d"}
KINDS = dict(
    zip(POINT_COLUMNS, ("i8", "i8", "i8", "i8", "f8", "f8", "i4", "i4", "i4", "i4", "i4", "i2", "text"), strict=True)
)


def points_of(*bodies: dict[str, Any]) -> Points:
    records = [Record("emotion.points", 2, 100 + i, 0, None, None) for i in range(len(bodies))]
    return gather(records, columns_of(bodies))


def read_copy(payload: bytes) -> list[dict[str, Any]]:
    """What the manual says about the binary format, read back."""
    assert payload.startswith(COPY_HEADER)
    assert payload.endswith(b"\xff\xff")
    at, rows = len(COPY_HEADER), []
    while payload[at : at + 2] != b"\xff\xff":
        assert struct.unpack_from(">h", payload, at) == (len(POINT_COLUMNS),)
        at, row = at + 2, {}
        for name in POINT_COLUMNS:
            (size,) = struct.unpack_from(">i", payload, at)
            at += 4
            if size < 0:
                row[name] = None
                continue
            field = payload[at : at + size]
            kind = KINDS[name]
            row[name] = field.decode() if kind == "text" else struct.unpack(FORMATS[kind], field)[0]
            at += size
        rows.append(row)
    assert at == len(payload) - 2
    return rows


def laid_out(points: Points, chosen: np.ndarray[Any, Any] | None = None) -> list[dict[str, Any]]:
    number, row_id = np.arange(len(points)) + 7, np.arange(len(points)) + 1000
    return read_copy(b"".join(lay_out(points).payload(number, row_id, chosen)))


def test_rows_of_equal_width() -> None:
    bodies = [post("a", points=2), post("b", points=3, seed=5)]
    rows = laid_out(points_of(*bodies))
    assert [row["id"] for row in rows] == [1000, 1001, 1002, 1003, 1004]
    assert [row["person_id"] for row in rows] == [7, 8, 9, 10, 11]
    assert [row["kafka_offset"] for row in rows] == [100, 100, 101, 101, 101]
    assert {row["kafka_partition"] for row in rows} == {2}
    for name in ("t_ms", "track_id", "valence", "arousal", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "absolute_time"):
        assert [row[name] for row in rows] == bodies[0][name] + bodies[1][name]


def test_rows_of_every_width_are_all_there_once() -> None:
    n = 16
    texts = ["2026-03-02T12:00:00+03:00", "20260302T090000Z", "", "ночь"]
    body = post(
        t_ms=list(range(n)),
        absolute_time=[texts[i % 4] for i in range(n)],
        **{box: [NO_BOX if i >> bit & 1 else i for i in range(n)] for bit, box in enumerate(("bbox_x1", "bbox_y2"))},
    )
    rows = sorted(laid_out(points_of(body)), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == list(range(1000, 1000 + n))
    assert [row["absolute_time"] for row in rows] == body["absolute_time"]
    for box in ("bbox_x1", "bbox_y2"):
        assert [row[box] for row in rows] == [None if x == NO_BOX else x for x in body[box]]


@pytest.mark.parametrize("texts", [["a", "a", "a"], ["a", "bb", "a"]])
def test_chosen_rows_only(texts: list[str]) -> None:
    points = points_of(post(absolute_time=texts))
    rows = laid_out(points, np.array([True, False, True]))
    assert [row["id"] for row in rows] == [1000, 1002]


def test_nothing() -> None:
    assert laid_out(points_of()) == []
    assert laid_out(points_of(post(points=0))) == []


def test_runs_are_stretches_of_one_person_in_one_post() -> None:
    points = points_of(
        post(t_ms=[5, 6, 6, 9], session_person_id=[1, 1, 2, 1]), post(points=0), post(t_ms=[3, 3], person=1)
    )
    assert points.run_start.tolist() == [0, 2, 3, 4]
    assert points.run_rises.tolist() == [True, True, True, False]


def test_minus_zero_is_zero() -> None:
    points = points_of(post(t_ms=[1], valence=[-0.0], arousal=[-0.0]))
    assert not np.signbit(points.columns.valence).any()
    assert not np.signbit(points.columns.arousal).any()


@pytest.mark.parametrize("t_ms", [2**62, -(2**62), -(2**63)])
def test_a_time_beyond_any_calendar_is_invalid(t_ms: int) -> None:
    with pytest.raises(InvalidEvent, match="calendar"):
        points_of(post(t_ms=[t_ms]))
