"""Dead letters: what is open (a fold of the topic), and settling it by redriving or discarding."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from ops.errors import OperatorError
from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from streams.log_reader import LogReader, TopicPartition

TOPIC: Final = "dead.letters"
NOT_REDRIVEN: Final = {"redrive-to", "correlation-id", "reply-to"}
"""Headers that stay behind: nobody waits for the answer any more."""
TRUNCATIONS: Final = {"EmotionLogsTruncated", "EmotionMomentsTruncated"}
PATIENCE_S: Final = 15.0
"""How long Kafka may give nothing."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that a consumer could not take. `settled` is REDRIVEN, DISCARDED or None while it is open.

    `place` is where the letter itself lies. Unless `is_whole`, key, value and headers of the record and the traceback
    are left out: see `whole`.
    """

    id: str
    consumer: str
    record: Record
    error: str
    cause: str
    traceback: str
    since_ms: int
    place: tuple[TopicPartition, int]
    is_whole: bool
    settled: str | None = None


class Publisher(Protocol):
    """What is needed of `producers.publisher.Publisher`."""

    def publish_all(self, messages: Sequence[Message]) -> None: ...  # noqa: D102 - see Publisher


class Reader(Protocol):
    """What is needed of `streams.log_reader.LogReader`."""

    positions: dict[TopicPartition, int]

    def assign(self, positions: Mapping[TopicPartition, int]) -> None: ...  # noqa: D102 - see LogReader
    def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]: ...  # noqa: D102
    def at_end(self, ends: Mapping[TopicPartition, int]) -> bool: ...  # noqa: D102
    def beginning_offsets(self, topic: str) -> dict[int, int]: ...  # noqa: D102
    def end_offsets(self, topic: str) -> dict[int, int]: ...  # noqa: D102


def read(bootstrap: str) -> list[Letter]:
    """All letters, oldest first, without their bytes. Raises TransientFailure when Kafka does not answer."""
    with LogReader(bootstrap, "dead-letters") as reader:
        starts = {TopicPartition(TOPIC, partition): at for partition, at in reader.beginning_offsets(TOPIC).items()}
        return fold(scan(reader, starts))


def whole(reader: Reader, letter: Letter) -> Letter:
    """The letter with the original bytes. Raises TransientFailure when Kafka does not answer."""
    where, offset = letter.place
    for record in scan(reader, {where: offset}):
        if record.offset == offset:
            return replace(_letter(record, serde.decode(record.value)[1], is_whole=True), settled=letter.settled)
        break
    raise OperatorError(f"Dead letter {letter.id} is not at {where}@{offset} any more.")


def scan(reader: Reader, starts: Mapping[TopicPartition, int]) -> Generator[Record]:
    """Everything from these offsets on to the present ends. Raises TransientFailure after 15 s without progress."""
    found = {topic: reader.end_offsets(topic) for topic in {where.topic for where in starts}}
    ends = {where: found[where.topic][where.partition] for where in starts}
    reader.assign(starts)
    moved_at = time.monotonic()
    while not reader.at_end(ends):
        before = dict(reader.positions)
        yield from reader.poll_batch(1000, 16 << 20, 0.5)
        if reader.positions != before:
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > PATIENCE_S:
            raise TransientFailure(f"Kafka has given nothing for {PATIENCE_S:g} s.")


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
        elif event == "DeadLettered" and body["dead_letter_id"] not in letters:
            letters[body["dead_letter_id"]] = _letter(record, body, is_whole=False)
    return [replace(letter, settled=settled.get(letter.id)) for letter in letters.values()]


def deleted(reader: Reader, letters: Sequence[Letter]) -> list[Letter]:
    """Those whose record lies before a truncation of its partition: redriven, deleted data would be back."""
    oldest: dict[TopicPartition, int] = {}
    for record in (letter.record for letter in letters):
        where = TopicPartition(record.topic, record.partition)
        oldest[where] = min(oldest.get(where, record.offset), record.offset)
    newest: dict[TopicPartition, int] = {}
    for where, offset in oldest.items():
        first = reader.beginning_offsets(where.topic)[where.partition]
        for record in scan(reader, {where: max(first, offset + 1)}):
            if _is_truncation(record):
                newest[where] = record.offset
    return [x for x in letters if x.record.offset < newest.get(TopicPartition(x.record.topic, x.record.partition), -1)]


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
    Raises ValueError for a letter that is not whole.
    """
    if not letter.is_whole:
        raise ValueError(f"dead letter {letter.id} without its bytes cannot be redriven")
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


def _is_truncation(record: Record) -> bool:
    try:
        return serde.schema_of(record.value).name in TRUNCATIONS and bool(serde.decode(record.value))
    except InvalidEvent:
        return False


def _letter(found: Record, body: dict[str, Any], *, is_whole: bool) -> Letter:
    record = Record(body["topic"], body["partition"], body["offset"], body["timestamp_ms"], None, None)
    traceback = ""
    if is_whole:
        headers = tuple((header["name"], header["value"]) for header in body["headers"])
        record = replace(record, key=body["key"], value=body["value"], headers=headers)
        traceback = body["traceback"]
    return Letter(
        body["dead_letter_id"], body["consumer"], record, body["error"], body["cause"], traceback, found.timestamp_ms,
        (TopicPartition(found.topic, found.partition), found.offset), is_whole,
    )  # fmt: skip


def _settlement(letter: Letter, action: str, note: str) -> Message:
    now_ms = int(time.time() * 1000)
    body = {"dead_letter_id": letter.id, "action": action, "settled_at_ms": now_ms, "note": note}
    identity = derived_id(f"settle:{letter.id}", TOPIC, 0, now_ms, 0)
    headers = cloudevents.headers("DeadLetterSettled", id=identity, source="/ops/dead-letters")
    return Message(TOPIC, letter.id.encode(), serde.encode("DeadLetterSettled", body), headers)
