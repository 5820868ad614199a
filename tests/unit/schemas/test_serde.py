"""Events survive the wire format, and nothing but a whole valid event is accepted from it."""

import random

import pytest

from schemas import serde
from schemas.catalogue import SCHEMAS
from schemas.emotions import NO_BOX, POINT_COLUMNS
from schemas.errors import InvalidEvent
from schemas.examples import load

EVENTS = sorted({schema.name for schema in SCHEMAS.values()})


@pytest.mark.parametrize("event", EVENTS)
def test_every_example_survives_the_wire_format(event):
    record = load(event)
    assert serde.decode(serde.encode(event, record)) == (event, record)


@pytest.mark.parametrize("event", EVENTS)
def test_a_cut_event_is_invalid_at_every_length(event):
    value = serde.encode(event, load(event))
    for length in range(len(value)):
        with pytest.raises(InvalidEvent):
            serde.decode(value[:length])


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0", b"\1\0\0\0\1x", b"\0\0\0\xff\xffx", b"not avro at all"])
def test_what_is_not_the_wire_format_is_invalid(value):
    with pytest.raises(InvalidEvent):
        serde.decode(value)


def test_trailing_bytes_are_invalid():
    value = serde.encode("Reply", load("Reply"))
    with pytest.raises(InvalidEvent, match="1 bytes follow"):
        serde.decode(value + b"x")


def test_flipped_bytes_are_either_an_event_or_invalid_never_another_error():
    draw = random.Random(20251209)
    value = serde.encode("EmotionPointsRecorded", load("EmotionPointsRecorded"))
    refused = 0
    for _ in range(3000):
        broken = bytearray(value)
        for _ in range(3):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        try:
            serde.decode(bytes(broken))
        except InvalidEvent:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize("column", POINT_COLUMNS)
def test_columns_of_unequal_length_are_invalid(column):
    record = load("EmotionPointsRecorded")
    record[column] = record[column][:-1]
    with pytest.raises(InvalidEvent, match="values where t_ms has"):
        serde.decode(serde.encode("EmotionPointsRecorded", record))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 10001.0])
@pytest.mark.parametrize("column", ["valence", "arousal"])
def test_affect_that_is_not_finite_or_too_large_is_invalid(column, bad):
    record = load("EmotionPointsRecorded")
    record[column] = [0.1, bad, 0.2]
    with pytest.raises(InvalidEvent, match=column):
        serde.decode(serde.encode("EmotionPointsRecorded", record))


def test_the_mark_of_an_absent_coordinate_fits_an_avro_int():
    assert load("EmotionPointsRecorded")["bbox_x1"][2] == NO_BOX == -(2**31)


def test_the_id_in_the_message_is_the_pinned_one():
    assert serde.encode("EmotionPointsRecorded", load("EmotionPointsRecorded"))[:5] == b"\0\0\0\0\1"
