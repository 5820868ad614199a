"""The fast decoder agrees with serde on everything it accepts, and accepts all that our encoder writes in ASCII."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.emotion_rows import BOXES, columns_of
from schemas import examples, serde
from schemas.emotion_columns import HEADER, PointColumns, Texts, decode_posts
from schemas.emotions import NO_BOX
from schemas.errors import InvalidEvent
from tests.drivers.emotion_points import post, traffic

LONG = st.integers(-(2**63), 2**63 - 1)
INT = st.integers(-(2**31), 2**31 - 1)
AFFECT = st.floats(-1e4, 1e4, allow_nan=False)


@st.composite
def bodies(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> dict[str, Any]:
    n = draw(st.integers(0, 5))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=n, max_size=n))

    return {
        "device_id": draw(st.text()),
        "session_id": draw(st.text(max_size=200)),
        "dialect": draw(st.sampled_from(["V2", "V3"])),
        "site_zone": draw(st.sampled_from([None, "Europe/Moscow", ""])),
        "session_person_id": column(LONG),
        "track_id": column(LONG),
        "t_ms": column(LONG),
        "absolute_time": column(texts),
        "valence": column(AFFECT),
        "arousal": column(AFFECT),
        **{box: column(INT) for box in BOXES},
    }


def as_values(columns: PointColumns) -> dict[str, Any]:
    rows = range(len(columns.t_ms))
    return {
        "sizes": columns.sizes.tolist(),
        "device_id": columns.device_id,
        "session_id": columns.session_id,
        "session_person_id": columns.session_person_id.tolist(),
        "track_id": columns.track_id.tolist(),
        "t_ms": columns.t_ms.tolist(),
        "absolute_time": [columns.absolute_time.at(row) for row in rows],
        "valence": columns.valence.tolist(),
        "arousal": columns.arousal.tolist(),
        "boxes": [box.tolist() for box in columns.boxes],
    }


def by_serde(values: list[bytes]) -> dict[str, Any] | None:
    try:
        return as_values(columns_of([serde.decode(value)[1] for value in values]))
    except InvalidEvent:
        return None


SHORT_ASCII = st.text(st.characters(max_codepoint=127), max_size=63)


@given(st.lists(bodies(SHORT_ASCII), min_size=1, max_size=4))
def test_takes_whatever_our_encoder_writes(posts: list[dict[str, Any]]) -> None:
    values = [serde.encode("EmotionPointsRecorded", body) for body in posts]
    columns = decode_posts(values)
    assert columns is not None
    assert as_values(columns) == by_serde(values)


@given(st.lists(bodies(st.text(max_size=90)), min_size=1, max_size=3))
def test_declines_or_agrees_on_any_text(posts: list[dict[str, Any]]) -> None:
    values = [serde.encode("EmotionPointsRecorded", body) for body in posts]
    columns = decode_posts(values)
    assert columns is None or as_values(columns) == by_serde(values)


@settings(max_examples=400)
@given(st.data())
def test_never_accepts_what_serde_refuses(data: st.DataObject) -> None:
    values = [serde.encode("EmotionPointsRecorded", post(points=n, seed=n)) for n in (3, 1, 4)]
    which = data.draw(st.integers(0, 2))
    broken = bytearray(values[which])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                broken[at] = data.draw(st.integers(0, 255))
            case "cut":
                del broken[at : at + data.draw(st.integers(1, 9))]
            case _:
                broken[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        if not broken:
            break
    values[which] = bytes(broken)
    columns = decode_posts(values)
    if columns is not None:
        expected = by_serde(values)
        assert expected is not None
        assert as_values(columns) == expected


def test_real_looking_traffic_is_taken() -> None:
    values = [serde.encode("EmotionPointsRecorded", body) for body in traffic(30)]
    columns = decode_posts(values)
    assert columns is not None
    assert as_values(columns) == by_serde(values)


def test_declines_other_events_and_nothing() -> None:
    good = serde.encode("EmotionPointsRecorded", post())
    other = serde.encode("EmotionLogsTruncated", examples.load("EmotionLogsTruncated"))
    for values in ([], [None], [good, None], [good, other], [good, b""], [good[:-1]], [good + b"\x00"]):
        assert decode_posts(values) is None


def test_declines_what_is_not_finite() -> None:
    body = post(valence=[0.1, 0.2, 0.3])
    value = serde.encode("EmotionPointsRecorded", body)
    for bad in (float("nan"), float("inf"), 10001.0):
        broken = value.replace(np.float64(0.2).tobytes(), np.float64(bad).tobytes())
        assert broken != value
        assert decode_posts([broken]) is None


def test_texts_of_strings() -> None:
    texts = Texts.of(["", "abc", "ночь"])
    assert [texts.at(i) for i in range(3)] == ["", "abc", "ночь"]
    assert Texts.of([]).length.tolist() == []


def test_absent_boxes_come_through() -> None:
    body = post(bbox_x1=[NO_BOX, 0, 2**31 - 1])
    columns = decode_posts([serde.encode("EmotionPointsRecorded", body)])
    assert columns is not None
    assert columns.boxes[0].tolist() == [NO_BOX, 0, 2**31 - 1]


def test_a_claimed_size_costs_nothing() -> None:
    claimed = bytes([0x80 | (2_000_000 & 127), 0x80 | (2_000_000 >> 7 & 127), 2_000_000 >> 14])  # zigzag of a million
    poison = HEADER + b"\x02d\x02s\x00\x00" + claimed + bytes([1]) * 20
    tracemalloc.start()
    try:
        assert decode_posts([poison] * 50) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(InvalidEvent):
        serde.decode(poison)


def test_the_smallest_points_are_taken() -> None:
    n = 300
    body = post(points=n) | {name: [0] * n for name in ("session_person_id", "track_id", "t_ms", *BOXES)}
    body |= {"absolute_time": [""] * n, "valence": [0.0] * n, "arousal": [0.0] * n}
    columns = decode_posts([serde.encode("EmotionPointsRecorded", body)])
    assert columns is not None
    assert columns.sizes.tolist() == [n]
