"""What a batch of commands becomes, without Kafka."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas import cloudevents, serde
from schemas.errors import TransientFailure
from schemas.record import Record
from streams.deciding import ledger as ledgers
from streams.deciding.answers import answered
from streams.deciding.ledger import Answer, Ledger
from streams.deciding.settling import settle
from streams.decisions import Accepted, Fact
from tests.drivers.deciding import AT_US, DECIDERS, device

DEVICES = DECIDERS["devices"]


def command(offset: int, record: dict, command_id: str = "c", name: str = "RegisterDevice", **headers: bytes) -> Record:
    every = cloudevents.headers(name, id=command_id, source="/tests")
    every += [(header.replace("_", "-"), value) for header, value in headers.items()]
    value = serde.encode(name, record)
    return Record("devices.commands", 0, offset, AT_US // 1000, b"k", value, tuple(every))


def empty() -> Ledger:
    return replace(ledgers.empty(DEVICES), next_command=0)


def settled(batch) -> list[dict]:
    return [serde.decode(batch.messages[one.message].value)[1] for one in batch.settled]


def after(ledger: Ledger, *records: Record) -> Ledger:
    batch = settle(DEVICES, ledger, records)
    return batch.committed(DEVICES, ledger, range(ledger.next_event, ledger.next_event + len(batch.messages)))


def names(batch) -> list[tuple[str, str]]:
    return [(one.topic, serde.decode(one.value)[0]) for one in batch.messages]


def test_a_command_becomes_its_events_what_follows_and_what_settles_it():
    batch = settle(DEVICES, empty(), [command(5, device())])
    assert names(batch) == [
        ("devices.events", "DeviceRegistered"),
        ("devices.tokens", "DeviceTokenSet"),
        ("devices.events", "CommandSettled"),
    ]
    (one,) = settled(batch)
    assert (one["accepted"], one["command_offset"], one["events"]) == (True, 5, 1)
    assert batch.next_command == 6
    ids = [dict(message.headers)["ce_id"] for message in batch.messages]
    assert len(set(ids)) == 3
    assert [
        dict(message.headers)["ce_id"] for message in settle(DEVICES, empty(), [command(5, device())]).messages
    ] == ids


def test_of_two_that_race_in_one_batch_the_first_wins():
    first, second = device(), device()
    second["device_id"] = first["device_id"]
    batch = settle(DEVICES, empty(), [command(0, first, "a"), command(1, second, "b")])
    assert [one["refusal"] for one in settled(batch)] == [None, "device_exists"]


def test_a_repeat_gets_the_first_answer_in_the_same_batch_and_later():
    asked = device()
    batch = settle(DEVICES, empty(), [command(0, asked), command(1, asked)])
    assert [one["accepted"] for one in settled(batch)] == [True, True]
    assert [name for _, name in names(batch)].count("DeviceRegistered") == 1
    known = after(empty(), command(0, asked))
    (again,) = settled(settle(DEVICES, known, [command(1, asked)]))
    assert (again["accepted"], again["result"], again["events"]) == (True, known.answers["c"].result, 0)


def test_a_refusal_is_remembered_too():
    asked = {"device_id": "d", "is_enabled": True, "by": None}
    refused = after(empty(), command(0, asked, name="SetDeviceEnabled"))
    registered = after(refused, command(1, device("d"), "other"))
    (again,) = settled(settle(DEVICES, registered, [command(2, asked, name="SetDeviceEnabled")]))
    assert again["refusal"] == "device_not_found"


def test_another_request_under_the_same_id_is_a_conflict_and_changes_nothing():
    asked = device()
    known = after(empty(), command(0, asked, fingerprint=b"one"))
    batch = settle(DEVICES, known, [command(1, device(), fingerprint=b"two")])
    assert settled(batch)[0]["refusal"] == "conflict"
    assert len(batch.messages) == 1
    other = {"point_id": "p", "name": "n", "by": None}
    assert settled(settle(DEVICES, known, [command(1, other, name="NamePoint")]))[0]["refusal"] == "conflict"
    later = after(known, command(1, device(), fingerprint=b"two"))
    assert later.answers["c"].accepted


def test_the_oldest_command_is_forgotten_when_too_many_came():
    small = replace(DEVICES, remembered=2)
    ledger = empty()
    for n in range(3):
        batch = settle(small, ledger, [command(n, device(), f"c{n}")])
        ledger = batch.committed(small, ledger, range(10))
    assert list(ledger.answers) == ["c1", "c2"]


@pytest.mark.parametrize("value", [b"garbage", None, serde.encode("UserSignedIn", {"user_id": "u", "at_us": 1})])
def test_what_cannot_be_decided_is_a_dead_letter_and_the_next_goes_on(value):
    poison = replace(command(0, device(), "poison"), value=value)
    batch = settle(DEVICES, empty(), [poison, command(1, device(), "good")])
    assert names(batch)[0] == ("dead.letters", "DeadLettered")
    assert [(one["refusal"], one["accepted"]) for one in settled(batch)] == [("undecidable", False), (None, True)]
    ledger = batch.committed(DEVICES, empty(), range(10))
    assert list(ledger.answers) == ["good"]  # a redriven command is decided anew


def test_a_bug_costs_its_command_only():
    def bug(state, one):
        if one.command_id == "bug":
            raise KeyError("a bug")
        return DEVICES.decide(state, one)

    broken = replace(DEVICES, decide=bug)
    batch = settle(broken, empty(), [command(0, device(), "bug"), command(1, device(), "good")])
    letter = serde.decode(batch.messages[0].value)[1]
    assert (letter["error"], letter["consumer"], letter["offset"]) == ("KeyError", "deciders.devices", 0)
    assert [one["accepted"] for one in settled(batch)] == [False, True]


def test_an_event_that_its_topic_does_not_take_is_a_dead_letter():
    huge = replace(DEVICES, decide=lambda _state, _command: Accepted((Fact("PointNamed", "p", too_large()),)))
    batch = settle(huge, empty(), [command(0, device())])
    assert names(batch)[0][1] == "DeadLettered"
    assert settled(batch)[0]["refusal"] == "undecidable"


def too_large() -> dict:
    return {"point_id": "p", "name": "x" * (1 << 20), "at_us": 1, "by": None}


def test_an_outage_is_nobodys_fault():
    def away(_state, _command):
        raise TransientFailure("away")

    with pytest.raises(TransientFailure):
        settle(replace(DEVICES, decide=away), empty(), [command(0, device())])


def test_what_was_settled_before_or_is_redriven_to_another_is_passed_over():
    ledger = replace(empty(), next_command=5)
    redriven = command(6, device(), redrive_to=b"somebody")
    batch = settle(DEVICES, ledger, [command(4, device()), redriven])
    assert (batch.messages, batch.next_command) == ([], 7)


def test_a_command_without_an_id_is_known_by_its_place():
    nameless = replace(command(0, device()), headers=())
    assert len(settled(settle(DEVICES, empty(), [nameless]))[0]["command_id"]) == 36


def test_events_fold_to_the_ledger_that_decided_them():
    asked = device()
    records = [command(0, asked, "a"), command(1, device(asked["device_id"]), "b"), command(2, device(), "c")]
    ledger = after(empty(), *records)
    batch = settle(DEVICES, empty(), records)
    folded = ledgers.empty(DEVICES)
    for offset, message in enumerate(batch.messages):
        if message.topic == "devices.events":
            record = Record(message.topic, 0, offset, 0, message.key, message.value, tuple(message.headers))
            folded = ledgers.fold(DEVICES, folded, *serde.decode(message.value), record)
    assert folded == ledger
    assert ledgers.load(DEVICES, ledger.next_event, ledgers.dump(DEVICES, ledger)) == ledger


def test_a_snapshot_of_another_version_is_none():
    data = ledgers.dump(DEVICES, empty())
    newer = replace(DEVICES, state=replace(DEVICES.state, version=99))
    assert ledgers.load(newer, 0, data) is None
    assert ledgers.load(DEVICES, 0, b"garbage") is None


def test_an_answer_goes_to_who_asked_for_it_with_the_place_to_wait_for():
    place = command(7, device(), reply_to=b"me", correlation_id=b"x")
    message = answered("c", Answer("RegisterDevice", "", True, result="{}"), place)
    body = serde.decode(message.value)[1]
    assert (message.topic, message.key, dict(message.headers)["correlation-id"]) == ("replies", b"me", b"x")
    assert body["positions"] == [{"topic": place.topic, "partition": 0, "offset": 7}]
    assert answered("c", Answer("", "", True), command(7, device())) is None
    assert answered("c", Answer("", "", True), command(7, device(), reply_to=b"m" * 300, correlation_id=b"x")) is None


def test_what_settles_a_command_says_who_waits_for_which_read_model() -> None:
    asked = command(7, device(), reply_to=b"me", correlation_id=b"x", await_model=b"devices")
    headers = dict(settle(DEVICES, empty(), [asked]).messages[-1].headers)
    assert (headers["reply-to"], headers["correlation-id"], headers["await-model"]) == (b"me", b"x", b"devices")
