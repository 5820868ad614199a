"""Read model `railway_passengers`: passengers, tickets, and which Keycloak sign-in stands for whom.

Names, password hashes and codes are opened here. Of whom the key is gone there is a row without them, so that the
passenger can still be removed and the ticket still be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from projections import kept_rows, page_counts
from projections.kept_rows import Kept
from projections.page_counts import PageCounts
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.sales_rows import Row, Table, moment, storable, uuid_of
from projections.store import Transaction
from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten
from schemas.record import Record

LOCKED: Final = "!"
"""A hash that no password has: of who changed something with a key that is gone."""
_TABLES: Final = """
CREATE TABLE {s}.users (
    id              uuid PRIMARY KEY,
    name            varchar(256) NOT NULL,
    created_at      timestamptz NOT NULL,
    email           varchar(256) UNIQUE DEFERRABLE INITIALLY DEFERRED,
    username        varchar(256) UNIQUE DEFERRABLE INITIALLY DEFERRED,
    password        varchar(256),            -- argon2id; NULL: none
    number          bigint NOT NULL UNIQUE,  -- how many were created before
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE TABLE {s}.tickets (
    user_id         uuid NOT NULL,
    train_number    int NOT NULL,
    wagon_number    int NOT NULL,
    place_number    int NOT NULL,
    date            timestamptz NOT NULL,
    station_id      varchar(60) NOT NULL,
    destination_id  varchar(60) NOT NULL,
    start_date      timestamptz NOT NULL,
    code            text NOT NULL,           -- '': its key is gone
    used            boolean NOT NULL,
    id              uuid PRIMARY KEY,
    created_at      timestamptz NOT NULL,
    used_at         timestamptz,
    number          bigint NOT NULL UNIQUE,
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE INDEX tickets_of_user ON {s}.tickets (user_id, number);
CREATE INDEX tickets_of_code ON {s}.tickets USING hash (code) WHERE code <> '';
CREATE TABLE {s}.keycloak_users (
    user_id         uuid NOT NULL,
    id              uuid PRIMARY KEY,        -- Keycloak's
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
CREATE TABLE {s}.passenger_numbers (list text PRIMARY KEY, made bigint NOT NULL) WITH (fillfactor = 50);
"""
PAGES: Final = "passenger_pages"
"""Table of the counts by which pages of passengers and of tickets are found."""
_PLACE: Final = {"topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint"}


def _keyed(name: str, /, **columns: str) -> Table:
    return Table(name, columns, ("id",), owner="id")


USERS: Final = _keyed(
    "users", id="uuid", name="text", created_at="timestamptz", email="text", username="text", password="text",  # noqa: S106
    number="bigint", **_PLACE,
)  # fmt: skip
TICKETS: Final = _keyed(
    "tickets", user_id="uuid", train_number="int", wagon_number="int", place_number="int", date="timestamptz",
    station_id="text", destination_id="text", start_date="timestamptz", code="text", used="boolean", id="uuid",
    created_at="timestamptz", used_at="timestamptz", number="bigint", **_PLACE,
)  # fmt: skip
LINKS: Final = _keyed("keycloak_users", user_id="uuid", id="uuid", **_PLACE)
_NUMBERS: Final = Table("passenger_numbers", {"list": "text", "made": "bigint"}, key=("list",), owner="list")
_FREE: Final = """
UPDATE users u SET {field} = NULL FROM unnest(%s::uuid[], %s::text[]) AS n(id, taken)
WHERE u.{field} = n.taken AND u.id <> n.id
"""


Fold = Callable[[Kept, UUID, Row], None]
"""The rows of a batch, the id that an event is about, and what it says: the rows are changed."""


@dataclass(slots=True)
class Prepared:
    """A batch: for each event the id it is about and what it says, opened; and who waits for a command."""

    changes: list[tuple[str, UUID, Row]] = field(default_factory=list[tuple[str, UUID, Row]])
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.changes or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema) + page_counts.ddl(schema, PAGES)


class RailwayPassengers:
    """Writes passengers, tickets and links."""

    def __init__(self, target: Target) -> None:
        self._keyring = target.keyring

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Open the envelopes. Raises InvalidEvent for an altered one, an id that is no UUID, a time out of range."""
        prepared = Prepared()
        for event in events:
            if event.name == "CommandSettled":
                prepared.settled.append(event.record)
            elif event.name in _READ:
                id_name, read = _READ[event.name]
                row_id = uuid_of(event.body[id_name], id_name)
                prepared.changes.append((event.name, row_id, read(event, self._keyring) | _place(event.record)))
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write what the batch comes to."""
        replies = [Reply(record) for record in prepared.settled]
        if not prepared.changes:
            return Effects(replies=replies)
        rows, lists = 0, _Lists(transaction)
        for table, folds in ((USERS, _USER_FOLDS), (TICKETS, _TICKET_FOLDS), (LINKS, _LINK_FOLDS)):
            changes = [change for change in prepared.changes if change[0] in folds]
            if changes:
                kept = kept_rows.load(transaction, table, sorted({row_id for _, row_id, _ in changes}))
                for name, row_id, said in changes:
                    lists.fold(folds[name], kept, row_id, said)
                if table is USERS:
                    _free(transaction, kept.changes())
                rows += kept_rows.flush(transaction, kept)
        lists.write(transaction)
        return Effects(replies=replies, rows=rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


class _Lists:
    """Numbers what is created, and counts what there is, for pages."""

    def __init__(self, transaction: Transaction) -> None:
        self._made: dict[str, int] = dict(transaction.rows("SELECT list, made FROM passenger_numbers"))
        self._new: dict[tuple[str], int] = {}
        self._counts = PageCounts(PAGES)

    def fold(self, fold: Fold, kept: Kept, row_id: UUID, said: Row) -> None:
        """Take in an event."""
        name, before = kept.table.name, kept.get(row_id)
        number = self._made.get(name, 0)
        fold(kept, row_id, said | {"number": number})
        after = kept.get(row_id)
        if "number" not in kept.table.columns or (before is None) == (after is None):
            return
        if before is None:
            self._made[name] = number + 1
            self._new[name,] = self._new.get((name,), 0) + 1
            self._counts.count(name, "", number)
        else:
            self._counts.count(name, "", before["number"], -1)

    def write(self, transaction: Transaction) -> None:
        """Add up what is new."""
        kept_rows.add(transaction, _NUMBERS, "made", self._new)
        self._counts.write(transaction)


def _read_details(event: Event, keyring: KeyRing | None) -> Row:
    """What is said of a passenger: only what is said; an empty text is none. `is_forgotten` when its key is gone."""
    details = _opened(event, keyring, "details", "PassengerDetails")
    times = {"at": moment(event.body["at_us"])}
    if details is None:
        return times | {"is_forgotten": True}
    said = {name: storable(text) for name, text in details.items() if text is not None}
    named = {"name": said["name"]} if "name" in said else {}
    marked = {name: said[name] or None for name in ("email", "username") if name in said}
    password = {"password": said["password_hash"] or None} if "password_hash" in said else {}
    return times | {"is_forgotten": False, "columns": named | marked | password}


def _read_ticket(event: Event, keyring: KeyRing | None) -> Row:
    body = event.body
    opened = _opened(event, keyring, "code", "TicketCode")
    return {
        "user_id": uuid_of(body["user_id"], "user_id"),
        **{name: body[name] for name in ("train_number", "wagon_number", "place_number")},
        **{name: storable(body[name]) for name in ("station_id", "destination_id")},
        "date": moment(body["date_us"]),
        "start_date": moment(body["start_date_us"]),
        "code": storable(opened["code"]) if opened else "",
        "used": False,
        "created_at": moment(body["at_us"]),
        "used_at": None,
    }


def _read_link(event: Event, _keyring: KeyRing | None) -> Row:
    return {"user_id": uuid_of(event.body["user_id"], "user_id")}


def _read_time(event: Event, _keyring: KeyRing | None) -> Row:
    return {"at": moment(event.body["at_us"])}


def _opened(event: Event, keyring: KeyRing | None, name: str, inside: str) -> dict[str, Any] | None:
    if keyring is None:
        raise ValueError("railway_passengers needs a key ring")
    opened = unseal(keyring, event.body[name], inside)
    return None if isinstance(opened, Forgotten) else opened


def _place(record: Record) -> Row:
    return {"topic": record.topic, "kafka_partition": record.partition, "kafka_offset": record.offset}


def _in_place(said: Row) -> Row:
    return {name: said[name] for name in _PLACE}


def _user_added(kept: Kept, row_id: UUID, said: Row) -> None:
    if kept.get(row_id) is None:
        empty = {"name": "", "email": None, "username": None, "password": None}
        made = {"id": row_id, "created_at": said["at"], "number": said["number"], **_in_place(said)}
        kept.put(empty | said.get("columns", {}) | made)


def _user_changed(kept: Kept, row_id: UUID, said: Row) -> None:
    before = kept.get(row_id)
    if before is None:
        return
    columns = said.get("columns", {})
    if said["is_forgotten"] and before["password"] is not None:
        columns = {"password": LOCKED}
    kept.put(before | columns | _in_place(said))


def _dropped(kept: Kept, row_id: UUID, _said: Row) -> None:
    kept.drop(row_id)


def _added(kept: Kept, row_id: UUID, said: Row) -> None:
    if kept.get(row_id) is None:
        kept.put({name: said[name] for name in kept.table.columns if name != "id"} | {"id": row_id})


def _ticket_used(kept: Kept, row_id: UUID, said: Row) -> None:
    before = kept.get(row_id)
    if before is not None and not before["used"]:
        kept.put(before | {"used": True, "used_at": said["at"]} | _in_place(said))


def _free(transaction: Transaction, changed: Sequence[Row]) -> None:
    """The decider holds names apart: whoever else has one here is somebody whose key is gone there."""
    for name in ("username", "email"):
        taken = [(row["id"], row[name]) for row in changed if row[name] is not None]
        if taken:
            transaction.run(_FREE.format(field=name), [owner for owner, _ in taken], [text for _, text in taken])


_READ: Final[Mapping[str, tuple[str, Callable[[Event, KeyRing | None], Row]]]] = {
    "PassengerAdded": ("user_id", _read_details),
    "PassengerChanged": ("user_id", _read_details),
    "PassengerRemoved": ("user_id", _read_time),
    "TicketIssued": ("ticket_id", _read_ticket),
    "TicketUsed": ("ticket_id", _read_time),
    "TicketCancelled": ("ticket_id", _read_time),
    "KeycloakUserLinked": ("keycloak_id", _read_link),
    "KeycloakUserUnlinked": ("keycloak_id", _read_link),
}
"""Event -> the id it is about, and how it is read."""
_USER_FOLDS: Final[Mapping[str, Fold]] = {
    "PassengerAdded": _user_added,
    "PassengerChanged": _user_changed,
    "PassengerRemoved": _dropped,
}
_TICKET_FOLDS: Final[Mapping[str, Fold]] = {
    "TicketIssued": _added,
    "TicketUsed": _ticket_used,
    "TicketCancelled": _dropped,
}
_LINK_FOLDS: Final[Mapping[str, Fold]] = {"KeycloakUserLinked": _added, "KeycloakUserUnlinked": _dropped}

_SHOWN: Final = {table.name: tuple(table.columns) for table in (USERS, TICKETS, LINKS)}
READ_MODEL = ReadModel(
    name="railway_passengers",
    topics=("railway.events",),
    ddl=tables,
    views={**_SHOWN, PAGES: page_counts.COLUMNS},
    projector=RailwayPassengers,
    checksums={
        **{name: f"{', '.join(columns)} | {{s}}.{name}" for name, columns in _SHOWN.items()},
        PAGES: page_counts.checksum(PAGES),
    },
    events=frozenset(_READ),
)
