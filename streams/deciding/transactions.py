"""The one transactional producer: all messages of a batch, or none. A Kafka adapter.

Taking the transactional id fences whoever had it before: his open transaction is aborted, his next one refused.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, cast

from confluent_kafka import KafkaError, KafkaException, Producer

from producers.publisher import Message, producer_config
from schemas.errors import SensoriumError, TransientFailure

log = logging.getLogger(__name__)

LONGEST_S: Final = 10.0
"""A transaction that its process leaves open is aborted by Kafka after this; readers wait for it that long."""
_CALL_S: Final = 5.0


class Fenced(SensoriumError):
    """The id belongs to somebody else, or Kafka gave the producer up: what became of the batch, only the log says."""


class Transactions:
    """Transactions under one id, for one thread; blocking."""

    def __init__(self, bootstrap: str, transactional_id: str, *, patience_s: float = 60.0) -> None:
        self._patience_s = patience_s
        self._offsets: list[int] = []
        self._failures: list[KafkaError] = []
        config = producer_config(bootstrap, transactional_id, LONGEST_S, 0, 8 << 20)
        self._producer = Producer(
            config
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": int(LONGEST_S * 1000),
                "message.timeout.ms": int(LONGEST_S * 800),
            },
            logger=logging.getLogger("sensorium.kafka"),
        )

    def open(self) -> None:
        """Take the id. When this returns, whatever another holder had begun is committed or aborted.

        Raises:
            TransientFailure: Kafka does not answer. Fenced: it refuses for good.
        """
        try:
            self._insist(lambda: self._producer.init_transactions(_CALL_S), "taking the transactional id")
        except KafkaException as error:
            raise TransientFailure(f"The transactional id is not taken: {_cause(error).str()}") from error

    def commit(self, messages: Sequence[Message]) -> list[int]:
        """Append all messages in one transaction; their offsets, in order. Raises as `begin` and `end` do."""
        self.begin(messages)
        return self.end()

    def begin(self, messages: Sequence[Message]) -> None:
        """Send all messages in a transaction, and wait for nothing.

        Raises:
            TransientFailure: none of them is in the log; the same may be tried again. Fenced: see there.
        """
        offsets, failures = self._offsets, self._failures = [-1] * len(messages), []

        def report(n: int) -> Callable[[KafkaError | None, Any], None]:
            def delivered(error: KafkaError | None, message: Any) -> None:
                if error is not None:
                    failures.append(error)
                else:
                    offsets[n] = message.offset()

            return delivered

        with self._taken_back():
            self._producer.begin_transaction()
            for n, message in enumerate(messages):
                self._produce(message, report(n))

    def end(self) -> list[int]:
        """Commit what `begin` began; the messages' offsets, in order. Raises as `begin` does."""
        with self._taken_back():
            with _GivenUp():
                self._producer.flush(LONGEST_S)
            if self._failures:
                raise KafkaException(self._failures[0])
            if -1 in self._offsets:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "not everything was acknowledged in time"))
            self._insist(lambda: self._producer.commit_transaction(_CALL_S), "committing")
        return self._offsets

    def close(self) -> None:
        """Let go; what is open stays so until it times out or somebody takes the id."""
        self._producer.purge(blocking=False)
        with contextlib.suppress(Fenced), _GivenUp():
            self._producer.flush(1.0)

    @contextlib.contextmanager
    def _taken_back(self) -> Generator[None]:
        """What fails in here leaves nothing behind."""
        try:
            yield
        except KafkaException as error:
            self._take_back(error)
            raise TransientFailure(f"The transaction was taken back: {_cause(error).str()}") from error

    def _produce(self, message: Message, report: Callable[[KafkaError | None, Any], None]) -> None:
        topic, key, value, headers, partition = message
        while True:
            try:
                return self._producer.produce(topic, value, key, partition, report, headers=cast("Any", headers))
            except BufferError:
                with _GivenUp():
                    self._producer.poll(0.1)

    def _take_back(self, error: KafkaException) -> None:
        cause = _cause(error)
        if cause.fatal():
            raise Fenced(f"The transactional producer was given up: {cause.str()}") from error
        log.warning("a transaction is aborted: %s", cause.str())
        self._producer.purge(blocking=False)
        try:
            self._insist(lambda: self._producer.abort_transaction(_CALL_S), "aborting")
        except KafkaException as failure:
            raise Fenced(f"A transaction can neither be committed nor aborted: {_cause(failure).str()}") from failure

    def _insist(self, call: Callable[[], None], what: str) -> None:
        """Repeat what may be repeated. Whether a commit happened is known only when it returns: never give up early."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return call()
            except KafkaException as error:
                cause = _cause(error)
                if cause.fatal():
                    raise Fenced(f"{what}: {cause.str()}") from error
                if not cause.retriable() or cause.txn_requires_abort():
                    raise
                if time.monotonic() > deadline:
                    raise Fenced(f"{what} did not end in {self._patience_s:g} s: {cause.str()}") from error
                log.warning("%s: %s; trying on", what, cause.str())


class _GivenUp:
    """Turns what the library raises, from wherever it serves events, about a producer that was given up.

    It is its KafkaError itself, which is no exception and is caught by no `except`, or Python's SystemError about it.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KafkaError | SystemError):
            raise Fenced(f"The transactional producer was given up: {error}") from None


def _cause(error: KafkaException) -> KafkaError:
    return cast("KafkaError", error.args[0])
