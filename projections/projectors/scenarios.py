"""Read model `scenarios`: how each stands and what is shown as predicted, its history, and what was seen when.

`scenarios` and its history come of one topic, predictions of another: topics have no order between them, so no row
of the one depends on the other. Which predictions are those of the current run is told by `run_epoch`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from projections import kept_rows
from projections.kept_rows import Kept
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.sales_rows import Row, Table, moment, storable
from projections.store import Transaction
from schemas.record import Record
from schemas.scenarios import ScenarioStatus
from streams.scenario_state import starts_anew
from streams.vision.addresses import nameless

_STATUSES: Final = ", ".join(f"'{status}'" for status in ScenarioStatus)
# The type is everybody's own SQL's: one for all versions, made once.
_TABLES: Final = """
DO $$ BEGIN
    CREATE TYPE public.scenario_status AS ENUM ({statuses});
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
CREATE TABLE {s}.scenarios (
    id         integer PRIMARY KEY,
    status     public.scenario_status NOT NULL,
    predict    json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    runner_id  text,                  -- who works on it
    epoch      integer NOT NULL,      -- counts its assignments
    run_epoch  integer NOT NULL,      -- the first one since it was last started from the first frame
    attempt    integer NOT NULL,
    frame      bigint,                -- the last one that was looked at
    frames     bigint,                -- how many there are
    reason     text,                  -- why the newest attempt failed
    source     text,
    settings   json NOT NULL,
    {place}
) WITH (fillfactor = 50);
CREATE INDEX scenarios_of_status ON {s}.scenarios (status, id);
CREATE TABLE {s}.scenario_history (
    scenario_id integer NOT NULL,
    at          timestamptz NOT NULL,
    event       text NOT NULL,
    details     json NOT NULL,
    {place},
    PRIMARY KEY (scenario_id, at, topic, kafka_offset)
);
CREATE TABLE {s}.scenario_predictions (
    scenario_id integer NOT NULL,
    epoch       integer NOT NULL,
    first_frame bigint NOT NULL,
    last_frame  bigint NOT NULL,
    video_ms    bigint,
    runner_id   text NOT NULL,
    detections  json NOT NULL,
    at          timestamptz NOT NULL,
    {place},
    PRIMARY KEY (scenario_id, epoch, first_frame)
);
CREATE INDEX scenario_predictions_in_time ON {s}.scenario_predictions (scenario_id, at, topic, kafka_offset);
CREATE INDEX scenario_predictions_in_order ON {s}.scenario_predictions (scenario_id, first_frame, epoch);
"""
_PLACE: Final = "topic text NOT NULL, kafka_partition smallint NOT NULL, kafka_offset bigint NOT NULL"
_AND_PLACE: Final = {"topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint"}
_STATUS: Final = "public.scenario_status"
SCENARIOS: Final = Table(
    "scenarios",
    {
        "id": "integer", "status": _STATUS, "predict": "json", "created_at": "timestamptz", "updated_at": "timestamptz",
        "runner_id": "text", "epoch": "integer", "run_epoch": "integer", "attempt": "integer", "frame": "bigint",
        "frames": "bigint", "reason": "text", "source": "text", "settings": "json",
    } | _AND_PLACE,
    ("id",),
    owner="id",
)  # fmt: skip
HISTORY: Final = Table(
    "scenario_history",
    {"scenario_id": "integer", "at": "timestamptz", "event": "text", "details": "json"} | _AND_PLACE,
    ("scenario_id", "at", "topic", "kafka_offset"),
)
PREDICTIONS: Final = Table(
    "scenario_predictions",
    {
        "scenario_id": "integer", "epoch": "integer", "first_frame": "bigint", "last_frame": "bigint",
        "video_ms": "bigint", "runner_id": "text", "detections": "json", "at": "timestamptz",
    } | _AND_PLACE,
    ("scenario_id", "epoch", "first_frame"),
)  # fmt: skip

_CREATED: Final = "ScenarioCreated"
_NO_NEWS: Final = "ScenarioLeaseRenewed"
_TOLD: Final[Mapping[str, Sequence[str]]] = {
    _CREATED: ("status", "source", "by"),
    "ScenarioStatusChanged": ("old_status", "new_status", "reason", "by"),
    "ScenarioAssigned": ("epoch", "runner_id", "attempt", "from_frame"),
    "ScenarioRunFinished": ("epoch", "runner_id", "outcome"),
    "ScenarioRunFailed": ("epoch", "runner_id", "attempt", "reason", "final"),
    "PredictionsOverwritten": ("by",),
}
"""What stands in the history, and what it tells; signs of life do not."""


@dataclass(slots=True)
class Prepared:
    """A batch: what happened to scenarios in order, rows that are only added, and who waits for a command."""

    changes: list[Event] = field(default_factory=list[Event])
    history: list[Row] = field(default_factory=list[Row])
    predictions: list[Row] = field(default_factory=list[Row])
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.changes or self.history or self.predictions or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema, statuses=_STATUSES, place=_PLACE)


class Scenarios:
    """Writes what was decided about scenarios and what runners saw."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Lay the batch out. Raises InvalidEvent for a time that is none."""
        prepared = Prepared()
        for event in events:
            if event.name == "CommandSettled":
                prepared.settled.append(event.record)
            elif event.name == "PredictionsRecorded":
                prepared.predictions.append(_seen(event))
            elif event.name in _CHANGES or event.name == _CREATED:
                moment(event.body["at_us"])
                prepared.changes.append(event)
            if event.name in _TOLD:
                prepared.history.append(_told(event))
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write what the batch comes to."""
        kept = _loaded(transaction, prepared.changes)
        for event in prepared.changes:
            apply(kept, event)
        rows = kept_rows.flush(transaction, kept)
        for table, new in ((HISTORY, prepared.history), (PREDICTIONS, prepared.predictions)):
            rows += len(kept_rows.append(transaction, table, new, "1"))
        return Effects(replies=[Reply(record) for record in prepared.settled], rows=rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def apply(kept: Kept, event: Event) -> None:
    """Take an event into its scenario's row."""
    body = event.body
    if event.name == _CREATED:
        kept.put(_created(event))
    elif row := kept.get(body["scenario_id"]):
        changes = _CHANGES[event.name](row, body)
        at = {} if event.name == _NO_NEWS else {"updated_at": moment(body["at_us"])}
        kept.put(row | changes | at | _place(event))


def _loaded(transaction: Transaction, changes: Sequence[Event]) -> Kept:
    """The rows that the batch is about. JSON is taken as text: what is written back must be what was there."""
    kept, ids = Kept(SCENARIOS), sorted({event.body["scenario_id"] for event in changes})
    if ids:
        names = tuple(SCENARIOS.columns)
        columns = ", ".join(f"{name}::text" if kind in ("json", _STATUS) else name for name, kind in _KINDS)
        for values in transaction.rows(f"SELECT {columns} FROM scenarios WHERE id = ANY(%s)", ids):  # noqa: S608
            kept.rows[(values[0],)] = dict(zip(names, values, strict=True))
    return kept


_KINDS: Final = tuple(SCENARIOS.columns.items())


def _created(event: Event) -> Row:
    body, at = event.body, moment(event.body["at_us"])
    empty = dict.fromkeys(("predict", "runner_id", "frame", "frames", "reason"))
    made = {"id": body["scenario_id"], "status": body["status"], "created_at": at, "updated_at": at}
    made["source"] = _source(body)
    return empty | made | {"epoch": 0, "run_epoch": 1, "attempt": 0, "settings": body["settings"]} | _place(event)


def _source(body: Mapping[str, Any]) -> str | None:
    """Without the password of a camera: runners have it from the log."""
    return None if body["source"] is None else storable(nameless(body["source"]))


def _status_changed(row: Row, body: Mapping[str, Any]) -> Row:
    """What failed is shown until people start or stop the scenario."""
    changed: Row = {"status": body["new_status"]}
    if starts_anew(body):
        changed |= {"run_epoch": row["epoch"] + 1, "attempt": 0, "frame": None, "frames": None}
    return changed if body["reason"] else changed | {"reason": None}


def _assigned(_row: Row, body: Mapping[str, Any]) -> Row:
    looked_at = body["from_frame"] - 1 if body["from_frame"] else None
    told = {name: body[name] for name in ("epoch", "attempt")}
    return told | {"runner_id": storable(body["runner_id"]), "frame": looked_at}


def _renewed(row: Row, body: Mapping[str, Any]) -> Row:
    return {name: row[name] if body[name] is None else body[name] for name in ("frame", "frames")}


_CHANGES: Final[Mapping[str, Callable[[Row, Mapping[str, Any]], Row]]] = {
    "ScenarioStatusChanged": _status_changed,
    "ScenarioAssigned": _assigned,
    _NO_NEWS: _renewed,
    "ScenarioProgressed": lambda _row, body: {"frame": body["last_frame"], "predict": body["summary"], "reason": None},
    "ScenarioRunFailed": lambda _row, body: {
        "runner_id": None, "attempt": body["attempt"], "reason": storable(body["reason"]),
    },
    "ScenarioRunFinished": lambda _row, _body: {"runner_id": None},
    "PredictionsOverwritten": lambda _row, body: {"predict": body["predict"]},
}  # fmt: skip


def _told(event: Event) -> Row:
    body = event.body
    details = {name: body[name] for name in _TOLD[event.name]}
    if event.name == _CREATED:
        details["source"] = _source(body)
    said = {"scenario_id": body["scenario_id"], "event": event.name, "details": json.dumps(details)}
    return said | {"at": moment(body["at_us"])} | _place(event)


def _seen(event: Event) -> Row:
    body = event.body
    said = ("scenario_id", "epoch", "first_frame", "last_frame", "video_ms")
    detections = [dict(one) | {"confidence": round(one["confidence"], 4)} for one in body["detections"]]
    row = {name: body[name] for name in said} | {"runner_id": storable(body["runner_id"])}
    return row | {"detections": json.dumps(detections), "at": moment(body["at_us"])} | _place(event)


def _place(event: Event) -> Row:
    record = event.record
    return {"topic": record.topic, "kafka_partition": record.partition, "kafka_offset": record.offset}


def _hashed(table: Table) -> str:
    """JSON and the status as text: neither has a hash that another server would agree to."""
    return ", ".join(f"{name}::text" if kind in ("json", _STATUS) else name for name, kind in table.columns.items())


_ALL: Final = (SCENARIOS, HISTORY, PREDICTIONS)
READ_MODEL = ReadModel(
    name="scenarios",
    topics=("scenarios", "vision.predictions"),
    ddl=tables,
    views={table.name: tuple(table.columns) for table in _ALL},
    projector=Scenarios,
    checksums={table.name: f"{_hashed(table)} | {{s}}.{table.name}" for table in _ALL},
)
