"""Projectors of passengers, tickets and places: what a batch comes to before the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from projections.projectors import railway_passengers, railway_places
from projections.projectors.railway_passengers import LOCKED, RailwayPassengers
from projections.read_model import Event, Target
from projections.sales_rows import moment
from schemas import examples
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from schemas.record import Record
from tests.drivers.deciding import AT_US, RING
from tests.drivers.passengers import (
    ANNA,
    AT,
    BORIS,
    BY,
    K1,
    T1,
    T2,
    added,
    cancelled,
    issued,
    linked,
    passenger,
    removed,
    ticket,
)  # fmt: skip

WITHOUT = KeyRing({"k2": bytes(32)}, "k2")
A = added(passenger(ANNA, name="Анна", username="anna", email="", password_hash="h"))
USED = ("TicketUsed", {"ticket_id": T1, "robot_id": None} | BY | AT)


def events(*told: tuple[str, Mapping[str, Any]]) -> list[Event]:
    return [
        Event(Record("railway.events", 3, offset, AT_US // 1000, None, None), name, dict(body))
        for offset, (name, body) in enumerate(told)
    ]


def changed(**said: str | None) -> tuple[str, dict[str, Any]]:
    return "PassengerChanged", passenger(ANNA, RING, **said) | AT


class Table:
    """A transaction on empty tables that keeps what is written to each: rows by id, ids that are deleted, sums."""

    def __init__(self) -> None:
        self.rows_: dict[str, dict[UUID, dict[str, Any]]] = {}
        self.gone: dict[str, list[UUID]] = {}
        self.sums: dict[str, list[tuple[Any, ...]]] = {}

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return []

    def run(self, statement: str, *parameters: Any) -> int:
        words = statement.split()
        name = words[2]
        if words[0] == "DELETE":
            (self.gone[name],) = parameters
        elif "AS t (" in statement:
            self.sums[name] = list(zip(*parameters, strict=True))
        elif words[0] == "INSERT":
            columns = statement[statement.index("(") + 1 : statement.index(")")].split(", ")
            found = [dict(zip(columns, values, strict=True)) for values in zip(*parameters, strict=True)]
            self.rows_[name] = {row["id"]: row for row in found}
        return len(parameters)


def written(*told: tuple[str, Mapping[str, Any]], ring: KeyRing = RING) -> Table:
    """What a batch writes into empty tables."""
    table = Table()
    projector = RailwayPassengers(Target("s", keyring=ring))
    projector.write(table, projector.prepare(events(*told)))  # pyright: ignore[reportArgumentType]
    return table


def user(*told: tuple[str, Mapping[str, Any]], ring: KeyRing = RING) -> dict[str, Any]:
    return written(*told, ring=ring).rows_["users"][UUID(ANNA)]


def test_a_passenger_is_a_row_and_an_empty_text_is_none():
    assert user(A) == {
        "id": UUID(ANNA), "name": "Анна", "username": "anna", "email": None, "password": "h",
        "created_at": moment(AT_US), "number": 0,
        "topic": "railway.events", "kafka_partition": 3, "kafka_offset": 0,
    }  # fmt: skip


def test_what_a_change_says_is_changed_and_the_rest_stays():
    row = user(A, changed(email="a@example.org"), changed(name="Анна П.", password_hash="other", username=""))
    assert (row["name"], row["username"], row["email"], row["password"]) == ("Анна П.", None, "a@example.org", "other")
    assert (row["created_at"], row["number"], row["kafka_offset"]) == (moment(AT_US), 0, 2)


def test_who_is_not_there_is_not_changed():
    assert "users" not in written(changed(name="x"), ("TicketUsed", USED[1])).rows_


def test_an_event_that_comes_again_changes_nothing():
    twice = written(A, issued(ticket()), A, issued(ticket(place_number=99)))
    assert twice.rows_["users"][UUID(ANNA)]["kafka_offset"] == 0
    assert twice.rows_["tickets"][UUID(T1)]["place_number"] == 12
    assert twice.sums["passenger_numbers"] == [("tickets", 1), ("users", 1)]


def test_of_whom_the_key_is_gone_there_is_a_row_without_names():
    row = user(A, ring=WITHOUT)
    assert (row["name"], row["username"], row["email"], row["password"]) == ("", None, None, None)
    assert written(issued(ticket()), ring=WITHOUT).rows_["tickets"][UUID(T1)]["code"] == ""


def test_a_password_that_may_have_been_changed_with_a_key_that_is_gone_fits_nobody():
    newer = added(passenger(ANNA, WITHOUT, name="Анна", password_hash="h"))
    assert user(newer, changed(name="x"), ring=WITHOUT)["password"] == LOCKED
    assert user(added(passenger(ANNA, WITHOUT, name="Анна")), changed(name="x"), ring=WITHOUT)["password"] is None


def test_what_is_gone_is_deleted_and_counted_out():
    other = added(passenger(BORIS, name="Борис"))
    table = written(A, other, issued(ticket()), issued(ticket(T2)), cancelled(), removed())
    assert (set(table.rows_["users"]), set(table.rows_["tickets"])) == ({UUID(BORIS)}, {UUID(T2)})
    assert table.gone == {"users": [UUID(ANNA)], "tickets": [UUID(T1)]}
    assert table.sums["passenger_numbers"] == [("tickets", 2), ("users", 2)]
    assert table.sums["passenger_pages"] == [("tickets", "", 0, 1), ("users", "", 0, 1)]
    assert table.rows_["users"][UUID(BORIS)]["number"] == 1


def test_a_ticket_is_used_once_at_the_first_time():
    later = ("TicketUsed", USED[1] | {"at_us": AT_US + 1})
    row = written(issued(ticket()), USED, later).rows_["tickets"][UUID(T1)]
    assert (row["used"], row["used_at"], row["kafka_offset"]) == (True, moment(AT_US), 1)
    assert (row["code"], row["destination_id"], row["date"]) == ("c" * 128, "SPB", moment(AT_US))


def test_a_sign_in_is_linked_and_unlinked():
    assert written(linked()).rows_["keycloak_users"][UUID(K1)]["user_id"] == UUID(ANNA)
    table = written(linked(), linked(holds=False))
    assert "keycloak_users" not in table.rows_
    assert table.gone == {"keycloak_users": [UUID(K1)]}


def test_who_waits_is_told_and_others_events_are_passed_over():
    told = [("CommandSettled", examples.load("CommandSettled")), ("PurchaseMade", examples.load("PurchaseMade"))]
    projectors = (RailwayPassengers(Target("s", keyring=RING)), railway_places.RailwayPlaces(Target("s")))
    for projector in projectors:
        prepared = projector.prepare(events(*told))
        assert prepared.changes == []
        effects = projector.write(None, prepared)  # pyright: ignore[reportArgumentType] - nothing is written
        assert [reply.record.offset for reply in effects.replies] == [0]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("PassengerRemoved", {"user_id": "x"}),
        ("TicketCancelled", {"ticket_id": "x"}),
        ("KeycloakUserLinked", {"keycloak_id": "x"}),
        ("PassengerRemoved", {"at_us": 2**62}),
        ("PlaceAdded", {"place_id": "x"}),
        ("PlaceAdded", {"kind": "MUSEUM"}),
    ],
)
def test_what_can_be_no_row_is_bad_data(name: str, changes: dict[str, Any]):
    told = events((name, examples.load(name) | changes))
    made = railway_places.RailwayPlaces if name == "PlaceAdded" else RailwayPassengers
    with pytest.raises(InvalidEvent):
        made(Target("s", keyring=RING)).prepare(told)


def test_an_altered_envelope_is_bad_data_and_a_ring_is_needed():
    stolen = added(passenger(BORIS, name="x"))
    moved = (stolen[0], dict(stolen[1]) | {"details": stolen[1]["details"] | {"subject": f"passenger/{ANNA}"}})
    with pytest.raises(InvalidEvent, match="does not open"):
        RailwayPassengers(Target("s", keyring=RING)).prepare(events(moved))
    with pytest.raises(ValueError, match="key ring"):
        RailwayPassengers(Target("s")).prepare(events(A))


def test_hotels_and_attractions_are_kept_apart():
    place = examples.load("PlaceAdded")
    hotel, sight = place | {"kind": "HOTEL"}, place | {"kind": "ATTRACTION", "place_id": K1, "name": "a\x00b"}
    gone = {name: hotel[name] for name in ("place_id", "kind", "at_us", "by")}
    table, projector = Table(), railway_places.RailwayPlaces(Target("s"))
    batch = events(("PlaceAdded", hotel), ("PlaceAdded", sight), ("PlaceRemoved", gone))
    projector.write(table, projector.prepare(batch))  # pyright: ignore[reportArgumentType]
    assert table.gone == {"hotels": [UUID(place["place_id"])]}
    assert table.rows_["attractions"][UUID(K1)]["name"] == "a\ufffdb"
    assert "hotels" not in table.rows_


def test_rows_have_the_seeds_columns_first():
    assert tuple(railway_passengers.USERS.columns)[:6] == ("id", "name", "created_at", "email", "username", "password")
    assert tuple(railway_passengers.TICKETS.columns)[:11] == (
        "user_id", "train_number", "wagon_number", "place_number", "date", "station_id", "destination_id",
        "start_date", "code", "used", "id",
    )  # fmt: skip
