"""Dead letters: what is open (a fold of the topic), and settling it by redriving or discarding."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from ops.errors import OperatorError
from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent
from schemas.identity import derived_id
from schemas.record import Record
from streams.log_reader import LogReader, TopicPartition

TOPIC: Final = "dead.letters"
NOT_REDRIVEN: Final = {"redrive-to", "correlation-id", "reply-to"}
"""Headers that stay behind: nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that a consumer could not take. `settled` is REDRIVEN, DISCARDED or None while it is open."""

    id: str
    consumer: str
    record: Record
    error: str
    cause: str
    traceback: str
    since_ms: int
    settled: str | None = None


class Publisher(Protocol):
    """What is needed of `producers.publisher.Publisher`."""

    def publish_all(self, messages: Sequence[Message]) -> None: ...  # noqa: D102 - see Publisher


def read(bootstrap: str, topic: str = TOPIC) -> list[Letter]:
    """All letters, oldest first. Raises TransientFailure when Kafka does not answer."""
    records: list[Record] = []
    with LogReader(bootstrap, "dead-letters") as reader:
        starts = reader.beginning_offsets(topic)
        ends = {TopicPartition(topic, partition): end for partition, end in reader.end_offsets(topic).items()}
        reader.assign({TopicPartition(topic, partition): start for partition, start in starts.items()})
        while not reader.at_end(ends):
            records += reader.poll_batch(timeout_s=0.5)
    return fold(records)


def fold(records: Iterable[Record]) -> list[Letter]:
    """Letters by what happened to them. One that was settled stays so: the same failure has the same id."""
    letters: dict[str, Letter] = {}
    settled: dict[str, str] = {}
    for record in records:
        try:
            event, body = serde.decode(record.value)
        except InvalidEvent:
            continue  # poison on this topic concerns no consumer
        if event == "DeadLetterSettled":
            settled[body["dead_letter_id"]] = body["action"]
        elif event == "DeadLettered":
            letters.setdefault(body["dead_letter_id"], _letter(body, record.timestamp_ms))
    return [replace(letter, settled=settled.get(letter.id)) for letter in letters.values()]


def choose(
    letters: Sequence[Letter], prefixes: Sequence[str] = (), *, consumer: str | None = None, everything: bool = False
) -> list[Letter]:
    """The open letters meant: by beginnings of their ids, of one consumer, or all. Raises OperatorError."""
    if not prefixes and consumer is None and not everything:
        raise OperatorError("Say which: ids (their first characters will do), --consumer NAME, or --all.")
    of_consumer = [letter for letter in letters if consumer in (None, letter.consumer) and letter.settled is None]
    if not prefixes:
        return of_consumer
    return [_only(of_consumer, letters, prefix) for prefix in prefixes]


def redrive(publisher: Publisher, letter: Letter) -> None:
    """Append the original record to its own partition again, for the consumer that failed only; then settle it.

    After a crash in between the letter is still open; redriving it twice does no harm, consumers know repetitions.
    """
    record = letter.record
    headers = [(name, value) for name, value in record.headers if name not in NOT_REDRIVEN]
    headers.append(("redrive-to", letter.consumer.encode()))
    publisher.publish_all([Message(record.topic, record.key, record.value, headers, record.partition)])
    publisher.publish_all([_settlement(letter, "REDRIVEN", "")])


def discard(publisher: Publisher, letter: Letter, note: str = "") -> None:
    """Settle a letter without processing it; the log keeps it."""
    publisher.publish_all([_settlement(letter, "DISCARDED", note)])


def _only(open_letters: Sequence[Letter], letters: Sequence[Letter], prefix: str) -> Letter:
    found = [letter for letter in open_letters if letter.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        raise OperatorError(f"{len(found)} open dead letters begin with {prefix}: write more of the id.")
    settled = [letter for letter in letters if letter.id.startswith(prefix)]
    if settled:
        raise OperatorError(f"Dead letter {settled[0].id} was {str(settled[0].settled).lower()} already.")
    raise OperatorError(f"No dead letter begins with {prefix}: see `sensorium dead-letters list`.")


def _letter(body: dict[str, Any], since_ms: int) -> Letter:
    headers = tuple((header["name"], header["value"]) for header in body["headers"])
    record = Record(
        body["topic"], body["partition"], body["offset"], body["timestamp_ms"], body["key"], body["value"], headers
    )
    return Letter(
        body["dead_letter_id"], body["consumer"], record, body["error"], body["cause"], body["traceback"], since_ms
    )


def _settlement(letter: Letter, action: str, note: str) -> Message:
    now_ms = int(time.time() * 1000)
    body = {"dead_letter_id": letter.id, "action": action, "settled_at_ms": now_ms, "note": note}
    identity = derived_id(f"settle:{letter.id}", TOPIC, 0, now_ms, 0)
    headers = cloudevents.headers("DeadLetterSettled", id=identity, source="/ops/dead-letters")
    return Message(TOPIC, letter.id.encode(), serde.encode("DeadLetterSettled", body), headers)
