"""Rows of chunks, silences and detections: the first stays, an error gives way to what could be used after all."""

from __future__ import annotations

from typing import Any

import pytest

from projections.projectors import sales_audio
from projections.projectors.sales_audio import CHUNKS, DETECTIONS, keep_done, keep_first
from projections.read_model import Event, Target
from projections.sales_rows import Loaded
from schemas import examples
from schemas.errors import InvalidEvent
from schemas.record import Record


def event(name: str, offset: int = 0, **changes: Any) -> Event:
    return Event(Record("t", 1, offset, 1000, None, None), name, examples.load(name) | changes)


def prepared(*events: Event) -> sales_audio.Prepared:
    return sales_audio.SalesAudio(Target("s")).prepare(events)


def test_the_same_chunk_twice_is_the_first() -> None:
    rows = prepared(event("AudioChunkUploaded"), event("AudioChunkUploaded", 5, codec="other")).chunks
    known = Loaded(CHUNKS)
    keep_first(known, rows)
    assert [row["kafka_offset"] for row in known.changes()] == [0]
    keep_first(known, prepared(event("AudioChunkUploaded", 9)).chunks)
    assert [row["kafka_offset"] for row in known.changes()] == [0]


def test_a_row_has_every_column() -> None:
    found = prepared(event("AudioChunkUploaded"), event("SilenceReported"), event("SpeechSegmentsDetected"))
    assert found.chunks[0].keys() == CHUNKS.columns.keys()
    assert found.silences[0].keys() == sales_audio.SILENCES.columns.keys()
    assert found.detections[0][0].keys() == DETECTIONS.columns.keys()
    assert found.detections[0][1][0].keys() == sales_audio.SEGMENTS.columns.keys()
    assert len(found.records) == 3


def test_a_silence_is_known_by_boot_and_number_else_by_its_times() -> None:
    def identity(**changes: Any) -> Any:
        return prepared(event("SilenceReported", **changes)).silences[0]["silence_id"]

    assert identity(boot_id="b", sequence=1, start_us=1, end_us=2) == identity(boot_id="b", sequence=1)
    assert identity(boot_id="b", sequence=1) != identity(boot_id="b", sequence=2)
    assert identity(boot_id=None, sequence=1) == identity(boot_id=None, sequence=2)
    assert identity(boot_id=None, start_us=1, end_us=3) != identity(boot_id=None, start_us=1, end_us=2)


def test_an_error_gives_way_and_nothing_else_does() -> None:
    done = event("SpeechSegmentsDetected", 1, outcome="DONE", segment_start_ms=[1], segment_end_ms=[2])
    other = event("SpeechSegmentsDetected", 2, outcome="DONE", segment_start_ms=[], segment_end_ms=[])
    error = event("SpeechSegmentsDetected", 0, outcome="ERROR", error="not audio")
    for order, offset in (([error, done, other], 1), ([done, error], 1), ([error, error], 0)):
        known = Loaded(DETECTIONS)
        segments = keep_done(known, prepared(*order).detections)
        assert [row["kafka_offset"] for row in known.changes()] == [offset]
        assert len(segments) == 1


def test_a_silence_without_a_chunk_and_an_idle_device_are_no_rows() -> None:
    found = prepared(event("SpeechSegmentsDetected", chunk_id=None), event("SpeechDeviceIdle"), event("DeviceSeen"))
    assert (found.detections, found.chunks, found.silences) == ([], [], [])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("AudioChunkUploaded", {"chunk_id": "x"}),
        ("AudioChunkUploaded", {"end_us": 0}),
        ("AudioChunkUploaded", {"end_us": 10**18 * 9}),
        ("SpeechSegmentsDetected", {"segment_start_ms": [1, 2], "segment_end_ms": [3]}),
    ],
)
def test_what_can_never_be_a_row_is_invalid(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        prepared(event(name, **changes))
