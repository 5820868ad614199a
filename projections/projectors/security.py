"""Read model `security`: cameras and their mutes, who is watched for, alerts with what was seen when, scores.

What is said of watched people is opened here; of whom the key is gone there is a row without it. An alert's
`kafka_offset` is that of its newest event: who has seen everything up to an offset finds what is new beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from projections import kept_rows
from projections.kept_rows import Kept
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.sales_rows import Row, Table, moment, optional_moment, storable
from projections.store import Transaction
from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten
from schemas.record import Record

_PLACE: Final = "topic text NOT NULL, kafka_partition smallint NOT NULL, kafka_offset bigint NOT NULL"
_TABLES: Final = """
CREATE TABLE {s}.cameras (
    camera_id     text PRIMARY KEY,
    name          text NOT NULL,
    location      text NOT NULL,
    device_id     text,
    source        text,
    deviance      boolean NOT NULL,
    deviance_on   real NOT NULL,
    deviance_off  real NOT NULL,
    faces         boolean NOT NULL,
    schedule      json NOT NULL,
    configured_at timestamptz NOT NULL,
    by            text,
    {place}
);
CREATE TABLE {s}.camera_mutes (
    camera_id text NOT NULL,
    kind      text NOT NULL,
    until     timestamptz,               -- NULL: for ever
    muted_at  timestamptz NOT NULL,
    by        text,
    {place},
    PRIMARY KEY (camera_id, kind)
);
CREATE TABLE {s}.watch_list (
    user_id     text PRIMARY KEY,
    level       text NOT NULL,
    reason      text,
    instruction text,
    watched_at  timestamptz NOT NULL,
    by          text,
    {place}
);
CREATE TABLE {s}.alerts (
    alert_id      text PRIMARY KEY,
    kind          text NOT NULL,
    camera_id     text NOT NULL,
    user_id       text,
    start_at      timestamptz NOT NULL,
    end_at        timestamptz,           -- of a signal: NULL while it is on; of a threat: when last seen
    score         real NOT NULL,
    model         text NOT NULL,
    evidence      json NOT NULL,
    muted         boolean NOT NULL,
    level         text,
    sightings     integer NOT NULL,
    status        text NOT NULL,
    note          text,
    settled_at    timestamptz,
    settled_by    text,
    raised_at     timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    raised_offset bigint NOT NULL UNIQUE,
    {place}
) WITH (fillfactor = 70);
CREATE INDEX alerts_news ON {s}.alerts (kafka_offset);
CREATE INDEX alerts_of_camera ON {s}.alerts (camera_id, raised_offset);
CREATE INDEX alerts_of_person ON {s}.alerts (user_id, raised_offset) WHERE user_id IS NOT NULL;
CREATE INDEX alerts_of_status ON {s}.alerts (status, raised_offset);
CREATE TABLE {s}.alert_sightings (
    alert_id text NOT NULL,
    at       timestamptz NOT NULL,       -- the log's
    event    text NOT NULL,
    details  json NOT NULL,
    by       text,
    {place},
    PRIMARY KEY (alert_id, kafka_offset)
);
CREATE TABLE {s}.deviance_scores (
    camera_id    text NOT NULL,
    device_id    text NOT NULL,
    start_at     timestamptz NOT NULL,
    end_at       timestamptz NOT NULL,
    score        real NOT NULL,
    model        text NOT NULL,
    frame        text,
    clip         text,
    participants json NOT NULL,
    {place},
    PRIMARY KEY (camera_id, start_at, end_at, device_id)
);
CREATE INDEX deviance_scores_frames ON {s}.deviance_scores (frame) WHERE frame IS NOT NULL;
"""
_AND_PLACE: Final = {"topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint"}


def _keyed(name: str, columns: Mapping[str, str], *key: str, owner: str = "") -> Table:
    return Table(name, {**columns, **_AND_PLACE}, key, owner=owner or key[0])


CAMERAS: Final = _keyed(
    "cameras",
    {
        "camera_id": "text", "name": "text", "location": "text", "device_id": "text", "source": "text",
        "deviance": "boolean", "deviance_on": "real", "deviance_off": "real", "faces": "boolean", "schedule": "json",
        "configured_at": "timestamptz", "by": "text",
    },
    "camera_id",
)  # fmt: skip
MUTES: Final = _keyed(
    "camera_mutes",
    {"camera_id": "text", "kind": "text", "until": "timestamptz", "muted_at": "timestamptz", "by": "text"},
    "camera_id", "kind",
)  # fmt: skip
WATCH_LIST: Final = _keyed(
    "watch_list",
    {
        "user_id": "text", "level": "text", "reason": "text", "instruction": "text", "watched_at": "timestamptz",
        "by": "text",
    },
    "user_id",
)  # fmt: skip
ALERTS: Final = _keyed(
    "alerts",
    {
        "alert_id": "text", "kind": "text", "camera_id": "text", "user_id": "text", "start_at": "timestamptz",
        "end_at": "timestamptz", "score": "real", "model": "text", "evidence": "json", "muted": "boolean",
        "level": "text", "sightings": "integer", "status": "text", "note": "text", "settled_at": "timestamptz",
        "settled_by": "text", "raised_at": "timestamptz", "updated_at": "timestamptz", "raised_offset": "bigint",
    },
    "alert_id",
)  # fmt: skip
SIGHTINGS: Final = _keyed(
    "alert_sightings",
    {"alert_id": "text", "at": "timestamptz", "event": "text", "details": "json", "by": "text"},
    "alert_id", "kafka_offset",
)  # fmt: skip
SCORES: Final = _keyed(
    "deviance_scores",
    {
        "camera_id": "text", "device_id": "text", "start_at": "timestamptz", "end_at": "timestamptz", "score": "real",
        "model": "text", "frame": "text", "clip": "text", "participants": "json",
    },
    "camera_id", "start_at", "end_at", "device_id",
)  # fmt: skip
Change = tuple[str, Row]
"""An event's name and what it says, opened, with its place in the log."""


@dataclass(slots=True)
class Prepared:
    """A batch: what was decided in order, what was seen of alerts, scores, and who waits for a command."""

    changes: list[Change] = field(default_factory=list[Change])
    sightings: list[Row] = field(default_factory=list[Row])
    scores: list[Row] = field(default_factory=list[Row])
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.changes or self.sightings or self.scores or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema, place=_PLACE)


class Security:
    """Writes what was decided about watching, and scores."""

    def __init__(self, target: Target) -> None:
        self._keyring = target.keyring

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Open the envelopes. Raises InvalidEvent for an altered one, or a time that is none."""
        prepared = Prepared()
        for event in events:
            match event.name:
                case "CommandSettled":
                    prepared.settled.append(event.record)
                case "DevianceScored":
                    prepared.scores.append(_scored(event))
                case name if name in _FOLDS:
                    row = {**event.body, **_opened(event, self._keyring), **_place(event)}
                    row["at"] = moment(event.body["at_us"])
                    prepared.changes.append((name, row))
                    if name in _TOLD:
                        prepared.sightings.append(_told(event))
                case _:
                    pass
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write what the batch comes to."""
        rows = 0
        for table in (CAMERAS, MUTES, WATCH_LIST, ALERTS):
            changes = [change for change in prepared.changes if concerns(change[0], table)]
            if changes:
                kept = _loaded(transaction, table, sorted({storable(body[table.owner]) for _, body in changes}))
                for change in changes:
                    apply(kept, change)
                rows += kept_rows.flush(transaction, kept)
        for table, new in ((SIGHTINGS, prepared.sightings), (SCORES, prepared.scores)):
            rows += len(kept_rows.append(transaction, table, new, "1"))
        # Live pages are told that there is something new; what it is, only who may know asks for.
        noticed = {"alerts"} if prepared.sightings else set[str]()
        return Effects(replies=[Reply(record) for record in prepared.settled], devices=noticed, rows=rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def apply(kept: Kept, change: Change) -> None:
    """Take an event into the rows of one of its tables."""
    name, body = change
    _FOLDS[name][kept.table.name](kept, body)


def concerns(name: str, table: Table) -> bool:
    """Whether an event changes rows of a table."""
    return table.name in _FOLDS[name]


def _loaded(transaction: Transaction, table: Table, owners: Sequence[str]) -> Kept:
    """The rows that the batch is about. JSON is taken as text: what is written back must be what was there."""
    kept, names = Kept(table), tuple(table.columns)
    columns = ", ".join(f"{name}::text" if kind == "json" else name for name, kind in table.columns.items())
    statement = f"SELECT {columns} FROM {table.name} WHERE {table.owner} = ANY(%s)"  # noqa: S608 - own names
    for values in transaction.rows(statement, list(owners)):
        row = dict(zip(names, values, strict=True))
        kept.rows[table.key_of(row)] = row
    return kept


def _taken(table: Table, body: Row, **changed: Any) -> Row:
    """A row of the table: what the event says under the columns' names, texts as PostgreSQL can hold them."""
    row = {name: changed[name] if name in changed else body[name] for name in table.columns}
    return {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}


def _configured(kept: Kept, body: Row) -> None:
    kept.put(_taken(CAMERAS, body, configured_at=body["at"]))


def _muted(kept: Kept, body: Row) -> None:
    if body["until_us"] is not None and body["until_us"] <= body["at_us"]:
        kept.drop(storable(body["camera_id"]), body["kind"])
    else:
        kept.put(_taken(MUTES, body, until=optional_moment(body["until_us"]), muted_at=body["at"]))


def _unmuted(kept: Kept, body: Row) -> None:
    for kind in ("deviance", "threat", "all"):
        kept.drop(storable(body["camera_id"]), kind)


def _watched(kept: Kept, body: Row) -> None:
    kept.put(_taken(WATCH_LIST, body, watched_at=body["at"]))


def _raised(kept: Kept, body: Row) -> None:
    times = {"start_at": moment(body["start_us"]), "end_at": optional_moment(body["end_us"]), "raised_at": body["at"]}
    nothing = dict.fromkeys(("note", "settled_at", "settled_by"))
    begins = {"sightings": 1, "status": "open", "updated_at": body["at"], "raised_offset": body["kafka_offset"]}
    kept.put(_taken(ALERTS, body, **times, **nothing, **begins))


def _updated(kept: Kept, body: Row) -> None:
    end_at = optional_moment(body["end_us"])
    said = {name: body[name] for name in ("score", "sightings", "kafka_offset")} | {
        "evidence": storable(body["evidence"])
    }
    _changed(kept, body, **said, **({"end_at": end_at} if end_at else {}))


def _settled(kept: Kept, body: Row) -> None:
    note = body["note"] and storable(body["note"])
    told = {"status": body["verdict"], "settled_at": body["at"], "settled_by": body["by"]}
    _changed(kept, body, **told, kafka_offset=body["kafka_offset"], **({"note": note} if note else {}))


def _changed(kept: Kept, body: Row, **changed: Any) -> None:
    row = kept.get(storable(body["alert_id"]))
    if row is not None:
        kept.put({**row, **changed, "updated_at": body["at"]})


Fold = Callable[[Kept, Row], None]
_FOLDS: Final[Mapping[str, Mapping[str, Fold]]] = {
    "CameraConfigured": {"cameras": _configured},
    "CameraRemoved": {
        "cameras": lambda kept, body: kept.drop(storable(body["camera_id"])),
        "camera_mutes": _unmuted,
    },
    "CameraMuted": {"camera_mutes": _muted},
    "PersonWatched": {"watch_list": _watched},
    "PersonUnwatched": {"watch_list": lambda kept, body: kept.drop(storable(body["user_id"]))},
    "AlertRaised": {"alerts": _raised},
    "AlertUpdated": {"alerts": _updated},
    "AlertSettled": {"alerts": _settled},
}
"""Event -> what it does to which table."""
_TOLD: Final[Mapping[str, Sequence[str]]] = {
    "AlertRaised": ("start_us", "end_us", "score", "evidence", "muted"),
    "AlertUpdated": ("end_us", "score", "evidence", "sightings"),
    "AlertSettled": ("verdict", "note"),
}
"""What stands in an alert's history, and what it tells."""


def _told(event: Event) -> Row:
    body = event.body
    details = {name: body[name] for name in _TOLD[event.name]}
    said = {"alert_id": storable(body["alert_id"]), "event": event.name, "details": _json(details), "by": body["by"]}
    return said | {"at": moment(body["at_us"])} | _place(event)


def _scored(event: Event) -> Row:
    body = event.body
    times = {"start_at": moment(body["window_start_us"]), "end_at": moment(body["window_end_us"])}
    return _taken(SCORES, body | _place(event), **times)


def _opened(event: Event, keyring: KeyRing | None) -> Row:
    """What is said of who is watched; nothing where its key is gone."""
    if event.name != "PersonWatched":
        return {}
    if keyring is None:
        raise ValueError("security needs a key ring")
    details = unseal(keyring, event.body["details"], "WatchDetails")
    return {"reason": None, "instruction": None} if isinstance(details, Forgotten) else details


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _place(event: Event) -> Row:
    record = event.record
    return {"topic": record.topic, "kafka_partition": record.partition, "kafka_offset": record.offset}


def _hashed(table: Table) -> str:
    """Columns to be compared: JSON as text, no floats."""
    kinds = table.columns.items()
    return ", ".join(f"{name}::text" if kind == "json" else name for name, kind in kinds if kind != "real")


_ALL: Final = (CAMERAS, MUTES, WATCH_LIST, ALERTS, SIGHTINGS, SCORES)
READ_MODEL = ReadModel(
    name="security",
    topics=("security.threats", "security.deviance"),
    ddl=tables,
    views={table.name: tuple(table.columns) for table in _ALL},
    projector=Security,
    # Not the scores: the log keeps them for a month, so a later build has fewer.
    checksums={table.name: f"{_hashed(table)} | {{s}}.{table.name}" for table in _ALL if table is not SCORES},
)
