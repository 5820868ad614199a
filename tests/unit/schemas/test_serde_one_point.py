"""An event of one point is encoded by hand: the same bytes as fastavro's, whatever the values."""

import struct
from io import BytesIO
from typing import Any

import pytest
from fastavro import schemaless_writer
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import serde
from schemas.catalogue import latest
from schemas.emotions import NO_BOX, POINT_COLUMNS
from schemas.examples import load

EVENT = "EmotionPointsRecorded"
LONGS = st.integers(-(2**63), 2**63 - 1)
INTS = st.integers(-(2**31), 2**31 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "session_person_id": LONGS,
    "track_id": LONGS,
    "t_ms": LONGS,
    "absolute_time": TEXTS,
    "valence": st.floats(),
    "arousal": st.floats(),
    **{f"bbox_{corner}": INTS for corner in ("x1", "y1", "x2", "y2")},
}
ONE_POINT = st.fixed_dictionaries(
    {"device_id": TEXTS, "session_id": TEXTS, "dialect": st.sampled_from(["V2", "V3"]), "site_zone": st.none() | TEXTS}
    | {name: st.lists(values, min_size=1, max_size=1) for name, values in STRATEGIES.items()}
)


def by_fastavro(record: dict[str, Any]) -> bytes:
    schema = latest(EVENT)
    out = BytesIO()
    out.write(b"\0" + schema.id.to_bytes(4, "big"))
    schemaless_writer(out, schema.parsed, record)
    return out.getvalue()


def of_one_point(**other: Any) -> dict[str, Any]:
    event = load(EVENT)
    return event | {name: event[name][:1] for name in POINT_COLUMNS} | other


@given(ONE_POINT)
@example(of_one_point())
@example(of_one_point(site_zone="Europe/Moscow", dialect="V3", session_person_id=[-(2**52)], bbox_x1=[NO_BOX]))
@example(of_one_point(track_id=[63], t_ms=[64], session_person_id=[-64], bbox_y1=[-65], bbox_y2=[2**31 - 1]))
def test_the_bytes_are_those_of_fastavro(record: dict[str, Any]):
    assert serde.encode(EVENT, record) == by_fastavro(record)


@pytest.mark.parametrize("points", [0, 2, 3])
def test_other_numbers_of_points_are_left_to_fastavro(points: int):
    event = load(EVENT)
    record = event | {name: event[name][:points] for name in POINT_COLUMNS}
    assert serde.encode(EVENT, record) == by_fastavro(record)


def test_the_order_of_fields_is_the_schemas():
    names = [field["name"] for field in latest(EVENT).parsed["fields"]]
    assert names == ["device_id", "session_id", "dialect", "site_zone", *POINT_COLUMNS]


@pytest.mark.parametrize(
    "wrong", [{"track_id": []}, {"t_ms": [2**63]}, {"track_id": [-(2**63) - 1]}, {"valence": ["0"]}, {"dialect": "V9"}]
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]):
    with pytest.raises((ValueError, TypeError, OverflowError, struct.error)):
        serde.encode(EVENT, of_one_point(**wrong))
