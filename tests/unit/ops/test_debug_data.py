"""The demo railway: the same for the same seed, loaded as often as one likes, over servers that fail in between."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ops import debug_data, debug_plan, logos, settings
from ops.debug_client import Railway
from ops.debug_data import address, load, things
from ops.debug_plan import Size
from ops.debug_texts import ATTRACTIONS, HOTELS, ITEMS
from ops.errors import OperatorError
from tests.drivers.debug_server import ADMIN, DebugServer, refused

DAY = date(2026, 1, 5)
SMALL = Size(seed=3, users=7, trains=3, stores=2, engineers=2, day=DAY)
PASSWORD = "secret"


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> DebugServer:
    """Every terminal has the same key here, for making one takes a while."""
    monkeypatch.setattr("ops.debug_client.rsa.generate_private_key", lambda **_: KEY)
    return DebugServer()


@pytest.fixture
def railway(server: DebugServer) -> Iterator[Railway]:
    with server.client() as client:
        yield Railway(client, ADMIN, SMALL.seed, pause=lambda _: None)


def shape(server: DebugServer) -> dict[str, int]:
    """How much there is of everything."""
    counts = {what: len(there) for what, there in server.made.items()}
    return counts | {"items": sum(map(len, server.items.values())), "bound": len(server.bound)}


def test_everything_is_made(server: DebugServer, railway: Railway):
    made = load(railway, SMALL, PASSWORD)
    tickets = len(list(debug_plan.tickets(SMALL, debug_plan.trains(SMALL, DAY))))
    assert made.counts == {
        "Engineers": 2, "Places": 16, "Passengers": 7, "Tickets": tickets, "Stores": 2, "Items": 44,
    }  # fmt: skip
    assert (server.count("/admin/user"), server.count("/admin/ticket")) == (7, tickets)
    assert [len(items) for items in server.items.values()] == [22, 22]
    assert len(server.bound) == 2 * 3
    assert set(made.stores.values()) == set(server.made["/admin/store"])
    engineers = {one["login"]: one["id"] for one in server.made["/admin/engineer"].values()}
    assert server.privileges[engineers["demo-engineer-3-1"]] == ["ROBOT_LOGIN", "STORE_LOGIN", "ROBOT_ADMIN"]
    assert server.privileges[engineers["demo-engineer-3-2"]] == ["STORE_LOGIN"]
    assert server.cards == {engineers["demo-engineer-3-1"]: debug_plan.card_of("demo-engineer-3-1", PASSWORD)}
    assert {ticket["user_id"] for ticket in server.made["/admin/ticket"].values()} == set(server.made["/admin/user"])


def test_loading_twice_doubles_nothing_and_leaves_terminals_alone(server: DebugServer, railway: Railway):
    first, before = load(railway, SMALL, PASSWORD), shape(server)
    again = load(railway, SMALL, PASSWORD)
    assert (shape(server), again.stores, server.sign_ins) == (before, first.stores, 2)


def test_who_is_there_already_is_found_by_name(server: DebugServer, railway: Railway):
    """Names and stores that another seed has made, or that the server has forgotten making under this key."""
    load(railway, SMALL, PASSWORD)
    tickets = server.made.pop("/admin/ticket")
    before = shape(server)
    server.forget()
    load(railway, SMALL, PASSWORD)
    again = server.made.pop("/admin/ticket")
    assert shape(server) == before
    assert Counter(one["user_id"] for one in again.values()) == Counter(one["user_id"] for one in tickets.values())


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), 503, 429])
def test_what_fails_for_a_while_is_asked_again(server: DebugServer, railway: Railway, fault: Exception | int):
    turn = itertools.count()

    def sometimes(request: httpx.Request) -> httpx.Response | None:
        if next(turn) % 3:
            return None
        if isinstance(fault, Exception):
            raise fault
        return refused(fault, "not now", **{"Retry-After": "1"})

    server.before = sometimes
    load(railway, SMALL, PASSWORD)
    server.before = lambda request: None
    before = shape(server)
    load(railway, SMALL, PASSWORD)
    assert shape(server) == before
    assert (server.count("/admin/user"), before["items"]) == (7, 44)


def test_a_run_that_broke_off_is_finished_by_the_next(server: DebugServer, railway: Railway):
    turn = itertools.count()
    server.before = lambda request: refused(500, "broken") if next(turn) == 70 else None
    with pytest.raises(OperatorError, match="answered 500: broken"):
        load(railway, SMALL, PASSWORD)
    load(railway, SMALL, PASSWORD)
    whole = DebugServer()
    with whole.client() as client:
        load(Railway(client, ADMIN, SMALL.seed), SMALL, PASSWORD)
    assert shape(server) == shape(whole)


def test_progress_ends_where_it_was_said_to_end(railway: Railway):
    steps: list[None] = []
    load(railway, SMALL, PASSWORD, lambda: steps.append(None))
    assert len(steps) == things(SMALL)


def test_who_has_no_right_is_told_which_one_is_missing(server: DebugServer):
    with server.client() as client, pytest.raises(OperatorError, match="set ADMIN_TOKEN"):
        load(Railway(client, "", 1), SMALL, PASSWORD)


def test_another_password_is_said_to_be_another(server: DebugServer, railway: Railway):
    load(railway, SMALL, PASSWORD)
    cards, before = dict(server.cards), shape(server)
    with pytest.raises(OperatorError, match="demo-engineer-3-1 may not sign a store in"):
        load(railway, SMALL, "another")
    assert (server.cards, shape(server)) == (cards, before)


def test_where_nothing_answers_is_said(server: DebugServer, railway: Railway):
    def away(request: httpx.Request) -> httpx.Response | None:
        raise httpx.ConnectError("refused")

    server.before = away
    with pytest.raises(OperatorError, match="Nothing answers at http://railway"):
        load(railway, SMALL, PASSWORD)


def test_something_else_that_answers_is_no_railway(server: DebugServer, railway: Railway):
    server.before = lambda request: httpx.Response(200, text="<html>")
    with pytest.raises(OperatorError, match="no railway"):
        load(railway, SMALL, PASSWORD)


def test_patience_ends(server: DebugServer, railway: Railway):
    railway.patience_s = -1
    server.before = lambda request: refused(503, "Kafka is away")
    with pytest.raises(OperatorError, match="503: Kafka is away"):
        load(railway, SMALL, PASSWORD)


def test_the_same_seed_makes_the_same_railway_and_another_another():
    day = debug_plan.trains(SMALL, DAY)
    assert debug_plan.names(SMALL) == debug_plan.names(Size(seed=3, users=7))
    assert list(debug_plan.tickets(SMALL, day)) == list(debug_plan.tickets(SMALL, day))
    other = Size(seed=4, users=7, trains=3)
    assert debug_plan.names(other) != debug_plan.names(SMALL)
    assert list(debug_plan.tickets(other, day)) != list(debug_plan.tickets(SMALL, day))


def test_names_are_of_both_languages_and_each_once():
    names = debug_plan.names(Size(users=500))
    assert len(set(names)) == 500
    assert {name.isascii() for name in names[:40]} == {True, False}


@pytest.mark.parametrize("size", [Size(users=700, trains=1), Size(users=300, trains=7), Size(users=5, trains=0)])
def test_nobody_shares_a_place(size: Size):
    there = [ticket for _, ticket in debug_plan.tickets(size, debug_plan.trains(size, DAY))]
    seats = {(one["train_number"], one["date"], one["wagon_number"], one["place_number"]) for one in there}
    assert len(seats) == len(there) >= (size.users if size.trains else 0)


def test_trains_run_both_ways_and_each_once():
    trains = debug_plan.trains(Size(trains=100), DAY)
    assert len({train.number for train in trains}) == 100
    assert {(train.station, train.destination) for train in trains} == {("MOSCOW", "SPB"), ("SPB", "MOSCOW")}
    first = debug_plan.trains(Size(trains=2), DAY)
    assert [(train.number, train.start.isoformat()) for train in first] == [
        (1012, "2026-01-05T05:00:00+03:00"), (2012, "2026-01-05T05:00:00+03:00"),
    ]  # fmt: skip


def test_texts_fit_their_fields_and_have_their_drawings():
    assert {category: len(items) for category, items in ITEMS.items()} == {
        "food": 10, "city_souvenirs": 5, "train_souvenirs": 7,
    }  # fmt: skip
    for item in debug_plan.items():
        assert len(item["name"]) <= 50, item
        assert len(item["description"]) <= 255, item
        assert item["logo_url"] in logos.ITEMS
    for path, place in debug_plan.places():
        assert len(place["name"]) <= 256, path
        assert 100 <= len(place["description"]) <= 1024, place["name"]
        assert place["logo_url"].rsplit("/", 1)[1] in logos.PLACES
    for there in (HOTELS, ATTRACTIONS):
        assert sorted(place.drawing for places in there.values() for place in places) == list(range(1, 9))
    for store in debug_plan.stores(Size(stores=9)):
        assert len(store["name"]) <= 50
    assert len({store["name"] for store in debug_plan.stores(Size(stores=9))}) == 9


def test_a_password_is_made_once_and_kept_for_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ours = settings.load({"SENSORIUM_HOME": str(tmp_path)}, None)
    password, path = debug_data.password_of(ours, None)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert password in capsys.readouterr().out
    assert debug_data.password_of(ours, None) == (password, path)
    assert capsys.readouterr().out == ""
    assert debug_data.password_of(ours, "given") == ("given", None)


def test_a_token_is_shown_only_to_the_server_it_belongs_to(tmp_path: Path):
    home = {"SENSORIUM_HOME": str(tmp_path), "SENSORIUM_PORT": "8123"}
    assert address(settings.load(home, None), None) == ("http://127.0.0.1:8123", "")
    assert address(settings.load(home, None), "https://x/") == ("https://x", "")
    given = settings.load(home | {"ADMIN_TOKEN": "t" * 32}, None)
    assert address(given, "https://x") == ("https://x", "t" * 32)


def test_what_was_made_is_said(railway: Railway):
    lines = debug_data.told(load(railway, SMALL, PASSWORD), SMALL, "http://railway")
    assert "Passengers 7" in lines
    assert "Train      1012, MOSCOW to SPB, 2026-01-05 05:00+0300" in lines
    assert sum(line.startswith("Store ") for line in lines) == 2
