"""Read model `railway_places`: hotels and attractions of a destination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from projections import kept_rows
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.sales_rows import Row, Table, moment, storable, uuid_of
from projections.store import Transaction
from schemas.errors import InvalidEvent
from schemas.record import Record

_TABLE: Final = """
CREATE TABLE {s}.{name} (
    name            varchar(256) NOT NULL,
    description     varchar(1024) NOT NULL,
    logo_url        varchar(256) NOT NULL,
    destination_id  varchar(256) NOT NULL,
    created_at      timestamptz NOT NULL,
    id              uuid PRIMARY KEY,
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE INDEX {name}_of_destination ON {s}.{name} (destination_id, created_at, id);
"""
_COLUMNS: Final = {
    "name": "text", "description": "text", "logo_url": "text", "destination_id": "text", "created_at": "timestamptz",
    "id": "uuid", "topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint",
}  # fmt: skip
TABLES: Final = {
    kind: Table(name, _COLUMNS, ("id",), owner="id")
    for kind, name in (("HOTEL", "hotels"), ("ATTRACTION", "attractions"))
}
"""Kind of place -> its table."""

EVENTS: Final = frozenset({"PlaceAdded", "PlaceRemoved"})


@dataclass(slots=True)
class Prepared:
    """A batch: per kind the places it is about, each with its row, None for one that is removed; and who waits."""

    changes: list[tuple[str, UUID, Row | None]] = field(default_factory=list[tuple[str, UUID, Row | None]])
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.changes or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return "".join(_TABLE.format(s=schema, name=table.name) for table in TABLES.values())


class RailwayPlaces:
    """Writes hotels and attractions."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Lay the batch out. Raises InvalidEvent for an id that is no UUID, or a kind that is none."""
        prepared = Prepared()
        for event in events:
            if event.name == "CommandSettled":
                prepared.settled.append(event.record)
            elif event.name in EVENTS:
                prepared.changes.append(_read(event))
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write what the batch comes to."""
        rows = sum(_written(transaction, prepared, kind, table) for kind, table in TABLES.items())
        return Effects(replies=[Reply(record) for record in prepared.settled], rows=rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def _read(event: Event) -> tuple[str, UUID, Row | None]:
    body, record = event.body, event.record
    place_id = uuid_of(body["place_id"], "place_id")
    if body["kind"] not in TABLES:
        raise InvalidEvent(f"kind {body['kind']!r} is neither HOTEL nor ATTRACTION.")
    if event.name == "PlaceRemoved":
        return body["kind"], place_id, None
    said = {name: storable(body[name]) for name in ("name", "description", "logo_url", "destination_id")}
    place = {"topic": record.topic, "kafka_partition": record.partition, "kafka_offset": record.offset}
    return body["kind"], place_id, said | {"id": place_id, "created_at": moment(body["at_us"])} | place


def _written(transaction: Transaction, prepared: Prepared, kind: str, table: Table) -> int:
    changes = [(place_id, row) for of_kind, place_id, row in prepared.changes if of_kind == kind]
    if not changes:
        return 0
    kept = kept_rows.load(transaction, table, sorted({place_id for place_id, _ in changes}))
    for place_id, row in changes:
        if row is None:
            kept.drop(place_id)
        elif kept.get(place_id) is None:
            kept.put(row)
    return kept_rows.flush(transaction, kept)


_VIEWS: Final = {table.name: tuple(table.columns) for table in TABLES.values()}
READ_MODEL = ReadModel(
    name="railway_places",
    topics=("railway.events",),
    ddl=tables,
    views=_VIEWS,
    projector=RailwayPlaces,
    checksums={name: f"{', '.join(columns)} | {{s}}.{name}" for name, columns in _VIEWS.items()},
    events=EVENTS,
)
