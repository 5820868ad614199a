"""Deciders under test: given events, when a command, then events or a refusal; and a site of deciders on a real log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from confluent_kafka.admin import AdminClient, NewTopic

from ops import topics
from producers.publisher import Message, Publisher
from schemas import cloudevents, serde
from schemas.catalogue import latest
from schemas.envelope import KeyRing, seal
from schemas.errors import TransientFailure
from schemas.record import Record
from schemas.topics import TOPICS
from streams.deciders_table import deciders
from streams.deciding import worker
from streams.deciding.commands import Membership
from streams.decisions import Accepted, Command, Decider, Fact, Refused
from streams.log_reader import LogReader, TopicPartition
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
RING = KeyRing({"k1": bytes(range(32))}, "k1")
DECIDERS = {one.name: one for one in deciders(RING)}
AT_US = 1_767_258_000_000_000


@dataclass
class Case:
    """What has happened; `when` says what happens next, `then` and `refused` look at it."""

    decider: Decider[Any]
    state: Any
    verdict: Accepted | Refused | None = None

    def when(self, name: str, record: Mapping[str, Any]) -> Case:
        self.verdict = self.decider.decide(self.state, Command(name, record, AT_US, "c"))
        return self

    def then(self, *events: tuple[str, Mapping[str, Any]], result: Mapping[str, Any] | None = None) -> None:
        assert isinstance(self.verdict, Accepted), self.verdict
        assert [(one.name, dict(one.record)) for one in self.verdict.events] == [(n, dict(r)) for n, r in events]
        for one in self.verdict.events:  # what is decided can be written and taken in
            serde.encode(one.name, one.record)
            self.state = self.decider.evolve(self.state, one.name, one.record)
        if result is not None:
            assert self.verdict.result == result

    def refused(self, code: str, detail: str) -> None:
        assert self.verdict == Refused(code, detail)


def given(decider: str, *events: tuple[str, Mapping[str, Any]]) -> Case:
    """A decider that has seen these events."""
    one = DECIDERS[decider]
    state = one.state.empty()
    for name, record in events:
        state = one.evolve(state, name, record)
    return Case(one, state)


def details(user_id: str, **told: str | None) -> dict[str, Any]:
    """Sealed details of a user."""
    record = {"username": None, "full_name": None, "password_hash": None} | told
    return seal(RING, f"user/{user_id}", "UserDetails", record)


def device(device_id: str | None = None, token: str | None = None, **changed: Any) -> dict[str, Any]:
    """A RegisterDevice record."""
    device_id = device_id or str(uuid.uuid4())
    record = {
        "device_id": device_id,
        "point_id": str(uuid.uuid4()),
        "register_id": str(uuid.uuid4()),
        "token_sha256": token or uuid.uuid4().hex * 2,
        "is_enabled": True,
        "by": None,
    }
    return record | changed


class DecidingSite:
    """Topics of deciders under a random prefix, on a shared broker."""

    def __init__(self, bootstrap: str, *more_topics: str, partitions: int = 1) -> None:
        self.bootstrap = bootstrap
        self.prefix = f"d{uuid.uuid4().hex[:8]}."
        topics.ensure(bootstrap, TOPICS)
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        names = ("devices.commands", "devices.events", "devices.tokens", "users.commands", "users.events", *more_topics)
        # Where passengers or faces are decided, it is also said whom nobody has to watch for any more.
        self.topics = {name: self.prefix + name for name in (*names, "security.commands")}
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "1048576"}
        wanted = [NewTopic(name, partitions, 1, config=config) for name in self.topics.values()]
        for future in admin.create_topics(wanted).values():
            future.result()
        self.reader = LogReader(bootstrap, "site")
        self.publisher = Publisher(bootstrap, client_id="site", linger_ms=0)
        for name in self.topics.values():
            eventually(lambda name=name: self._answers(name, partitions))

    def _answers(self, topic: str, partitions: int) -> bool:
        try:
            return len(self.reader.end_offsets(topic)) == partitions
        except TransientFailure:
            return False

    def topic_of(self, event: str) -> str:
        """Where an event goes at this site."""
        topic = latest(event).topic
        return self.topics.get(topic, topic)

    def deciders(self, *names: str, **changed: Any) -> list[Decider[Any]]:
        """The table's deciders on this site's topics; all that it has topics for, unless some are named."""
        wanted = names or [name for name, one in DECIDERS.items() if {one.commands, one.events} <= self.topics.keys()]
        return [at_site(DECIDERS[name], self.prefix, **changed) for name in wanted]

    @contextmanager
    def deciding(self, *names: str, **changed: Any) -> Generator[None]:
        """Deciders at work in threads of this process."""
        stop, ready, code = threading.Event(), threading.Event(), list[int]()
        wanted = self.deciders(*names, **changed)

        def run() -> None:
            settings = worker.WorkerSettings(Membership(f"{self.prefix}thread", 6.0))
            code.append(worker.work(self.bootstrap, wanted, stop, settings=settings, on_ready=ready.set))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(30), "the deciders did not get ready"
            yield
        finally:
            stop.set()
            thread.join(30)
        assert code == [0]

    def process(
        self,
        *names: str,
        faults: Path | None = None,
        instance: str = "a",
        output: IO[bytes] | None = None,
        **changed: Any,
    ) -> subprocess.Popen[bytes]:
        """Deciders at work in a process of their own that may be killed; `changed` fields of theirs are JSON."""
        plan = {"bootstrap": self.bootstrap, "prefix": self.prefix, "names": names, "instance": instance}
        plan["changed"] = changed
        path = [str(ROOT), *([str(ROOT / "tests/drivers/faults")] if faults else [])]
        more = {"PYTHONPATH": os.pathsep.join(path), "SENSORIUM_FAULTS": str(faults or "/nonexistent")}
        command = [sys.executable, str(ROOT / "tests/drivers/decider_main.py"), json.dumps(plan), "serve", "deciders"]
        return subprocess.Popen(command, env=os.environ | more, stdout=output, stderr=output)

    def send(self, command: str, key: str, record: Mapping[str, Any], command_id: str = "", **headers: bytes) -> str:
        """Append a command; its id."""
        command_id = command_id or str(uuid.uuid4())
        self.send_raw(self.topic_of(command), key, serde.encode(command, record), command_id, command, **headers)
        return command_id

    def send_raw(
        self, topic: str, key: str, value: bytes, command_id: str, command: str = "RegisterDevice", **headers: bytes
    ) -> None:
        every = cloudevents.headers(command, id=command_id, source="/tests")
        every += [(name.replace("_", "-"), one) for name, one in headers.items()]
        self.publisher.publish_all([Message(topic, key.encode(), value, every)], 20)

    def records(self, topic: str) -> list[Record]:
        """Everything committed on a topic (its name without prefix)."""
        name = self.topics.get(topic, topic)
        ends = {TopicPartition(name, p): o for p, o in self.reader.end_offsets(name).items()}
        self.reader.assign({TopicPartition(name, p): o for p, o in self.reader.beginning_offsets(name).items()})
        found: list[Record] = []
        while not self.reader.at_end(ends):
            found += self.reader.poll_batch(timeout_s=0.5)
        self.reader.assign({})
        return found

    def events(self, topic: str) -> list[tuple[str, dict[str, Any]]]:
        """The same, decoded."""
        return [serde.decode(record.value) for record in self.records(topic)]

    def settled(self, topic: str = "devices.events") -> dict[str, list[dict[str, Any]]]:
        """What settles commands, by their ids."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name, body in self.events(topic):
            if name == "CommandSettled":
                found.setdefault(body["command_id"], []).append(body)
        return found

    def wait_settled(self, *command_ids: str, topic: str = "devices.events", timeout: float = 30) -> None:
        """Until these are settled; a broker that is away has not settled them yet."""

        def are() -> bool:
            try:
                return set(command_ids) <= self.settled(topic).keys()
            except TransientFailure:
                return False

        eventually(are, timeout, 0.1)

    def close(self) -> None:
        self.publisher.close()
        self.reader.close()


def at_site(decider: Decider[Any], prefix: str, **changed: Any) -> Decider[Any]:
    """A decider of the table on a site's topics."""

    def here(facts: Sequence[Fact]) -> list[Fact]:
        return [replace(fact, topic=prefix + fact.topic) if fact.topic else fact for fact in facts]

    def decide(state: Any, command: Command) -> Accepted | Refused:
        verdict = decider.decide(state, command)
        return replace(verdict, events=here(verdict.events)) if isinstance(verdict, Accepted) else verdict

    def announce(state: Any, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
        return here(decider.announce(state, name, record))

    moved = {"name": prefix + decider.name, "commands": prefix + decider.commands, "events": prefix + decider.events}
    return replace(decider, **({"decide": decide, "announce": announce} | moved | changed))
