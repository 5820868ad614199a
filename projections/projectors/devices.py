"""Read model `devices`: recorders, names of points and registers, when a device was last seen, what happened to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.store import Transaction
from schemas.errors import InvalidEvent
from schemas.record import Record

_PLACE: Final = "topic text NOT NULL, kafka_partition smallint NOT NULL, kafka_offset bigint NOT NULL"
_TABLES: Final = """
CREATE TABLE {s}.registered (
    device_id   uuid PRIMARY KEY,
    point_id    uuid NOT NULL,
    register_id uuid NOT NULL,
    token_hash  text NOT NULL,           -- SHA-256, hexadecimal
    is_enabled  boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    {place}
);
CREATE TABLE {s}.device_seen (           -- of audio.chunks: kept apart, since topics have no order between them
    device_id    uuid PRIMARY KEY,
    last_seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE {s}.points (point_id uuid PRIMARY KEY, name text NOT NULL, {place});
CREATE TABLE {s}.registers (register_id uuid PRIMARY KEY, name text NOT NULL, {place});
CREATE TABLE {s}.recording_drops (
    device_id   uuid NOT NULL,
    report_id   text NOT NULL,
    point_id    uuid NOT NULL,
    register_id uuid NOT NULL,
    files       bigint NOT NULL,
    bytes       bigint NOT NULL,
    oldest_at   timestamptz,
    newest_at   timestamptz,
    reason      text NOT NULL,
    received_at timestamptz NOT NULL,
    {place},
    PRIMARY KEY (device_id, report_id)
);
CREATE TABLE {s}.device_history (
    device_id uuid NOT NULL,
    at        timestamptz NOT NULL,
    event     text NOT NULL,
    details   jsonb NOT NULL,
    {place},
    PRIMARY KEY (topic, kafka_partition, kafka_offset)
);
CREATE INDEX device_history_of_device ON {s}.device_history (device_id, at, topic, kafka_partition, kafka_offset);
CREATE VIEW {s}.devices AS
    SELECT d.device_id, d.point_id, d.register_id, d.token_hash, d.is_enabled, d.created_at, s.last_seen_at,
           d.topic, d.kafka_partition, d.kafka_offset
    FROM {s}.registered d LEFT JOIN {s}.device_seen s USING (device_id);
"""
_AT: Final = "'epoch'::timestamptz + %s * interval '1 microsecond'"
_REGISTER: Final = (
    f"INSERT INTO registered VALUES (%s, %s, %s, %s, %s, {_AT}, %s, %s, %s)"  # noqa: S608 - made of constants
    " ON CONFLICT (device_id) DO NOTHING"
)
_SWITCH: Final = "UPDATE registered SET is_enabled = %s WHERE device_id = %s"
_NAME: Final = (
    "INSERT INTO {table} VALUES (%s, %s, %s, %s, %s) ON CONFLICT ({key}) DO UPDATE SET name = EXCLUDED.name,"
    " topic = EXCLUDED.topic, kafka_partition = EXCLUDED.kafka_partition, kafka_offset = EXCLUDED.kafka_offset"
)
_SEEN: Final = """
INSERT INTO device_seen AS s
SELECT device_id, 'epoch'::timestamptz + us * interval '1 microsecond'
FROM unnest(%s::uuid[], %s::bigint[]) AS n(device_id, us)
ON CONFLICT (device_id) DO UPDATE SET last_seen_at = EXCLUDED.last_seen_at WHERE s.last_seen_at < EXCLUDED.last_seen_at
"""
_DROP: Final = (
    f"INSERT INTO recording_drops VALUES (%s, %s, %s, %s, %s, %s, {_AT}, {_AT}, %s, {_AT}, %s, %s, %s)"  # noqa: S608
    " ON CONFLICT (device_id, report_id) DO NOTHING"
)
_HISTORY: Final = f"INSERT INTO device_history VALUES (%s, {_AT}, %s, %s::jsonb, %s, %s, %s)"  # noqa: S608
_SEEN_AT: Final = {"AudioChunkUploaded": "received_us", "SilenceReported": "received_us", "DeviceSeen": "seen_us",
                   "RecordingsDropped": "received_us"}  # fmt: skip
_SWITCHES: Final = {"DeviceEnabled": True, "DeviceDisabled": False}
_NAMES: Final = {"PointNamed": ("points", "point_id"), "RegisterNamed": ("registers", "register_id")}


@dataclass(slots=True)
class Prepared:
    """A batch: what was decided, in order; reports of drops; who was seen when; who waits for a command."""

    decided: list[Event] = field(default_factory=list[Event])
    dropped: list[Event] = field(default_factory=list[Event])
    seen_us: dict[UUID, int] = field(default_factory=dict[UUID, int])
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.decided or self.dropped or self.seen_us or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema, place=_PLACE)


def sort(events: Sequence[Event]) -> Prepared:
    """Lay a batch out. Raises InvalidEvent when an id is no UUID."""
    prepared = Prepared()
    for event in events:
        if event.name == "CommandSettled":
            prepared.settled.append(event.record)
        elif event.name in _SEEN_AT:
            device_id, seen_us = _uuid(event, "device_id"), event.body[_SEEN_AT[event.name]]
            prepared.seen_us[device_id] = max(seen_us, prepared.seen_us.get(device_id, seen_us))
            if event.name == "RecordingsDropped":
                prepared.dropped.append(event)
        else:
            prepared.decided.append(event)
    return prepared


class Devices:
    """Writes what was decided and what recorders report."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Sort the batch."""
        return sort(events)

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write the batch; a device that was only seen again is no news for open pages."""
        for event in prepared.decided:
            _decide(transaction, event)
        for event in prepared.dropped:
            _drop(transaction, event)
        if prepared.seen_us:
            seen = sorted(prepared.seen_us.items())
            transaction.run(_SEEN, [device for device, _ in seen], [at_us for _, at_us in seen])
        changed = [*prepared.decided, *prepared.dropped]
        return Effects(
            replies=[Reply(record) for record in prepared.settled],
            devices={event.body["device_id"] for event in changed if "device_id" in event.body},
            rows=len(changed) + len(prepared.seen_us),
        )

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def _decide(transaction: Transaction, event: Event) -> None:
    body, place = event.body, _place(event.record)
    if event.name in _NAMES:
        table, key = _NAMES[event.name]
        transaction.run(_NAME.format(table=table, key=key), _uuid(event, key), body["name"], *place)
        return
    device_id = _uuid(event, "device_id")
    if event.name == "DeviceRegistered":
        bound = (_uuid(event, "point_id"), _uuid(event, "register_id"), body["token_sha256"], body["is_enabled"])
        transaction.run(_REGISTER, device_id, *bound, body["at_us"], *place)
        details = {"point_id": body["point_id"], "register_id": body["register_id"], "is_enabled": body["is_enabled"]}
    elif event.name in _SWITCHES:
        transaction.run(_SWITCH, _SWITCHES[event.name], device_id)
        details = {}
    else:
        return
    _remember(transaction, event, body["at_us"], details | {"by": body["by"]})


def _drop(transaction: Transaction, event: Event) -> None:
    """A report sent twice counts once."""
    body = event.body
    times = (body["oldest_us"], body["newest_us"])
    new = transaction.run(
        _DROP, _uuid(event, "device_id"), body["report_id"], _uuid(event, "point_id"), _uuid(event, "register_id"),
        body["files"], body["bytes"], *times, body["reason"], body["received_us"], *_place(event.record),
    )  # fmt: skip
    if new:
        told = ("files", "bytes", "reason", "oldest_us", "newest_us")
        _remember(transaction, event, body["received_us"], {name: body[name] for name in told})


def _remember(transaction: Transaction, event: Event, at_us: int, details: Mapping[str, Any]) -> None:
    device_id = _uuid(event, "device_id")
    transaction.run(_HISTORY, device_id, at_us, event.name, json.dumps(details), *_place(event.record))


def _uuid(event: Event, name: str) -> UUID:
    try:
        return UUID(event.body[name])
    except ValueError as error:
        raise InvalidEvent(f"{name} {event.body[name]!r} is not a UUID.") from error


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


_AND_PLACE: Final = ("topic", "kafka_partition", "kafka_offset")
_DROP_COLUMNS: Final = (
    "device_id", "report_id", "point_id", "register_id", "files", "bytes", "oldest_at", "newest_at", "reason",
    "received_at", *_AND_PLACE,
)  # fmt: skip
_DEVICE_COLUMNS: Final = (
    "device_id", "point_id", "register_id", "token_hash", "is_enabled", "created_at",
)  # fmt: skip
READ_MODEL = ReadModel(
    name="devices",
    topics=("devices.events", "audio.chunks"),
    ddl=tables,
    views={
        "devices": (*_DEVICE_COLUMNS, "last_seen_at", *_AND_PLACE),
        "points": ("point_id", "name", *_AND_PLACE),
        "registers": ("register_id", "name", *_AND_PLACE),
        "recording_drops": _DROP_COLUMNS,
        "device_history": ("device_id", "at", "event", "details", *_AND_PLACE),
    },
    projector=Devices,
    checksums={
        "registered": f"{', '.join((*_DEVICE_COLUMNS, *_AND_PLACE))} | {{s}}.registered",
        "device_seen": "device_id, last_seen_at | {s}.device_seen",
        "points": f"point_id, name, {', '.join(_AND_PLACE)} | {{s}}.points",
        "registers": f"register_id, name, {', '.join(_AND_PLACE)} | {{s}}.registers",
        "recording_drops": f"{', '.join(_DROP_COLUMNS)} | {{s}}.recording_drops",
        "device_history": f"device_id, at, event, details, {', '.join(_AND_PLACE)} | {{s}}.device_history",
    },
)
