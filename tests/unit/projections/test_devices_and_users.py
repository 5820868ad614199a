"""Projectors of devices and users: what a batch becomes before the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from projections.projectors import devices, users
from projections.read_model import Event, Target
from schemas import examples
from schemas.envelope import KeyRing
from schemas.errors import FORGOTTEN, InvalidEvent
from schemas.record import Record
from tests.drivers.deciding import RING, details

DEVICE = examples.load("DeviceSeen")["device_id"]


def event(name: str, offset: int = 0, **changed: Any) -> Event:
    return Event(Record("t", 0, offset, 0, None, None), name, examples.load(name) | changed)


def test_a_device_was_last_seen_at_the_latest_however_its_events_are_ordered():
    same = {"device_id": DEVICE}
    batch = [
        event("AudioChunkUploaded", received_us=5, **same),
        event("DeviceSeen", seen_us=9, **same),
        event("SilenceReported", received_us=7, **same),
        event("RecordingsDropped", received_us=1, **same),
    ]
    for order in (batch, batch[::-1]):
        prepared = devices.sort(order)
        assert prepared.seen_us == {UUID(DEVICE): 9}
        assert [one.name for one in prepared.dropped] == ["RecordingsDropped"]


def test_who_waits_for_a_command_is_told_of_what_settled_it():
    prepared = devices.sort([event("DeviceRegistered", 3), event("CommandSettled", 4)])
    assert [one.offset for one in prepared.settled] == [4]
    assert [one.name for one in prepared.decided] == ["DeviceRegistered"]


def test_an_id_that_is_none_is_bad_data():
    with pytest.raises(InvalidEvent, match="not a UUID"):
        devices.sort([event("DeviceSeen", device_id="x")])
    with pytest.raises(InvalidEvent, match="not a UUID"):
        users.Users(Target("s", keyring=RING)).prepare([event("UserSignedIn", user_id="x")])


def test_envelopes_are_opened_or_forgotten():
    user_id = examples.load("UserCreated")["user_id"]
    created = event("UserCreated", details=details(user_id, username="anna"))
    (known,) = users.Users(Target("s", keyring=RING)).prepare([created]).changes
    assert known[2] == {"username": "anna", "full_name": None, "password_hash": None}
    (gone,) = users.Users(Target("s", keyring=KeyRing({"k9": bytes(32)}, "k9"))).prepare([created]).changes
    assert gone[2] is FORGOTTEN


class Spy:
    """A transaction that keeps what it is asked."""

    def __init__(self) -> None:
        self.run_: list[tuple[str, tuple[Any, ...]]] = []

    def run(self, statement: str, *parameters: Any) -> int:
        self.run_.append((statement.split(maxsplit=1)[0], parameters))
        return 1


def test_a_password_changed_with_a_key_that_is_gone_locks_the_user():
    spy = Spy()
    projector = users.Users(Target("s", keyring=KeyRing({"k9": bytes(32)}, "k9")))
    user_id = examples.load("UserChanged")["user_id"]
    projector.write(spy, projector.prepare([event("UserChanged", details=details(user_id, password_hash="x"))]))  # pyright: ignore
    ((verb, parameters),) = spy.run_
    assert verb == "UPDATE"
    assert parameters[3] == users.LOCKED
