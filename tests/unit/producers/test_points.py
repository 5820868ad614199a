"""Bulk bodies: both ways of reading agree, dialects are told apart, a retry is the same person."""

import json
import tracemalloc
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from producers.leniency import PersonPointsPost, PointsPost, TooMuch, Unacceptable, read_points
from producers.points import encode, event_of_one, events, parse, parse_lenient, parse_strict
from producers.times import UnreadableTime
from schemas import serde
from schemas.emotions import NO_BOX
from schemas.topics import TOPICS

BOX = {"bbox_x1": 100, "bbox_y1": 80, "bbox_x2": 160, "bbox_y2": 160}
POINT: dict[str, Any] = {
    "track_id": 72,
    "absolute_time": "2025-12-09T17:15:34+03:00",
    "valence": 0.12,
    "arousal": 0.67,
} | BOX
V2_POINT = POINT | {"session_person_id": 5}


def body(*records: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"device_id": "pi", "session_id": "s", "records": records} | more).encode()


def refusal_of(data: bytes) -> list[Any]:
    with pytest.raises(Unacceptable) as caught:
        parse(data)
    assert caught.value.status == 422
    assert isinstance(caught.value.detail, list)
    return caught.value.detail


def test_the_documented_post_takes_the_fast_way():
    points = parse_strict(body(V2_POINT))
    assert points is not None
    assert points.dialect == "V2"
    (value,) = encode(points, None, "local")
    name, event = serde.decode(value)
    assert name == "EmotionPointsRecorded"
    assert event == {
        "device_id": "pi",
        "session_id": "s",
        "dialect": "V2",
        "site_zone": None,
        "session_person_id": [5],
        "track_id": [72],
        "t_ms": [1_765_289_734_000],
        "absolute_time": ["2025-12-09T17:15:34+03:00"],
        "valence": [0.12],
        "arousal": [0.67],
        "bbox_x1": [100],
        "bbox_y1": [80],
        "bbox_x2": [160],
        "bbox_y2": [160],
    }


@pytest.mark.parametrize(
    ("sent", "read"),
    [("72", 72), (72.0, 72), (True, 1), (-(2**63), -(2**63)), (" 72 ", 72)],
)
def test_integers_are_read_as_the_seed_reads_them(sent: Any, read: int):
    assert parse(body(V2_POINT | {"track_id": sent})).columns["track_id"] == [read]


@pytest.mark.parametrize(("sent", "read"), [("0.5", 0.5), (1, 1.0), (False, 0.0), (-10_000, -10_000.0)])
def test_numbers_are_read_as_the_seed_reads_them(sent: Any, read: float):
    assert parse(body(V2_POINT | {"valence": sent})).columns["valence"] == [read]


def test_unknown_keys_are_ignored_and_boxes_optional():
    record = {key: value for key, value in V2_POINT.items() if key not in {"bbox_x1", "bbox_y2"}}
    points = parse(body(record | {"bbox_x2": None, "unknown": [1, {"a": None}]}, also=1))
    assert [points.columns[key] for key in BOX] == [[NO_BOX], [80], [NO_BOX], [NO_BOX]]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"track_id": 100.5}, "int_from_float"),
        ({"track_id": 2**63}, "less_than_equal"),
        ({"track_id": None}, "int_type"),
        ({"session_person_id": None}, "int_type"),
        ({"valence": "high"}, "float_parsing"),
        ({"valence": float("nan")}, "finite_number"),
        ({"arousal": float("inf")}, "finite_number"),
        ({"arousal": 10_001}, "less_than_equal"),
        ({"bbox_x1": NO_BOX}, "greater_than_equal"),
        ({"bbox_x1": 2**31}, "less_than_equal"),
        ({"absolute_time": 5}, "string_type"),
        ({"absolute_time": "2025-12-09\u000017:15:34"}, "string_pattern_mismatch"),
        ({"absolute_time": "2" * 65}, "string_too_long"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], kind: str):
    (error,) = refusal_of(body(V2_POINT, V2_POINT | change))
    assert error["type"] == kind
    assert error["loc"] == ["body", "records", 1, next(iter(change))]
    assert set(error) >= {"type", "loc", "msg", "input"}
    json.dumps(error, allow_nan=False)


def test_missing_fields_show_the_record_they_are_missing_in():
    (error,) = refusal_of(body({key: value for key, value in V2_POINT.items() if key != "valence"}))
    assert error["type"] == "missing"
    assert error["msg"] == "Field required"
    assert error["input"]["track_id"] == 72


@pytest.mark.parametrize("device", ["", "x" * 256, "прибор \U0001f600"])
def test_device_names_are_any_text(device: str):
    assert parse(body(V2_POINT, device_id=device)).device_id == device


@pytest.mark.parametrize(("device", "kind"), [("x" * 257, "string_too_long"), ("a\0b", "string_pattern_mismatch")])
def test_device_names_the_read_model_cannot_hold_are_refused(device: str, kind: str):
    assert refusal_of(body(V2_POINT, device_id=device))[0]["type"] == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "missing"),
        (b"{", "json_invalid"),
        (b"[1]", "model_attributes_type"),
        (b'{"records": ' + b"9" * 5000 + b"}", "json_invalid"),
        (b"[" * 100_000, "json_invalid"),
        (b'{"device_id": "a", "session_id": "b", "records": [1]}', "model_attributes_type"),
        (b'{"device_id": "\\ud800", "session_id": "b", "records": []}', "string_unicode"),
    ],
)
def test_what_is_no_post_at_all_is_refused(data: bytes, kind: str):
    assert refusal_of(data)[0]["type"] == kind


def test_bytes_that_are_no_text_are_a_400():
    with pytest.raises(Unacceptable) as caught:
        parse(b'{"device_id": "\xff"}')
    assert (caught.value.status, caught.value.detail) == (400, "There was an error parsing the body")


def test_a_huge_refused_body_is_not_echoed_whole():
    errors = refusal_of(body(*[POINT | {"track_id": "x" * 1000}] * 1000))
    assert len(json.dumps(errors)) < 3_000_000
    assert len(refusal_of(b'{"x": [' + b"1," * 500_000 + b"1]}")[0]["input"]) < 20_000


GOOD = [POINT | {"track_id": str(n)} for n in range(230)]


@pytest.mark.parametrize(
    "sent",
    [
        {"records": GOOD},
        {"records": [*GOOD, POINT | {"track_id": 1.5}, *GOOD, {}, 7, [POINT]]},
        {"records": [{}] * 350},
        {"records": [{}] * 350, "device_id": 1},
        {"records": [{}] * 3, "device_id": None, "session_id": "x" * 257},
        {"records": None},
        {"records": {"0": POINT}},
        {"records": [POINT | {"deep": json.loads("[" * 300 + "]" * 300), "valence": "?"}]},
    ],
)
@pytest.mark.parametrize("persons", [False, True])
def test_slices_say_what_the_whole_would(sent: dict[str, Any], persons: bool):
    if persons and isinstance(sent["records"], list):
        sent = sent | {"records": [r | {"session_person_id": 1} if isinstance(r, dict) else r for r in sent["records"]]}
    raw = {"device_id": "d", "session_id": "s"} | sent
    carried = "session_person_id" in str(sent)
    model = PersonPointsPost if carried else PointsPost
    try:
        expected = model.model_validate(raw, from_attributes=True)
    except ValidationError as error:
        said = [{**one, "loc": ["body", *one["loc"]]} for one in error.errors(include_url=False)][:100]
        found = refusal_of(json.dumps(raw).encode())
        assert [one | {"input": ...} for one in found] == [one | {"input": ...} for one in said]
        assert all(
            one["input"] == (other["input"] if len(json.dumps(other["input"])) <= 16_384 else one["input"])
            for one, other in zip(found, said, strict=True)
        )
    else:
        assert read_points(json.dumps(raw).encode()) == expected


def test_errors_are_not_collected_beyond_those_told():
    data = body(*[{}] * 10_000)
    tracemalloc.start()
    try:
        assert len(refusal_of(data)) == 100
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("record", [{}, POINT, POINT | {"track_id": "1"}])
def test_more_records_than_taken_are_counted_not_read(record: dict[str, Any]):
    with pytest.raises(TooMuch, match="A post may have 2 records, this one has 3"):
        parse(body(*[record] * 3), 2)
    assert parse_strict(body(POINT, POINT), 2)


def test_more_objects_than_memory_has_room_for_are_refused_unread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("producers.leniency.json.loads", None)
    with pytest.raises(TooMuch, match="250000 objects and arrays"):
        parse(body(*[{}] * 250_000))


def test_a_nest_too_deep_to_show_is_refused_all_the_same():
    (error,) = refusal_of(b'{"device_id": "d", "session_id": "s", "records": ' + b'{"a":' * 900 + b"1" + b"}" * 901)
    assert error["type"] == "list_type"


class TestDialects:
    def test_a_post_without_persons_is_one_person(self):
        points = parse(body(POINT, POINT | {"track_id": 73}))
        assert points.dialect == "V3"
        first, second = points.columns["session_person_id"]
        assert first == second
        assert -(2**52) <= first < 0

    def test_a_retry_is_the_same_person_whoever_reads_it(self):
        data = body(POINT, POINT | {"track_id": 73})
        shuffled = body(dict(reversed(POINT.items())), POINT | {"track_id": "73"})
        assert parse_strict(shuffled) is None
        ids = {tuple(parse(sent).columns["session_person_id"]) for sent in (data, data, shuffled)}
        assert len(ids) == 1

    def test_the_derived_number_never_changes(self):
        assert parse(body(POINT)).columns["session_person_id"] == [DERIVED]

    @pytest.mark.parametrize("key", ["device_id", "session_id"])
    def test_other_content_is_another_person(self, key: str):
        one, other = parse(body(POINT)), parse(body(POINT, **{key: "other"}))
        assert one.columns["session_person_id"] != other.columns["session_person_id"]

    def test_one_record_with_a_person_makes_it_required_for_all(self):
        errors = refusal_of(body(POINT, V2_POINT, POINT))
        assert [(error["type"], error["loc"]) for error in errors] == [
            ("missing", ["body", "records", 0, "session_person_id"]),
            ("missing", ["body", "records", 2, "session_person_id"]),
        ]

    def test_an_empty_post_has_no_points(self):
        assert len(parse(body())) == 0


DERIVED = -3886115470025031

numbers = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.integers(-200, 200).map(str),
    st.floats(-2, 2),
)
good_records = st.fixed_dictionaries(
    {
        "track_id": st.integers(-(2**63), 2**63 - 1),
        "absolute_time": st.text(max_size=30),
        "valence": st.floats(-1e4, 1e4),
        "arousal": st.one_of(st.floats(-1e4, 1e4), st.integers(-10_000, 10_000)),
    },
    optional={
        "session_person_id": st.integers(-(2**63), 2**63 - 1),
        "bbox_x1": st.one_of(st.none(), st.integers(-(2**31) + 1, 2**31 - 1)),
        "bbox_y2": st.one_of(st.none(), st.integers(-(2**31) + 1, 2**31 - 1)),
        "other": st.one_of(st.text(), st.lists(st.floats())),
    },
)
wild_records = st.dictionaries(
    st.sampled_from(["track_id", "absolute_time", "valence", "arousal", "session_person_id", "bbox_x1", "odd"]), numbers
)


@given(st.lists(good_records, max_size=4), st.text(max_size=10))
def test_both_ways_read_a_good_post_alike(records: list[dict[str, Any]], device: str):
    data = body(*records, device_id=device)
    strict = parse_strict(data)
    if strict is not None:
        assert strict == parse_lenient(data)


@given(st.lists(st.one_of(good_records, wild_records), max_size=3))
def test_what_the_fast_way_takes_the_lenient_one_takes_alike(records: list[dict[str, Any]]):
    data = body(*records)
    strict = parse_strict(data)
    if strict is not None:
        assert strict == parse_lenient(data)


def test_the_fast_way_really_takes_good_posts():
    assert parse_strict(body(V2_POINT, V2_POINT)) == parse_lenient(body(V2_POINT, V2_POINT))
    assert parse_strict(body(POINT)) == parse_lenient(body(POINT))


@given(st.lists(st.one_of(good_records, wild_records), max_size=3), st.text(max_size=10), st.booleans())
def test_the_short_way_of_one_point_makes_the_event_that_the_long_one_does(
    records: list[dict[str, Any]], device: str, known_time: bool
):
    time = {"absolute_time": "2025-12-09T17:15:34.125"} if known_time else {}
    data = body(*[record | time for record in records], device_id=device)
    try:
        short = event_of_one(data, UTC, "UTC")
    except UnreadableTime:
        with pytest.raises(UnreadableTime):
            events(data, UTC, "UTC")
    else:
        assert short is None or short == events(data, UTC, "UTC")


def test_the_short_way_really_takes_posts_of_one_named_point():
    for time in ("2025-12-09T17:15:34+03:00", "2025-12-09T17:15:34"):
        data = body(V2_POINT | {"absolute_time": time})
        assert event_of_one(data, UTC, "Europe/Moscow") == events(data, UTC, "Europe/Moscow")
    for other in (body(POINT), body(V2_POINT, V2_POINT), body(), b"{}", body(V2_POINT, session_id="s" * 1024)):
        assert event_of_one(other, UTC, "UTC") is None


def test_an_unreadable_time_names_its_record():
    with pytest.raises(UnreadableTime) as caught:
        encode(parse(body(V2_POINT, V2_POINT | {"absolute_time": "yesterday"})), None, "local")
    assert caught.value.index == 1


def test_a_time_without_offset_makes_the_event_say_its_zone():
    (value,) = encode(parse(body(V2_POINT | {"absolute_time": "2025-12-09T17:15:34"})), None, "Europe/Moscow")
    assert serde.decode(value)[1]["site_zone"] == "Europe/Moscow"


def test_a_large_post_becomes_several_events_in_order():
    points = parse(body(*[V2_POINT | {"track_id": n} for n in range(25)]))
    events = [serde.decode(value)[1] for value in encode(points, None, "local", most=10)]
    assert [len(event["t_ms"]) for event in events] == [10, 10, 5]
    assert [track for event in events for track in event["track_id"]] == list(range(25))


def test_ten_thousand_of_the_largest_points_fit_one_event():
    point = V2_POINT | {
        "session_person_id": -(2**63),
        "track_id": -(2**63),
        "absolute_time": "2025-12-09T12:00:00." + "0" * 38 + "+03:00",
        "bbox_x1": 2**31 - 1,
        "bbox_y1": -(2**31) + 1,
        "bbox_x2": 2**31 - 1,
        "bbox_y2": -(2**31) + 1,
    }
    (value,) = encode(parse(body(*[point] * 10_000)), None, "local")
    assert len(value) + 10_000 * 192 < TOPICS["emotion.points"].max_message_bytes  # times of 64 four-byte characters
