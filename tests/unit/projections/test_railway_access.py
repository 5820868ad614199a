"""Projector of access to the railway: what events become before the database, and that nothing readable is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest

from projections.projectors import railway_access
from projections.projectors.railway_access import READ_MODEL, RailwayAccess, Statement
from projections.read_model import Event, Target
from schemas import examples
from schemas.envelope import KeyRing, seal
from schemas.errors import InvalidEvent
from schemas.record import Record
from streams.deciders import access
from tests.drivers.deciding import RING

ID = "0f9d3c1e-0000-4000-8000-000000000002"
DETAILS = seal(RING, f"engineer/{ID}", "EngineerDetails", {"login": "eva", "password_hash": "$argon2id$"})
KNOWN = Target("s", keyring=RING)
CREATING = (
    "EngineerCreated",
    "AuthCardSet",
    "RobotRegistered",
    "TerminalRegistered",
    "ChallengeIssued",
    "SessionOpened",
)


def event(name: str, at: int = 0, /, **changed: Any) -> Event:
    body = examples.load(name) | changed
    return Event(Record("railway.events", 0, at, 0, None, None), name, body)


def statements(*events: Event, target: Target = KNOWN) -> list[Statement]:
    return RailwayAccess(target).prepare(events).statements


def test_every_event_of_the_decider_is_written_and_others_are_passed_over():
    for name in access.EVENTS:
        changed: dict[str, Any] = {"details": DETAILS, "engineer_id": ID} if name == "EngineerCreated" else {}
        assert statements(event(name, **changed)), name
    prepared = RailwayAccess(KNOWN).prepare([event("StoreCreated"), event("TicketUsed"), event("CommandSettled", 7)])
    assert (prepared.statements, prepared.rows) == ([], 0)
    assert [record.offset for record in prepared.settled] == [7]


def test_parameters_fit_the_placeholders():
    for name in access.EVENTS:
        changed: dict[str, Any] = {"details": DETAILS, "engineer_id": ID} if name == "EngineerCreated" else {}
        for statement, parameters in statements(event(name, **changed)):
            assert statement.count("%s") == len(parameters), statement


def test_inserted_values_are_as_many_as_the_tables_columns():
    ddl = railway_access.tables("s")
    for name in (
        "EngineerCreated",
        "AuthCardSet",
        "RobotRegistered",
        "TerminalRegistered",
        "ChallengeIssued",
        "SessionOpened",
    ):
        changed: dict[str, Any] = {"details": DETAILS, "engineer_id": ID} if name == "EngineerCreated" else {}
        (inserted,) = [one for one, _ in statements(event(name, **changed)) if one.startswith("INSERT")]
        table = inserted.split()[2]
        columns = READ_MODEL.views[table]
        assert inserted.count(",") + 1 == len(columns)
        for column in columns:
            assert re.search(rf"{table} \(.*?\b{column}\b", ddl, re.DOTALL)


def test_a_login_is_opened_and_one_whose_key_is_gone_has_no_row():
    created = event("EngineerCreated", engineer_id=ID, details=DETAILS)
    (_, (_, parameters)) = statements(created)
    assert parameters[1:3] == ("eva", "$argon2id$")
    assert statements(created, target=Target("s", keyring=KeyRing({"k9": bytes(32)}, "k9"))) == []
    with pytest.raises(ValueError, match="key ring"):
        statements(created, target=Target("s"))


def test_an_engineer_without_a_password_has_one_that_nobody_knows():
    sealed = seal(RING, f"engineer/{ID}", "EngineerDetails", {"login": "eva", "password_hash": None})
    (_, (_, parameters)) = statements(event("EngineerCreated", engineer_id=ID, details=sealed))
    assert parameters[2] == railway_access.LOCKED


def test_a_card_that_is_taken_leaves_no_row():
    assert [one.split()[0] for one, _ in statements(event("AuthCardSet", card_mark=None))] == ["DELETE"]
    assert [one.split()[0] for one, _ in statements(event("AuthCardSet"))] == ["DELETE", "INSERT"]


def test_ids_that_are_none_are_bad_data():
    for name in access.EVENTS - {"EngineerCreated"}:
        ids: list[str] = [key for key in examples.load(name) if key.endswith("_id") and key != "robot_model_id"]
        with pytest.raises(InvalidEvent, match="not a UUID"):
            statements(event(name, 0, **dict.fromkeys(ids, "x")))
