"""A record as it was read from the log, independent of any Kafka client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic; `timestamp_ms` is the broker's log append time, UTC epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    def header(self, name: str) -> bytes | None:
        """The first header of that name, or None."""
        for header, value in self.headers:
            if header == name:
                return value
        return None

    @property
    def coordinates(self) -> str:
        """`topic/partition@offset`, as logs and dead letters name a record."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    def is_redriven_to_another(self, consumer: str) -> bool:
        """Whether this is a redriven dead letter that concerns a consumer other than `consumer`."""
        addressee = self.header("redrive-to")
        return addressee is not None and addressee != consumer.encode()
