"""The deciders' runtime on a real log: exactly once whatever dies, one decision a command, one writer a partition."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from immutables import Map

from schemas import serde
from streams.deciders import devices
from streams.deciding.history import History
from streams.deciding.snapshots import Shelf
from streams.deciding.transactions import Fenced, Transactions
from streams.decisions import nothing_more
from streams.topology import StateCodec
from tests.drivers.deciding import DecidingSite, device
from tests.drivers.waiting import eventually

POINTS = (
    "deciders.undecided", "deciders.decided", "deciders.unsent", "deciders.sent", "deciders.uncommitted",
    "deciders.committed", "deciders.unanswered", "deciders.answered",
)  # fmt: skip


@pytest.fixture
def site(kafka_bootstrap: str) -> Iterator[DecidingSite]:
    with contextlib.closing(DecidingSite(kafka_bootstrap)) as made:
        yield made


@contextlib.contextmanager
def killing(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def names(site: DecidingSite, topic: str = "devices.events") -> list[str]:
    return [name for name, _ in site.events(topic)]


def answers(site: DecidingSite, reply_to: bytes) -> dict[str, dict]:
    mine = [record for record in site.records("replies") if record.key == reply_to]
    return {body["command_id"]: body for _, body in (serde.decode(record.value) for record in mine)}


def test_commands_become_events_tokens_and_answers(site: DecidingSite) -> None:
    me = uuid.uuid4().hex.encode()
    asked = device()
    with site.deciding("devices"):
        first = site.send("RegisterDevice", "k", asked, reply_to=me, correlation_id=b"1")
        second = site.send("RegisterDevice", "k", device(asked["device_id"]), reply_to=me, correlation_id=b"2")
        eventually(lambda: answers(site, me).keys() >= {first, second}, 20, 0.1)
    told = answers(site, me)
    assert (told[first]["accepted"], told[second]["refusal"]) == (True, "device_exists")
    (_, token) = site.events("devices.tokens")[0]
    assert token["token_sha256"] == asked["token_sha256"]
    last = site.records("devices.events")[-1]
    position = told[second]["positions"][0]
    assert (position["topic"], position["offset"]) == (last.topic, last.offset)


def test_a_repeat_after_a_restart_gets_the_first_answer(site: DecidingSite) -> None:
    me = uuid.uuid4().hex.encode()
    asked = device()
    with site.deciding("devices"):
        command_id = site.send("RegisterDevice", "k", asked)
        site.wait_settled(command_id)
    with site.deciding("devices"):
        site.send("RegisterDevice", "k", asked, command_id, reply_to=me, correlation_id=b"1")
        eventually(lambda: command_id in answers(site, me), 20, 0.1)
    assert answers(site, me)[command_id]["accepted"]
    assert names(site).count("DeviceRegistered") == 1


def test_poison_becomes_a_dead_letter_and_the_next_command_is_decided(site: DecidingSite) -> None:
    with site.deciding("devices"):
        site.send_raw(site.topic_of("RegisterDevice"), "k", b"garbage", "poison")
        good = site.send("RegisterDevice", "k", device())
        site.wait_settled("poison", good)
    letters = [serde.decode(record.value)[1] for record in site.records("dead.letters")]
    mine = [letter for letter in letters if letter["consumer"] == f"deciders.{site.prefix}devices"]
    assert [letter["value"] for letter in mine] == [b"garbage"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_every_command_takes_effect_once(site: DecidingSite, tmp_path: Path, point: str) -> None:
    me = uuid.uuid4().hex.encode()
    asked = device()
    dying = site.process("devices", faults=tmp_path)
    with killing(dying):
        site.wait_settled(site.send("RegisterDevice", "k", device()))
        (tmp_path / point).write_text("")
        sent = [
            site.send("RegisterDevice", "k", asked, reply_to=me, correlation_id=b"1"),
            site.send("RegisterDevice", "k", device(asked["device_id"]), reply_to=me, correlation_id=b"2"),
            site.send(
                "SetDeviceEnabled", "k", {"device_id": asked["device_id"], "is_enabled": False, "by": None},
                reply_to=me, correlation_id=b"3",
            ),
        ]  # fmt: skip
        assert dying.wait(30) == -signal.SIGKILL
    again = site.process("devices")
    with killing(again):
        site.wait_settled(*sent)
        eventually(lambda: answers(site, me).keys() >= set(sent), 20, 0.1)
    settled = site.settled()
    assert [len(settled[one]) for one in sent] == [1, 1, 1]
    assert [settled[one][0]["refusal"] for one in sent] == [None, "device_exists", None]
    mine = [name for name, body in site.events("devices.events") if body.get("device_id") == asked["device_id"]]
    assert mine == ["DeviceRegistered", "DeviceDisabled"]
    tokens = [body["enabled"] for _, body in site.events("devices.tokens") if body["device_id"] == asked["device_id"]]
    assert tokens == [True, False]


@pytest.mark.parametrize("point", ["deciders.undecided", "deciders.uncommitted"])
def test_a_zombie_writes_nothing(site: DecidingSite, tmp_path: Path, point: str) -> None:
    zombie = site.process("devices", faults=tmp_path, instance="zombie")
    with killing(zombie):
        site.wait_settled(site.send("RegisterDevice", "k", device()))
        (tmp_path / point).write_text("stop")
        asked = device()
        sent = site.send("RegisterDevice", "k", asked)
        eventually((tmp_path / f"{point}.done").exists, 20)
        heir = site.process("devices", instance="heir")
        with killing(heir):
            site.wait_settled(sent, timeout=40)
            zombie.send_signal(signal.SIGCONT)
            assert zombie.wait(90) == 1  # it insists for a minute where Kafka does not say that it is fenced
            last = site.send("RegisterDevice", "k", asked)
            site.wait_settled(last)
    settled = site.settled()
    assert len(settled[sent]) == 1
    assert settled[last][0]["refusal"] == "device_exists"


def test_partitions_move_between_processes_and_every_command_takes_effect_once(kafka_bootstrap: str) -> None:
    with contextlib.closing(DecidingSite(kafka_bootstrap, partitions=4)) as site:
        sent = [site.send("RegisterDevice", uuid.uuid4().hex, device()) for _ in range(20)]
        first = site.process("devices", instance="first")
        with killing(first):
            site.wait_settled(*sent)
            second = site.process("devices", instance="second")
            with killing(second):
                sent += [site.send("RegisterDevice", uuid.uuid4().hex, device()) for _ in range(200)]
                first.kill()
                sent += [site.send("RegisterDevice", uuid.uuid4().hex, device()) for _ in range(20)]
                site.wait_settled(*sent, timeout=60)
        settled = site.settled()
        assert {len(settled[one]) for one in sent} == {1}
        assert names(site).count("DeviceRegistered") == len(sent)
        events = {record.partition for record in site.records("devices.events")}
        assert events == {record.partition for record in site.records("devices.commands")} == {0, 1, 2, 3}


def test_who_takes_the_id_fences_the_one_before(kafka_bootstrap: str, site: DecidingSite) -> None:
    first, second = (Transactions(kafka_bootstrap, f"{site.prefix}x") for _ in range(2))
    first.open()
    second.open()
    with pytest.raises(Fenced):
        first.commit([_message(site)])
    assert second.commit([_message(site)]) != [-1]
    eventually(lambda: len(site.records("devices.events")) == 1, 20)  # committed, and readers see it a moment later
    first.close()
    second.close()


def _message(site: DecidingSite):
    from producers.publisher import Message

    body = {"point_id": "p", "name": "n", "at_us": 1, "by": None}
    return Message(site.topics["devices.events"], b"k", serde.encode("PointNamed", body), [])


def test_a_start_reads_the_snapshot_and_only_what_came_after(site: DecidingSite) -> None:
    with site.deciding("devices", snapshot_events=10):
        sent = [site.send("RegisterDevice", "k", device()) for _ in range(12)]
        site.wait_settled(*sent)
        key = f"deciders.{site.prefix}devices/0/a/0".encode()
        eventually(lambda: [one for one in site.records("streams.snapshots") if one.key == key], 20, 0.1)
    (decider,) = site.deciders("devices")
    with contextlib.closing(History(site.bootstrap, decider, [0])) as history:
        ledger = history.read(0).ledger
    assert len(ledger.state.devices) == 12
    seen: list[str] = []
    spying = replace(decider, evolve=lambda state, name, body: seen.append(name) or decider.evolve(state, name, body))
    with contextlib.closing(History(site.bootstrap, spying, [0])) as history:
        again = history.read(0).ledger
    assert again == ledger
    assert len(seen) < 12


class Heavy(msgspec.Struct, frozen=True):
    """Devices with a megabyte each that does not compress."""

    inner: devices.State = devices.State()
    ballast: Map[str, bytes] = Map()


def heavier(state: Heavy, name: str, record: Mapping[str, Any]) -> Heavy:
    ballast = random.Random(record["device_id"]).randbytes(1 << 20)
    return Heavy(devices.evolve(state.inner, name, record), state.ballast.set(record["device_id"], ballast))


def test_a_state_larger_than_any_message_is_laid_down_in_parts_and_read_back(site: DecidingSite) -> None:
    heavy: dict[str, Any] = {
        "evolve": heavier,
        "decide": lambda state, command: devices.decide(state.inner, command),
        "announce": nothing_more,
        "state": StateCodec(Heavy, version=1),
        "snapshot_events": 20,
    }
    (decider,) = site.deciders("devices", **heavy)

    def laid() -> list[int]:
        shelf = Shelf(decider.consumer, decider.events, 0)
        for record in site.records("streams.snapshots"):
            shelf.take(record)
        return [at for at, _ in shelf.whole(1 << 40)]

    with site.deciding("devices", **heavy):
        site.wait_settled(*[site.send("RegisterDevice", "k", device()) for _ in range(10)])
        eventually(laid, 30, 0.2)
    seen: list[str] = []
    spying = replace(decider, evolve=lambda state, name, body: seen.append(name) or decider.evolve(state, name, body))
    with contextlib.closing(History(site.bootstrap, spying, [0])) as history:
        ledger = history.read(0).ledger
    assert sum(map(len, ledger.state.ballast.values())) == 10 << 20
    assert len(ledger.answers) == 10
    assert len(seen) < 5, "folded is only what came after the snapshot"
