"""From speech.dialogues and speech.transcripts: what a dialogue is, what was heard in it, what is to be analysed. Pure.

The newest revision wins, whatever comes again or late; of one revision the final transcript wins, then the better pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid5

from projections.sales_opened import Opened
from projections.sales_rows import Row, Tables, moment, uuid_of
from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE

_PASSES: Final = ("fast", "accurate")


def dialogue_revised(tables: Tables, event: Opened) -> None:
    """Every revision is kept once; the newest is the dialogue."""
    body = event.body
    row: Row = {
        "dialogue_id": event.dialogue_id,
        "revision": body["revision"],
        "status": body["status"],
        "merged_into": None if body["merged_into"] is None else uuid_of(body["merged_into"], "merged_into"),
        **{name: uuid_of(body[name], name) for name in ("device_id", "point_id", "register_id")},
        "start_ts": moment(body["start_us"]),
        "end_ts": moment(body["end_us"]),
        **event.place,
    }
    if body["end_us"] < body["start_us"]:
        raise InvalidEvent("The dialogue ends before it starts.")
    revisions, heads = tables["dialogue_revisions"], tables["dialogue_heads"]
    if revisions.get(event.dialogue_id, body["revision"]) is None:
        speech_ms = sum(piece["end_ms"] - piece["start_ms"] for piece in body["pieces"])
        revisions.put({**row, "pieces": len(body["pieces"]), "speech_ms": speech_ms, "revised_at": event.logged_at})
    head = heads.get(event.dialogue_id)
    if head is None or head["revision"] < body["revision"]:
        heads.put({**row, "created_at": head["created_at"] if head else event.logged_at})


def piece_rows(event: Opened) -> list[Row]:
    """Rows of `dialogue_segments` of one revision; a withdrawn dialogue has none."""
    rows: dict[tuple[Any, ...], Row] = {}
    for position, piece in enumerate(event.body["pieces"] if event.body["status"] != "WITHDRAWN" else ()):
        row: Row = {
            "dialogue_id": event.dialogue_id,
            "chunk_id": uuid_of(piece["chunk_id"], "chunk_id"),
            "start_ms": piece["start_ms"],
            "end_ms": piece["end_ms"],
            "position": position,
            "chunk_start_ts": moment(piece["chunk_start_us"]),
            "sha256": piece["sha256"],
            "stored_path": piece["stored_path"],
        }
        rows.setdefault((row["chunk_id"], row["start_ms"], row["end_ms"]), row)
    return list(rows.values())


def transcription_started(tables: Tables, event: Opened) -> None:
    """The newest start of the newest revision."""
    body, work = event.body, _work(tables, event)
    started_at = moment(body["started_us"])
    if work is None or (work["started_at"] is not None and work["started_at"] >= started_at):
        return
    tables["transcriptions"].put(
        {
            **work,
            "started_at": started_at,
            "worker": body["worker"],
            "attempt": body["attempt"],
            "started_pass": body["asr_pass"].lower(),
            "started_model": body["model"],
        }
    )


def transcription_failed(tables: Tables, event: Opened) -> None:
    """The newest failure of the newest revision; a later start or a transcript takes it back."""
    work, failed_at = _work(tables, event), moment(event.body["failed_us"])
    if work is None or (work["failed_at"] is not None and work["failed_at"] >= failed_at):
        return
    tables["transcriptions"].put({**work, "failed_at": failed_at, "error": event.body["error"]})


def transcript_produced(tables: Tables, event: Opened) -> None:
    """The best transcript of the newest revision; a final one is to be analysed."""
    body, transcripts = event.body, tables["transcripts"]
    old = transcripts.get(event.dialogue_id)
    if old is None or _rank(body) > (old["revision"], old["final"], _PASSES.index(old["asr_pass"])):
        is_same = old is not None and old["revision"] == body["revision"]
        transcripts.put(transcript_row(event, old["first_at"] if old and is_same else event.logged_at))
        if (work := _work(tables, event)) is not None:
            tables["transcriptions"].put({**work, "done": True, "finished_at": moment(body["finished_us"])})
    if body["final"]:
        _want(tables, event, f"revision/{body['revision']}", "revision")


def analysis_requested(tables: Tables, event: Opened) -> None:
    """Somebody wants it analysed again: the answer to this request counts from now on."""
    uuid_of(event.body["request_id"], "request_id")
    _want(tables, event, event.body["request_id"], "request")


def _rank(body: Mapping[str, Any]) -> tuple[int, bool, int]:
    return body["revision"], body["final"], _PASSES.index(body["asr_pass"].lower())


def transcript_row(event: Opened, first_at: datetime) -> Row:
    """A row of `transcripts`; empty where the key is gone."""
    body, words = event.body, event.words
    asr_pass = body["asr_pass"].lower()
    same = ("revision", "final", "language", "model", "worker", "audio_s", "avg_logprob", "no_speech_prob")
    return {
        "dialogue_id": event.dialogue_id,
        "transcript_id": uuid5(NAMESPACE, f"transcript/{event.dialogue_id}/{body['revision']}/{asr_pass}"),
        **{name: body[name] for name in same},
        "asr_pass": asr_pass,
        "text": words["text"] if words else "",
        "segments_json": [_without_words(segment) for segment in words["segments"]] if words else None,
        "words_json": _words(words) if words else None,
        "pieces": list(body["pieces"]),
        "second_pass_reason": body["second_pass_reason"],
        "elapsed_s": body["elapsed_s"],
        "forgotten": event.forgotten,
        "first_at": first_at,
        "created_at": moment(body["finished_us"]),
        **event.place,
    }


def _without_words(segment: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in segment.items() if name != "words"}


def _words(words: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"segment": segment["id"], **word} for segment in words["segments"] for word in segment["words"]]


def _work(tables: Tables, event: Opened) -> Row | None:
    """The work on this revision, fresh where it is a newer one; None for an older one."""
    work = tables["transcriptions"].get(event.dialogue_id)
    revision = event.body["revision"]
    if work is not None and work["revision"] >= revision:
        return work if work["revision"] == revision else None
    row: Row = dict.fromkeys(tables["transcriptions"].table.columns)
    return {**row, "dialogue_id": event.dialogue_id, "revision": revision, "done": False}


def _want(tables: Tables, event: Opened, run: str, kind: str) -> None:
    body, wants, wanted = event.body, tables["analysis_wants"], tables["analysis_wanted"]
    if wants.get(event.dialogue_id, run) is not None:
        return
    key: Row = {"dialogue_id": event.dialogue_id, "run": run, "kind": kind, "revision": body["revision"]}
    is_request = kind == "request"
    wants.put(
        {
            **key,
            "nth": event.record.offset,
            "model": body["model"] if is_request else None,
            "prompt_version": body["prompt_version"] if is_request else None,
            "requested_by": body["requested_by"] if is_request else None,
            "wanted_at": moment(body["requested_us"] if is_request else body["finished_us"]),
        }
    )
    newest = wanted.get(event.dialogue_id)
    if newest is None or newest["revision"] <= body["revision"]:
        wanted.put(key)
