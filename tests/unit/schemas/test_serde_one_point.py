"""An event of one point is encoded by hand: the same bytes as fastavro's, whatever the values."""

import struct
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from fastavro import schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import serde
from schemas.catalogue import latest
from schemas.emotions import NO_BOX, POINT_COLUMNS

EVENT = "EmotionPointsRecorded"
HEAD = ("device_id", "session_id", "dialect", "site_zone")
LONGS = st.integers(-(2**63), 2**63 - 1)
BOXES = st.none() | st.integers(-(2**31), 2**31 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
POSTS = st.tuples(TEXTS, TEXTS, st.sampled_from(["V2", "V3"]), st.none() | TEXTS)
POINTS = st.fixed_dictionaries(
    {
        "session_person_id": LONGS,
        "track_id": LONGS,
        "t_ms": LONGS,
        "absolute_time": TEXTS,
        "valence": st.floats(),
        "arousal": st.floats(),
        **{f"bbox_{corner}": BOXES for corner in ("x1", "y1", "x2", "y2")},
    }
)
POINT: dict[str, Any] = {
    "session_person_id": 5,
    "track_id": 72,
    "t_ms": 1_765_289_734_000,
    "absolute_time": "2025-12-09T17:15:34+03:00",
    "valence": 0.12,
    "arousal": 0.67,
    "bbox_x1": 100,
    "bbox_y1": None,
    "bbox_x2": 160,
    "bbox_y2": 160,
}
POST = ("pi", "s", "V2", None)


def by_hand(post: tuple[str, str, str, str | None], point: dict[str, Any]) -> bytes:
    row: Any = SimpleNamespace(**point)
    return serde.encode_point(post, point["session_person_id"], point["t_ms"], row)


def by_fastavro(post: tuple[str, str, str, str | None], point: dict[str, Any]) -> bytes:
    schema = latest(EVENT)
    out = BytesIO()
    out.write(b"\0" + schema.id.to_bytes(4, "big"))
    columns = {name: [NO_BOX if value is None else value] for name, value in point.items()}
    schemaless_writer(out, schema.parsed, dict(zip(HEAD, post, strict=True)) | columns)
    return out.getvalue()


@given(POSTS, POINTS)
@example(POST, POINT)
@example(("pi", "s", "V3", "Europe/Moscow"), POINT | {"session_person_id": -(2**52), "bbox_x1": NO_BOX})
@example(POST, POINT | {"track_id": 63, "t_ms": 64, "session_person_id": -64, "bbox_y1": -65, "bbox_y2": 2**31 - 1})
def test_the_bytes_are_those_of_fastavro(post: tuple[str, str, str, str | None], point: dict[str, Any]):
    assert by_hand(post, point) == by_fastavro(post, point)


def test_the_order_of_fields_is_the_schemas():
    assert [field["name"] for field in latest(EVENT).parsed["fields"]] == [*HEAD, *POINT_COLUMNS]


@pytest.mark.parametrize(
    "wrong",
    [{"t_ms": 2**63}, {"track_id": -(2**63) - 1}, {"valence": "0"}, {"track_id": "0"}, {"absolute_time": "\ud800"}],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]):
    with pytest.raises((ValueError, TypeError, struct.error)):
        by_hand(POST, POINT | wrong)
