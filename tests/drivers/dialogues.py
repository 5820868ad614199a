"""Chunks with speech, and what dialogues become of them. Seconds are seconds after an arbitrary moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from schemas import examples
from streams.processors.dialogues import THRESHOLDS, State, idle, step
from streams.steps import Event
from tests.drivers.processors import Given, given

NOON_US = 1_767_265_200_000_000
Span = tuple[float, float]


def us(second: float) -> int:
    return NOON_US + round(second * 1_000_000)


def chunk(name: str, at: float, *speech: Span, length: float = 60, log_s: float | None = None, **changes: Any) -> Event:
    """A recording that begins at a second, with speech at seconds from its own beginning; logged when it ends."""
    record = examples.load("SpeechSegmentsDetected") | {
        "chunk_id": name,
        "device_id": "d",
        "start_us": us(at),
        "end_us": us(at + length),
        "audio_ms": round(length * 1000),
        "segment_start_ms": [round(start * 1000) for start, _ in speech],
        "segment_end_ms": [round(end * 1000) for _, end in speech],
        "sha256": name,
        "stored_path": f"audio/{name}",
    }
    log_ms = us(at + length if log_s is None else log_s) // 1000
    return Event("SpeechSegmentsDetected", record | changes, log_ms)


def silence(at: float, length: float = 60, **changes: Any) -> Event:
    return chunk("", at, length=length, chunk_id=None, audio_ms=0, sha256="", stored_path="", **changes)


def unreadable(name: str, at: float, length: float = 60) -> Event:
    return chunk(name, at, length=length, audio_ms=0, outcome="ERROR", error="It is no recording.")


def is_idle(since_s: float, now_s: float) -> Event:
    record = {"device_id": "d", "idle_since_ms": us(since_s) // 1000}
    return Event("SpeechDeviceIdle", record, us(now_s) // 1000)


def counter() -> Given[State]:
    return given(step, State())


def said(records: Iterable[Any]) -> dict[str, Any]:
    """What a reader knows in the end: the newest revision of each dialogue that was not withdrawn."""
    newest = {one["dialogue_id"]: one for one in records}
    return {name: one for name, one in newest.items() if one["status"] != "WITHDRAWN"}


def pieces(dialogue: Any) -> list[tuple[str, int, int]]:
    return [(one["chunk_id"], one["start_ms"], one["end_ms"]) for one in dialogue["pieces"]]


def in_the_end(events: Iterable[Event], limits: Any = THRESHOLDS) -> list[dict[str, Any]]:
    """Dialogues after all events and the device's falling silent, in time order, checked for what always holds."""
    state, records = State(), []
    log_ms = 0
    for event in events:
        log_ms = max(log_ms, event.log_time_ms)
        state, emitted = step(state, replace(event, log_time_ms=log_ms), limits)
        records += [one.record for one in emitted]
    for due in idle(state, log_ms + limits.idle_ms, limits):
        state, emitted = step(state, Event(due.name, due.record, log_ms + limits.idle_ms), limits)
        records += [one.record for one in emitted]
    assert idle(state, log_ms + 10 * limits.idle_ms, limits) == []
    check_revisions(records)
    found = sorted(said(records).values(), key=lambda one: (one["start_us"], one["end_us"]))
    assert {one["status"] for one in found} <= {"CLOSED"}
    return found


def check_revisions(records: Sequence[Any]) -> None:
    """Revisions count from 1 without a hole, and who was withdrawn does not come back."""
    for name in {one["dialogue_id"] for one in records}:
        mine = [one for one in records if one["dialogue_id"] == name]
        assert [one["revision"] for one in mine] == list(range(1, len(mine) + 1))
        assert all(one["status"] != "WITHDRAWN" for one in mine[:-1])
        for before, after in pairwise(mine):
            assert (pieces(before), before["status"]) != (pieces(after), after["status"]), (
                "a revision that says nothing"
            )
