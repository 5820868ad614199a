"""The processor of voice activity, as sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas import examples, serde
from schemas.errors import InvalidEvent
from streams.processors.voice_activity import request, step
from streams.steps import Event, NoState, PreparationFailed
from tests.drivers.processors import Given, given

FOUND = {"audio_ms": 59_993, "start_ms": [1200, 9000], "end_ms": [4800, 9900]}


def uploaded(prepared: Any = None, **changes: Any) -> Event:
    return Event("AudioChunkUploaded", examples.load("AudioChunkUploaded") | changes, 0, prepared=prepared)


def nobody() -> Given[NoState]:
    return given(step, NoState())


def test_the_worker_is_asked_about_the_claim_of_an_uploaded_chunk() -> None:
    chunk = examples.load("AudioChunkUploaded")
    wanted = {"chunk_id": chunk["chunk_id"], "stored_path": chunk["stored_path"], "sha256": chunk["sha256"]}
    assert request(uploaded()) == wanted | {"claimed_ms": 60_000}
    assert request(uploaded(end_us=0)) == wanted | {"claimed_ms": 0}


@pytest.mark.parametrize("name", ["SilenceReported", "DeviceSeen", "RecordingsDropped"])
def test_there_is_nothing_to_listen_to_in_other_events(name: str) -> None:
    assert request(Event(name, examples.load(name), 0)) is None


def test_what_the_worker_found_is_said_of_the_chunk() -> None:
    chunk = examples.load("AudioChunkUploaded")
    same = {name: chunk[name] for name in ("chunk_id", "device_id", "point_id", "register_id", "start_us", "end_us")}
    found = nobody().when(uploaded(FOUND))
    found.then(
        same
        | {"sha256": chunk["sha256"], "stored_path": chunk["stored_path"], "outcome": "DONE", "error": None}
        | {"audio_ms": 59_993, "segment_start_ms": [1200, 9000], "segment_end_ms": [4800, 9900]}
    )
    (one,) = found.emitted
    assert one.key == chunk["device_id"].encode()
    assert serde.decode(serde.encode(one.name, one.record)) == (one.name, one.record)


def test_a_chunk_without_speech_is_said_too() -> None:
    nobody().when(uploaded({"audio_ms": 7, "start_ms": [], "end_ms": []})).then({"segment_start_ms": [], "audio_ms": 7})


def test_a_reported_silence_is_a_stretch_without_a_chunk() -> None:
    silence = examples.load("SilenceReported")
    found = nobody().when(Event("SilenceReported", silence, 0))
    found.then({"chunk_id": None, "start_us": silence["start_us"], "end_us": silence["end_us"], "outcome": "DONE"})
    (one,) = found.emitted
    assert serde.decode(serde.encode(one.name, one.record)) == (one.name, one.record)


def test_audio_that_cannot_be_used_is_a_dead_letter_and_is_said() -> None:
    refusal = PreparationFailed("The recording is empty.", 1)
    with pytest.raises(InvalidEvent, match="The recording is empty") as refused:
        nobody().when(uploaded(refusal))
    (one,) = refused.value.outputs
    assert (one.record["outcome"], one.record["error"]) == ("ERROR", "The recording is empty.")
    assert (one.record["audio_ms"], one.record["segment_start_ms"]) == (0, [])
    assert serde.decode(serde.encode(one.name, one.record)) == (one.name, one.record)


def test_other_reports_of_recorders_are_passed_over() -> None:
    nobody().when(*(Event(name, examples.load(name), 0) for name in ("DeviceSeen", "RecordingsDropped"))).then_nothing()


def test_what_does_not_belong_is_refused_and_so_is_a_chunk_nobody_listened_to() -> None:
    with pytest.raises(InvalidEvent, match=r"not an event of audio\.chunks"):
        nobody().when(replace(uploaded(), name="DialogueRevised"))
    with pytest.raises(InvalidEvent, match="worker `voice` is missing"):
        nobody().when(uploaded(None))
