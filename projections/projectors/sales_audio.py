"""Read model `sales_audio`: recorded chunks, reported silences, and where speech was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.sales_rows import Loaded, Row, Table, load, moment, storable, uuid_of, write
from projections.store import Transaction
from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE
from schemas.record import Record

CHUNKS: Final = Table(
    "chunks",
    {
        "chunk_id": "uuid", "device_id": "uuid", "point_id": "uuid", "register_id": "uuid", "start_ts": "timestamptz",
        "end_ts": "timestamptz", "codec": "text", "sample_rate": "int", "channels": "int", "file_path": "text",
        "file_size_bytes": "bigint", "sha256": "text", "sent_start": "text", "sent_end": "text", "site_zone": "text",
        "clock_offset_us": "bigint", "boot_id": "text", "sequence": "bigint", "created_at": "timestamptz",
        "topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint",
    },
    ("chunk_id",), owner="chunk_id",
)  # fmt: skip
DETECTIONS: Final = Table(
    "detections",
    {
        "chunk_id": "uuid", "outcome": "text", "error": "text", "audio_ms": "bigint", "segments": "int",
        "detected_at": "timestamptz", "topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint",
    },
    ("chunk_id",), ("outcome",), owner="chunk_id",
)  # fmt: skip
SEGMENTS: Final = Table(
    "speech_segments",
    {"id": "uuid", "chunk_id": "uuid", "start_ms": "int", "end_ms": "int", "created_at": "timestamptz"},
    ("id",),
    owner="chunk_id",
)
SILENCES: Final = Table(
    "reported_silences",
    {
        "silence_id": "uuid", "device_id": "uuid", "point_id": "uuid", "register_id": "uuid",
        "start_ts": "timestamptz", "end_ts": "timestamptz", "clock_offset_us": "bigint", "boot_id": "text",
        "sequence": "bigint", "created_at": "timestamptz", "topic": "text", "kafka_partition": "smallint",
        "kafka_offset": "bigint",
    },
    ("silence_id",), owner="silence_id",
)  # fmt: skip
_DDL: Final = """
CREATE TABLE {s}.chunks (
    chunk_id        uuid PRIMARY KEY,
    device_id       uuid NOT NULL,
    point_id        uuid NOT NULL,
    register_id     uuid NOT NULL,
    start_ts        timestamptz NOT NULL,  -- corrected by clock_offset_us
    end_ts          timestamptz NOT NULL,
    codec           text NOT NULL,
    sample_rate     int NOT NULL,
    channels        int NOT NULL,
    file_path       text NOT NULL,         -- below the audio folder
    file_size_bytes bigint NOT NULL,
    sha256          text NOT NULL,
    sent_start      text NOT NULL,         -- as the device said it
    sent_end        text NOT NULL,
    site_zone       text,
    clock_offset_us bigint,
    boot_id         text,
    sequence        bigint,
    created_at      timestamptz NOT NULL,  -- when the gateway had it
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE INDEX chunks_of_point ON {s}.chunks (point_id, start_ts);
CREATE INDEX chunks_of_device ON {s}.chunks (device_id, start_ts);
CREATE TABLE {s}.detections (
    chunk_id        uuid PRIMARY KEY,
    outcome         text NOT NULL,
    error           text,
    audio_ms        bigint NOT NULL,
    segments        int NOT NULL,
    detected_at     timestamptz NOT NULL,
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE TABLE {s}.speech_segments (
    id         uuid PRIMARY KEY,
    chunk_id   uuid NOT NULL,
    start_ms   int NOT NULL,               -- from the chunk's start
    end_ms     int NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX speech_segments_of_chunk ON {s}.speech_segments (chunk_id);
CREATE TABLE {s}.reported_silences (
    silence_id      uuid PRIMARY KEY,
    device_id       uuid NOT NULL,
    point_id        uuid NOT NULL,
    register_id     uuid NOT NULL,
    start_ts        timestamptz NOT NULL,
    end_ts          timestamptz NOT NULL,
    clock_offset_us bigint,
    boot_id         text,
    sequence        bigint,
    created_at      timestamptz NOT NULL,
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE INDEX silences_of_device ON {s}.reported_silences (device_id, start_ts);
-- Of two topics, so that neither has to wait for the other.
CREATE VIEW {s}.audio_chunks AS
SELECT c.chunk_id, c.device_id, c.point_id, c.register_id, c.start_ts, c.end_ts,
       floor(extract(epoch FROM c.end_ts - c.start_ts))::int AS duration_sec, c.codec, c.sample_rate, c.channels,
       c.file_path, c.file_size_bytes, COALESCE(d.outcome, 'QUEUED') AS status, c.created_at,
       d.error AS error_message, NULL::timestamptz AS processing_started_at,
       c.sha256, c.sent_start, c.sent_end, c.site_zone, c.clock_offset_us, c.boot_id, c.sequence,
       d.audio_ms, d.detected_at, c.topic, c.kafka_partition, c.kafka_offset
FROM {s}.chunks c LEFT JOIN {s}.detections d USING (chunk_id);
"""


@dataclass(slots=True)
class Prepared:
    """A batch laid out: rows as their events say them, in log order."""

    records: list[Record] = field(default_factory=list[Record])
    chunks: list[Row] = field(default_factory=list[Row])
    silences: list[Row] = field(default_factory=list[Row])
    detections: list[tuple[Row, list[Row]]] = field(default_factory=list[tuple[Row, list[Row]]])
    devices: set[str] = field(default_factory=set[str])

    def __bool__(self) -> bool:
        return bool(self.records)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _DDL.format(s=schema)


def chunk_row(event: Event) -> Row:
    """The row of a chunk. Raises InvalidEvent for ids that are none, or an end that is not after the start."""
    body = event.body
    texts = {name: storable(body[name]) for name in ("codec", "sha256", "sent_start", "sent_end")}
    same = {name: body[name] for name in ("sample_rate", "channels", "site_zone", "boot_id", "sequence")}
    return {
        "chunk_id": uuid_of(body["chunk_id"], "chunk_id"),
        **_span(event),
        **texts,
        **same,
        "file_path": storable(body["stored_path"]),
        "file_size_bytes": body["size_bytes"],
    }


def silence_row(event: Event) -> Row:
    """The row of a reported silence; its identity is what makes a repeat the same."""
    body = event.body
    parts = (body["device_id"], body["boot_id"], body["sequence"])
    if body["boot_id"] is None or body["sequence"] is None:
        parts = (body["device_id"], body["start_us"], body["end_us"])
    silence_id = uuid5(NAMESPACE, "/".join(("silence", *map(str, parts))))
    return {"silence_id": silence_id, **_span(event), "boot_id": body["boot_id"], "sequence": body["sequence"]}


def _span(event: Event) -> Row:
    body, record = event.body, event.record
    if body["end_us"] <= body["start_us"]:
        raise InvalidEvent("The end is not after the start.")
    return {
        **{name: uuid_of(body[name], name) for name in ("device_id", "point_id", "register_id")},
        "start_ts": moment(body["start_us"]),
        "end_ts": moment(body["end_us"]),
        "clock_offset_us": body["clock_offset_us"],
        "created_at": moment(body["received_us"]),
        **_place(record),
    }


def _place(record: Record) -> Row:
    return {"topic": record.topic, "kafka_partition": record.partition, "kafka_offset": record.offset}


def detection_rows(event: Event) -> tuple[Row, list[Row]] | None:
    """The verdict on a chunk and its segments; None for a silence, which has no chunk."""
    body, record = event.body, event.record
    if body["chunk_id"] is None:
        return None
    chunk_id, at = uuid_of(body["chunk_id"], "chunk_id"), moment(record.timestamp_ms * 1000)
    starts, ends = body["segment_start_ms"], body["segment_end_ms"]
    if len(starts) != len(ends):
        raise InvalidEvent(f"{len(starts)} segments start and {len(ends)} end.")
    segments: list[Row] = [
        {
            "id": uuid5(NAMESPACE, f"segment/{chunk_id}/{start}/{end}"),
            "chunk_id": chunk_id,
            "start_ms": start,
            "end_ms": end,
            "created_at": at,
        }
        for start, end in sorted(set(zip(starts, ends, strict=True)))
    ]
    row: Row = {
        "chunk_id": chunk_id,
        "outcome": body["outcome"],
        "error": None if body["error"] is None else storable(body["error"]),
        "audio_ms": body["audio_ms"],
        "segments": len(segments),
        "detected_at": at,
        **_place(record),
    }
    return row, segments


def keep_first(known: Loaded, rows: Sequence[Row]) -> None:
    """A repeat of what is there changes nothing."""
    for row in rows:
        if known.get(*known.table.key_of(row)) is None:
            known.put(row)


def keep_done(known: Loaded, found: Sequence[tuple[Row, list[Row]]]) -> dict[UUID, list[Row]]:
    """The first verdict stays, but what could be used after all takes the place of an error; segments that count."""
    segments: dict[UUID, list[Row]] = {}
    for row, parts in found:
        old = known.get(row["chunk_id"])
        if old is None or (old["outcome"] == "ERROR" and row["outcome"] == "DONE"):
            known.put(row)
            segments[row["chunk_id"]] = parts
    return segments


class SalesAudio:
    """Keeps the first of every chunk, silence and detection."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Rows in log order. Raises InvalidEvent for what can never be one."""
        prepared = Prepared()
        for event in events:
            if event.name == "AudioChunkUploaded":
                prepared.chunks.append(chunk_row(event))
            elif event.name == "SilenceReported":
                prepared.silences.append(silence_row(event))
            elif event.name == "SpeechSegmentsDetected":
                if rows := detection_rows(event):
                    prepared.detections.append(rows)
            else:
                continue
            prepared.records.append(event.record)
            prepared.devices.add(event.body["device_id"])
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write what is new."""
        chunks = load(transaction, CHUNKS, [row["chunk_id"] for row in prepared.chunks])
        silences = load(transaction, SILENCES, [row["silence_id"] for row in prepared.silences])
        detections = load(transaction, DETECTIONS, [row["chunk_id"] for row, _ in prepared.detections])
        keep_first(chunks, prepared.chunks)
        keep_first(silences, prepared.silences)
        segments = keep_done(detections, prepared.detections)
        for loaded in (chunks, silences, detections):
            write(transaction, loaded.table, loaded.changes())
        if segments:
            transaction.run("DELETE FROM speech_segments WHERE chunk_id = ANY(%s)", sorted(segments))
            write(transaction, SEGMENTS, [row for chunk in sorted(segments) for row in segments[chunk]])
        rows = sum(len(loaded.changed) for loaded in (chunks, silences, detections))
        return Effects([Reply(record) for record in prepared.records], devices=prepared.devices, rows=rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def _hashed(table: Table) -> str:
    return f"{', '.join(table.columns)} | {{s}}.{table.name}"


READ_MODEL = ReadModel(
    name="sales_audio",
    topics=("audio.chunks", "speech.segments"),
    ddl=tables,
    views={
        "audio_chunks": (
            "chunk_id", "device_id", "point_id", "register_id", "start_ts", "end_ts", "duration_sec", "codec",
            "sample_rate", "channels", "file_path", "file_size_bytes", "status", "created_at", "error_message",
            "processing_started_at", "sha256", "sent_start", "sent_end", "site_zone", "clock_offset_us", "boot_id",
            "sequence", "audio_ms", "detected_at", "topic", "kafka_partition", "kafka_offset",
        ),
        "speech_segments": tuple(SEGMENTS.columns),
        "reported_silences": tuple(SILENCES.columns),
    },
    projector=SalesAudio,
    checksums={table.name: _hashed(table) for table in (CHUNKS, DETECTIONS, SEGMENTS, SILENCES)},
)  # fmt: skip
