"""Read model `emotion_moments`: strong or sudden changes of a person; closed replaces opened, never the reverse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from projections.read_model import Effects, Event, ReadModel, Target
from projections.store import Transaction
from schemas.errors import InvalidEvent
from schemas.record import Record

COLUMNS: Final = {
    "moment_id": "uuid", "device_id": "text", "session_id": "text", "session_person_id": "bigint", "signal": "text",
    "kind": "text", "direction": "text", "start_ms": "bigint", "end_ms": "bigint", "value": "float8",
    "baseline": "float8", "peak": "float8", "peak_ms": "bigint", "topic": "text", "kafka_partition": "smallint",
    "kafka_offset": "bigint",
}  # fmt: skip
Moment = tuple[Any, ...]
"""One row, in the order of COLUMNS."""
_END: Final = list(COLUMNS).index("end_ms")

_TABLES: Final = """
CREATE TABLE {s}.emotion_moments (
    moment_id         uuid PRIMARY KEY,
    device_id         text NOT NULL,
    session_id        text NOT NULL,
    session_person_id bigint NOT NULL,
    signal            text NOT NULL,
    kind              text NOT NULL,
    direction         text NOT NULL,
    start_ms          bigint NOT NULL,
    end_ms            bigint,          -- null while it is open
    value             double precision NOT NULL,
    baseline          double precision NOT NULL,
    peak              double precision NOT NULL,
    peak_ms           bigint NOT NULL,
    topic             text NOT NULL,
    kafka_partition   smallint NOT NULL,
    kafka_offset      bigint NOT NULL
);
CREATE INDEX emotion_moments_of_person
    ON {s}.emotion_moments (device_id, session_id, session_person_id, start_ms);
"""
_UPSERT: Final = (
    "INSERT INTO emotion_moments AS m SELECT * FROM unnest("  # noqa: S608 - made of constants
    + ", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())
    + ") ON CONFLICT (moment_id) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS if name != "moment_id")
    + " WHERE m.end_ms IS NULL"
)  # fmt: skip
_TRUNCATE: Final = "DELETE FROM emotion_moments WHERE kafka_partition = %s AND kafka_offset < %s"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch: truncations first (offset of the newest one per partition), then the moments that come after them."""

    truncated: dict[tuple[str, int], int]
    moments: list[Moment]

    def __bool__(self) -> bool:
        return bool(self.truncated or self.moments)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema)


def row(event: Event) -> Moment:
    """The row of one event. Raises InvalidEvent when its id is no UUID or its phase and end disagree."""
    body, record = event.body, event.record
    try:
        moment_id = UUID(body["moment_id"])
    except ValueError as error:
        raise InvalidEvent(f"moment_id {body['moment_id']!r} is not a UUID.") from error
    if (body["phase"] == "CLOSED") != (body["end_ms"] is not None):
        raise InvalidEvent(f"Moment {moment_id} is {body['phase']} but its end is {body['end_ms']}.")
    values = [body[name] for name in list(COLUMNS)[1:13]]
    return (moment_id, *values, record.topic, record.partition, record.offset)


def fold(moments: Iterable[Moment]) -> list[Moment]:
    """One row a moment, in key order: a later one replaces an earlier one that is still open."""
    newest: dict[UUID, Moment] = {}
    for moment in moments:
        current = newest.get(moment[0])
        if current is None or current[_END] is None:
            newest[moment[0]] = moment
    return [newest[key] for key in sorted(newest)]


class EmotionMoments:
    """Upserts moments; a truncation deletes those that came before it in its partition."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Rows in log order; what a truncation in the same batch undoes is left out."""
        truncated = {_place(event): event.record.offset for event in events if event.name == "EmotionMomentsTruncated"}
        moments = [
            row(event) for event in events if event.name == "EmotionMomentDetected" and not _undone(event, truncated)
        ]
        return Prepared(truncated, moments)

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Truncate, then insert what is new and replace what is still open."""
        for (_, partition), offset in sorted(prepared.truncated.items()):
            transaction.run(_TRUNCATE, partition, offset)
        moments = fold(prepared.moments)
        if moments:
            transaction.run(_UPSERT, *(list(column) for column in zip(*moments, strict=True)))
        sessions = {(moment[1], moment[2]) for moment in moments}
        return Effects(sessions=sessions, rows=len(moments), truncated=prepared.truncated)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def _place(event: Event) -> tuple[str, int]:
    return event.record.topic, event.record.partition


def _undone(event: Event, truncated: dict[tuple[str, int], int]) -> bool:
    return event.record.offset < truncated.get(_place(event), -1)


READ_MODEL = ReadModel(
    name="emotion_moments",
    topics=("emotion.moments",),
    ddl=tables,
    views={"emotion_moments": tuple(COLUMNS)},
    projector=EmotionMoments,
    checksums={
        "emotion_moments": "moment_id, device_id, session_id, session_person_id, signal, kind, direction, start_ms,"
        " end_ms, (value * 1e9)::bigint, (baseline * 1e9)::bigint, (peak * 1e9)::bigint, peak_ms, topic,"
        " kafka_partition | {s}.emotion_moments"
    },
)
