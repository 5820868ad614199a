"""`audio.chunks` -> `speech.segments`: where a chunk has speech. Pure; a worker has listened before (`voice`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.errors import InvalidEvent
from streams.steps import Emitted, Event, NoState, PreparationFailed

OTHERS: Final = ("DeviceSeen", "RecordingsDropped")
_PLACE: Final = ("device_id", "point_id", "register_id", "start_us", "end_us")


def request(event: Event) -> Mapping[str, Any] | None:
    """What the worker `voice` needs: the claim of an uploaded chunk, and the length that its times claim."""
    if event.name != "AudioChunkUploaded":
        return None
    record = event.record
    claimed_ms = max(0, record["end_us"] - record["start_us"]) // 1000
    return {name: record[name] for name in ("chunk_id", "stored_path", "sha256")} | {"claimed_ms": claimed_ms}


def step(state: NoState, event: Event) -> tuple[NoState, list[Emitted]]:
    """Say where a chunk has speech, and that a reported silence has none. Other events of recorders are passed over.

    Raises:
        InvalidEvent: audio that cannot be used (this is published, too), or an event that does not belong here.
    """
    if event.name in OTHERS:
        return state, []
    if event.name == "SilenceReported":
        return state, [_detected(event, None, {"audio_ms": 0, "start_ms": [], "end_ms": []})]
    if event.name != "AudioChunkUploaded":
        raise InvalidEvent(f"{event.name} is not an event of audio.chunks.")
    prepared = event.prepared
    if prepared is None:
        raise InvalidEvent("Nobody has listened to this chunk: the worker `voice` is missing.")
    if isinstance(prepared, PreparationFailed):
        raise InvalidEvent(prepared.error, outputs=[_detected(event, prepared.error, {})])
    return state, [_detected(event, None, prepared)]


def _detected(event: Event, error: str | None, found: Mapping[str, Any]) -> Emitted:
    record = event.record
    detected = {name: record[name] for name in _PLACE} | {
        "chunk_id": record.get("chunk_id"),
        "sha256": record.get("sha256", ""),
        "stored_path": record.get("stored_path", ""),
        "audio_ms": found.get("audio_ms", 0),
        "segment_start_ms": list(found.get("start_ms", ())),
        "segment_end_ms": list(found.get("end_ms", ())),
        "outcome": "ERROR" if error else "DONE",
        "error": error,
    }
    return Emitted("SpeechSegmentsDetected", record["device_id"].encode(), detected)
