"""Passengers, tickets and places on a real log: rows, pages, a replay that is equal, doubles that change nothing."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from producers.publisher import Message
from projections import migrations
from projections.projection import starts_of
from projections.projectors.railway_passengers import RailwayPassengers
from projections.queries import railway_passengers as queries
from projections.queries import railway_places
from projections.queries.database import Database
from projections.read_model import Event, Target
from projections.sales_rows import moment
from projections.store import Store
from projections.store_models import Models
from schemas import cloudevents, examples, serde
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
    Told,
    added,
    cancelled,
    issued,
    linked,
    passenger,
    removed,
    ticket,
)  # fmt: skip
from tests.drivers.projecting import Site, site

MODEL, PLACES = "railway_passengers", "railway_places"
CROWD = [str(uuid.UUID(int=number)) for number in range(30)]
PLACE = examples.load("PlaceAdded")
HOUR_US = 3_600_000_000
USED = ("TicketUsed", {"ticket_id": T1, "robot_id": None} | BY | AT)
STORY: list[Told] = [
    added(passenger(ANNA, name="Анна", username="anna", email="anna@example.org", password_hash="h")),
    added(passenger(BORIS, name="Борис", username="boris")),
    ("PassengerChanged", passenger(ANNA, username="") | AT),
    ("PassengerChanged", passenger(BORIS, username="anna") | AT),
    linked(),
    *(added(passenger(one, name=f"Passenger {number}")) for number, one in enumerate(CROWD)),
    issued(ticket(T2, date_us=AT_US + HOUR_US)),
    issued(ticket(T1)),
    *(issued(ticket(str(uuid.UUID(int=99 + number)), one)) for number, one in enumerate(CROWD)),
    USED,
    *(cancelled(str(uuid.UUID(int=99 + number))) for number in range(3)),
    *(removed(one) for one in CROWD[:5]),
    ("PlaceAdded", PLACE | {"kind": "HOTEL"}),
    ("PlaceAdded", PLACE | {"kind": "ATTRACTION"}),
]


@pytest.fixture(scope="module")
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL, PLACES, "users") as made:
        every = [
            Message(
                f"{made.prefix}railway.events", b"passengers", serde.encode(name, body),
                cloudevents.headers(name, id=str(uuid.uuid4()), source="/tests"),
            )
            for name, body in STORY
        ]  # fmt: skip
        made.publisher.publish_all(every, 30)
        with made.projector():
            made.caught_up(MODEL)
            made.caught_up(PLACES)
            yield made


@pytest.fixture
async def read(there: Site) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Asks the queries."""
    database = Database(there.database_url)
    await database.open()
    yield lambda query, **asked: database.read(partial(query, **asked))
    await database.close()


async def test_passengers_are_found_and_listed_in_the_order_of_creation(read: Any) -> None:
    row = await read(queries.user, user_id=ANNA)
    assert row.pop("created_at") == moment(AT_US)
    assert row == {"id": ANNA, "name": "Анна", "username": None, "email": "anna@example.org", "password": "h"}
    assert (await read(queries.registered, username="anna"))["id"] == BORIS
    assert (await read(queries.registered, email="anna@example.org"))["id"] == ANNA
    assert await read(queries.registered, username="boris") is None
    assert await read(queries.registered) is None
    assert await read(queries.user_of_keycloak, keycloak_id=K1) == ANNA
    assert await read(queries.user, user_id=CROWD[0]) is None
    assert [row["id"] for row in await read(queries.everybody)] == [ANNA, BORIS, *CROWD[5:]]
    rows, total = await read(queries.users, page=3, size=10)
    assert (total, [row["id"] for row in rows]) == (27, CROWD[23:])
    assert await read(queries.users, page=9, size=10) == ([], 27)


async def test_tickets_are_found_by_all_that_is_asked_for(read: Any) -> None:
    used = await read(queries.ticket, ticket_id=T1)
    assert (used["used"], used["used_at"], used["code"]) == (True, moment(AT_US), "c" * 128)
    rows, total = await read(queries.tickets, page=1, size=2)
    assert (total, [row["id"] for row in rows]) == (29, [T2, T1])
    rows, total = await read(queries.tickets, page=2, size=1, user_id=ANNA)
    assert (total, [row["id"] for row in rows]) == (2, [T1])
    assert [row["id"] for row in await read(queries.tickets_of, user_id=ANNA)] == [T1, T2]
    assert len(await read(queries.tickets_by_code, code="c" * 128)) == 29
    assert [row["id"] for row in await read(queries.tickets_by_code, code=T2.upper())] == [T2]
    assert await read(queries.tickets_by_code, code="") == []
    asked = {"user_id": ANNA, "train_number": 1012, "start_date": moment(AT_US)}
    assert (await read(queries.used_ticket, **asked))["id"] == T1
    assert await read(queries.used_ticket, **asked | {"train_number": 1}) is None
    assert (await read(queries.latest_ticket, user_id=ANNA))["id"] == T2
    assert await read(queries.latest_ticket, user_id=BORIS) is None


async def test_places_are_listed_by_destination(read: Any) -> None:
    for kind in ("HOTEL", "ATTRACTION"):
        asked = {"kind": kind, "destination_id": PLACE["destination_id"], "page": 1, "size": 5}
        rows, total = await read(railway_places.places, **asked)
        assert (total, [row["name"] for row in rows]) == (1, [PLACE["name"]])
        assert await read(railway_places.places, **asked | {"destination_id": "x"}) == ([], 0)
        assert (await read(railway_places.place, kind=kind, place_id=PLACE["place_id"]))["name"] == PLACE["name"]


def test_no_batching_and_no_double_changes_a_checksum(there: Site) -> None:
    live = there.checksum(there.live(MODEL), MODEL)
    assert {name: one["rows"] for name, one in live.items()} == {
        "users": 27, "tickets": 29, "keycloak_users": 1, "passenger_pages": 2,
    }  # fmt: skip
    records = [record for record in there.records(f"{there.prefix}railway.events") if record.value]
    with Models(there.database_url) as models:
        starts = starts_of(there.models[MODEL], there.reader)
        for number in range(3):
            version = models.create(there.models[MODEL], starts, state="as_of", as_of=(f"n{number}", 0))
            write_again(there, version.schema, records, random.Random(number))
            assert there.checksum(version.schema, MODEL) == live


def write_again(made: Site, schema: str, records: list[Record], chance: random.Random) -> None:
    """Feed the projector itself, in batches of any size; the events before a batch come again with it."""
    events = [Event(record, *serde.decode(record.value)) for record in records]
    projector, begin = RailwayPassengers(Target(schema, keyring=RING)), 0
    with closing(Store(made.database_url, schema)) as store:
        while begin < len(events):
            end = begin + chance.randint(1, 40)
            again = [one for one in events[max(0, begin - 3) : begin] if one.name in ("PassengerAdded", "TicketUsed")]
            with store.batch(store.checkpoints(), "as_of") as transaction:
                projector.write(transaction, projector.prepare(again + events[begin:end]))
            begin = end


def test_who_signs_in_to_the_sales_pages_makes_way_for_passengers(there: Site) -> None:
    """Before the third migration they were in `users`; a home of that time comes along with its views."""
    assert migrations.down(there.database_url) == "0003_sales_users"
    assert there.one("SELECT to_regclass('users_v1.users') IS NOT NULL")
    assert migrations.up(there.database_url) == ["0003_sales_users"]
    assert there.one("SELECT to_regclass('users_v1.sales_users') IS NOT NULL")
    there.sql("ALTER VIEW public.users RENAME TO passengers")
    migrations.down(there.database_url)
    assert there.one("SELECT to_regclass('public.users') = 'public.users'::regclass")
    migrations.up(there.database_url)
    assert there.sql("SELECT * FROM sales_users") == []
    there.sql("ALTER VIEW public.passengers RENAME TO users")
    assert there.one("SELECT count(*) FROM users") == 27
