"""The writer of commands and events, with a log and replies in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from producers.commands import CommandAnswer, Writer
from producers.publisher import Message
from schemas import examples, serde
from schemas.errors import Overloaded, TransientFailure

ASKED = examples.load("NamePoint")
SEEN = examples.load("Reply") | {"author": "devices"}
ANSWERED = examples.load("CommandAnswered")


class Line:
    """Publisher and replies at once: says `heard` to whoever published, in this order."""

    instance_id = "me"

    def __init__(
        self, *heard: tuple[str, dict[str, Any]], ready: bool = True, failure: Exception | None = None
    ) -> None:
        self.heard, self.ready, self.failure = heard, ready, failure
        self.listening: dict[str, Any] = {}
        self.sent: list[Message] = []

    def listen(self, correlation_id: str, hear: Any) -> bool:
        if self.ready:
            self.listening[correlation_id] = hear
        return self.ready

    def forget(self, correlation_id: str) -> None:
        self.listening.pop(correlation_id, None)

    async def send(self, message: Message) -> tuple[int, int]:
        if self.failure:
            raise self.failure
        self.sent.append(message)
        for hear in self.listening.values():
            for one in self.heard:
                hear(*one)
        return 0, 0


def writer(line: Line) -> Writer:
    return Writer(line, line, deadline_s=0.05, model_wait_s=0.05)  # pyright: ignore[reportArgumentType]


async def test_a_command_is_answered_and_then_seen() -> None:
    line = Line(("CommandAnswered", ANSWERED), ("Reply", SEEN | {"author": "another"}), ("Reply", SEEN))
    answer = await writer(line).command("NamePoint", "p", ASKED, command_id="c", fingerprint="f", await_model="devices")
    assert answer == CommandAnswer(True, None, None, {"created_us": 1767258000000000}, seen=True)
    headers = dict(line.sent[0].headers)
    assert (headers["ce_id"], headers["fingerprint"], headers["reply-to"]) == (b"c", b"f", b"me")
    assert headers["await-model"] == b"devices"
    assert (line.sent[0].topic, serde.decode(line.sent[0].value)) == ("devices.commands", ("NamePoint", ASKED))
    assert line.listening == {}


async def test_a_read_model_that_is_heard_before_the_answer_counts() -> None:
    line = Line(("Reply", SEEN), ("CommandAnswered", ANSWERED))
    assert (await writer(line).command("NamePoint", "p", ASKED, await_model="devices")).seen


async def test_an_answer_does_not_wait_for_a_read_model_that_is_late() -> None:
    line = Line(("CommandAnswered", ANSWERED))
    assert not (await writer(line).command("NamePoint", "p", ASKED, await_model="devices")).seen


async def test_a_command_that_nobody_decides_may_be_sent_again() -> None:
    line = Line(("Reply", SEEN))
    with pytest.raises(TransientFailure, match="may still be"):
        await writer(line).command("NamePoint", "p", ASKED)
    assert line.listening == {}


async def test_a_command_is_not_sent_when_its_answer_could_not_be_heard() -> None:
    line = Line(ready=False)
    with pytest.raises(TransientFailure):
        await writer(line).command("NamePoint", "p", ASKED)
    assert line.sent == []


async def test_an_event_is_seen_or_not_yet() -> None:
    event = examples.load("DeviceSeen")
    assert await writer(Line(("Reply", SEEN))).append("DeviceSeen", "d", event, event_id="e", await_model="devices")
    assert not await writer(Line()).append("DeviceSeen", "d", event, await_model="devices")
    deaf = Line(ready=False)
    assert not await writer(deaf).append("DeviceSeen", "d", event, await_model="devices")
    assert "reply-to" not in dict(deaf.sent[0].headers)
    assert not await writer(Line()).append("DeviceSeen", "d", event)


async def test_what_kafka_does_not_take_is_told_and_nothing_is_waited_for() -> None:
    line = Line(failure=TransientFailure("away"))
    for call in (writer(line).append, writer(line).command):
        with pytest.raises(TransientFailure):
            await asyncio.wait_for(call("DeviceSeen", "d", examples.load("DeviceSeen"), await_model="devices"), 1)
    assert line.listening == {}


async def test_of_too_many_commands_at_once_the_newest_is_not_sent() -> None:
    """And there is room again when the others have ended, however they did."""
    line = Line()
    busy = Writer(line, line, deadline_s=0.05, most_under_way=2)  # pyright: ignore[reportArgumentType]
    waiting = [asyncio.create_task(busy.command("NamePoint", "p", ASKED)) for _ in range(2)]
    await asyncio.sleep(0)
    assert len(line.sent) == 2
    with pytest.raises(Overloaded):
        await busy.command("NamePoint", "p", ASKED)
    assert len(line.sent) == 2
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [TransientFailure] * 2
    line.heard = (("CommandAnswered", ANSWERED),)
    assert (await busy.command("NamePoint", "p", ASKED)).accepted
