"""The promise of sales audio, checked: kept once, cut once, heard once, judged and billed once, whatever died."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from schemas import serde
from tests.drivers.exactly_once import read_log
from tests.drivers.model_server import ModelServer
from tests.drivers.sales_counter import Shop
from tests.drivers.stack import Stack
from tests.drivers.waiting import eventually

Body = Mapping[str, Any]
Piece = tuple[str, int, int]


@dataclass
class SalesLog:
    """The log's events of some devices, in the order of their partitions, copies included."""

    devices: frozenset[str]
    chunks: list[Body] = field(default_factory=list)
    segments: list[Body] = field(default_factory=list)
    revisions: list[Body] = field(default_factory=list)
    transcripts: list[Body] = field(default_factory=list)
    outcomes: list[tuple[str, Body]] = field(default_factory=list)

    @property
    def newest(self) -> dict[str, Body]:
        """The last revision of each dialogue that was not withdrawn."""
        found: dict[str, Body] = {}
        for one in self.revisions:
            if one["revision"] >= found.get(one["dialogue_id"], one)["revision"]:
                found[one["dialogue_id"]] = one
        return {key: one for key, one in found.items() if one["status"] != "WITHDRAWN"}


def read(stack: Stack, devices: Iterable[str]) -> SalesLog:
    """What the log has of these devices."""
    log = SalesLog(frozenset(devices))
    wanted = {
        "AudioChunkUploaded": log.chunks,
        "SpeechSegmentsDetected": log.segments,
        "DialogueRevised": log.revisions,
        "TranscriptProduced": log.transcripts,
    }
    for topic in ("audio.chunks", "speech.segments", "speech.dialogues", "speech.transcripts"):
        for name, body in _events(stack, topic):
            if name in wanted and body["device_id"] in log.devices:
                wanted[name].append(body)
    ids = {one["dialogue_id"] for one in log.revisions}
    outcomes = ("DialogueAnalysed", "AnalysisSkipped", "AnalysisFailed")
    log.outcomes = [
        (name, body)
        for name, body in _events(stack, "speech.analyses")
        if name in outcomes and body["dialogue_id"] in ids
    ]
    return log


def settle(stack: Stack, shop: Shop, dialogues: int, timeout: float = 120) -> list[dict[str, Any]]:
    """Until every acknowledged chunk was looked at and so many dialogues are finished; their rows."""
    devices = sorted({device for device, _ in shop.acknowledged.values()})
    query = "SELECT * FROM sales_dialogues WHERE device_id = ANY(%s::uuid[]) ORDER BY device_id, start_ts"
    looked = "SELECT count(*) AS n FROM audio_chunks WHERE device_id = ANY(%s::uuid[]) AND status = 'DONE'"
    state: list[Any] = []

    def finished() -> bool:
        try:
            with psycopg.connect(stack.database_url, row_factory=dict_row, connect_timeout=3) as connection:
                rows = connection.execute(query, (devices,)).fetchall()
                (done,) = connection.execute(looked, (devices,)).fetchall()
        except psycopg.OperationalError:
            return False
        over = [row["analysis_status"] in ("DONE", "SKIPPED", "ERROR") or row["asr_status"] == "FAILED" for row in rows]
        state[:] = rows
        return done["n"] == len(shop.acknowledged) and len(rows) == dialogues and all(over)

    try:
        eventually(finished, timeout=timeout, interval=0.2)
    except AssertionError:
        shown = [(row["asr_status"], row["analysis_status"], row["text"]) for row in state]
        raise AssertionError(f"{dialogues} dialogues wanted, there are {shown}\n{stack.output()[-6000:]}") from None
    return state


def check(stack: Stack, shop: Shop, model: ModelServer | None = None) -> SalesLog:
    """Everything at once; AssertionError says which promise is broken."""
    log = read(stack, {device for device, _ in shop.acknowledged.values()})
    check_chunks(stack, shop, log)
    check_speech(log)
    check_transcripts(log)
    check_outcomes(log)
    if model is not None:
        check_bills(log, model)
    return log


def check_chunks(stack: Stack, shop: Shop, log: SalesLog) -> None:
    """Acknowledged is in the log; what the log has is in the table, once."""
    claimed = {one["chunk_id"] for one in log.chunks}
    lost = shop.acknowledged.keys() - claimed
    assert not lost, f"{len(lost)} acknowledged chunks are not in the log"
    query = "SELECT chunk_id::text FROM audio_chunks WHERE device_id = ANY(%s::uuid[])"
    with psycopg.connect(stack.database_url) as connection:
        rows = Counter(row[0] for row in connection.execute(query, (sorted(log.devices),)))
    assert rows == Counter(claimed), "the table of chunks is not the log's chunks, once each"


def check_speech(log: SalesLog) -> None:
    """Each chunk was looked at with one result, and each piece of its speech is in exactly one dialogue."""
    found: dict[str, set[tuple[Piece, ...]]] = defaultdict(set)
    for one in log.segments:
        if one["chunk_id"]:
            spans = zip(one["segment_start_ms"], one["segment_end_ms"], strict=True)
            found[one["chunk_id"]].add(tuple((one["chunk_id"], start, end) for start, end in spans))
    assert found.keys() == {one["chunk_id"] for one in log.chunks}, "not every chunk was looked at"
    assert all(len(results) == 1 for results in found.values()), "a chunk was looked at with two results"
    speech = Counter(piece for results in found.values() for pieces in results for piece in pieces)
    told = Counter(
        (piece["chunk_id"], piece["start_ms"], piece["end_ms"])
        for one in log.newest.values()
        for piece in one["pieces"]
    )
    assert told == speech, f"lost speech {speech - told}, doubled speech {told - speech}"


def check_transcripts(log: SalesLog) -> None:
    """Each closed dialogue has one final transcript, and no revision was heard twice by one pass.

    A process that died after telling tells the same again; what was heard twice ended at two times.
    """
    heard: dict[tuple[str, int, str], set[int]] = defaultdict(set)
    for one in log.transcripts:
        heard[one["dialogue_id"], one["revision"], one["asr_pass"]].add(one["finished_us"])
    twice = {key for key, times in heard.items() if len(times) > 1}
    assert not twice, f"heard twice: {twice}"
    final = {(one["dialogue_id"], one["revision"]) for one in log.transcripts if one["final"]}
    missing = {(key, one["revision"]) for key, one in log.newest.items()} - final
    assert not missing, f"{len(missing)} dialogues have no final transcript"


def check_outcomes(log: SalesLog) -> None:
    """Each final transcript has one outcome, however often it was told."""
    outcomes: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name, one in log.outcomes:
        if one["request_id"] is None:
            outcomes[one["dialogue_id"], one["revision"]].add(f"{name} at {one['finished_us']}")
    twice = {key: said for key, said in outcomes.items() if len(said) > 1}
    assert not twice, f"judged twice: {twice}"
    final = {(one["dialogue_id"], one["revision"]) for one in log.transcripts if one["final"]}
    assert outcomes.keys() == final, "not every final transcript has an outcome"


def check_bills(log: SalesLog, model: ModelServer, most: int = 1) -> None:
    """No dialogue's revision was paid for twice."""
    keys = Counter(
        (one["register_id"], round((one["end_us"] - one["start_us"]) / 1e6, 1))
        for one in {(body["dialogue_id"], body["revision"]): body for body in log.transcripts if body["final"]}.values()
    )
    billed = {key: count for key, count in model.billed().items() if key in keys}
    dear = {key: count for key, count in billed.items() if count > most * keys[key]}
    assert not dear, f"billed more than {most} time(s): {dear}"
    assert billed.keys() == keys.keys(), "not every dialogue was billed"


def _events(stack: Stack, topic: str) -> list[tuple[str, Body]]:
    records, _ = read_log(stack.kafka_bootstrap, topic)
    return [serde.decode(one.value) for one in records]
