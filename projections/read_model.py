"""What a read model is: its tables, its live views and the projector that turns events into rows. Types only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from schemas.envelope import KeyRing
from schemas.record import Record

if TYPE_CHECKING:
    from projections.store import Transaction


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded record: event name, body as the newest schema version has it, and where it came from."""

    record: Record
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What one event did, for the gateway that waits for it; None stands for not known or not meant."""

    record: Record
    inserted: int | None = None
    updated: int | None = None
    person_id: int | None = None


@dataclass(slots=True)
class Effects:
    """What a batch did: a reply per event, rows written, and whom a live page may want to know about."""

    replies: list[Reply] = field(default_factory=list[Reply])
    sessions: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    devices: set[str] = field(default_factory=set[str])
    dialogues: set[str] = field(default_factory=set[str])
    rows: int = 0
    truncated: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """Per (topic, partition) the offset of the newest truncation in the batch."""


@dataclass(frozen=True, slots=True)
class Target:
    """The version being written: its schema, the live one whose serial numbers it borrows, and how."""

    schema: str
    live_schema: str | None = None
    keyring: KeyRing | None = None
    loading: bool = False
    """A fresh build without keys: only what is surely new is written, the rest is put aside and resolved later."""


class Projector(Protocol):
    """Writes one version of a read model. Used by one runner; `prepare` runs in its reading thread."""

    def prepare(self, events: Sequence[Event]) -> Any:
        """Lay events out for writing, without the database; false when there is nothing to write and no reply.

        Raises InvalidEvent or ValueError for a bad event.
        """
        ...

    def prepare_undecoded(self, records: Sequence[Record]) -> Any:
        """The same from records as they came, where that is faster; None: decode them and call `prepare`."""
        ...

    def write(self, transaction: Transaction, prepared: Any) -> Effects:
        """Write what `prepare` gave, inside the transaction that also moves the checkpoint."""
        ...

    def forget(self, *, distrust: bool = False) -> None:
        """Drop whatever is remembered about the database: the last transaction did not commit.

        With `distrust`, the next batch also asks the database about rows that are surely new by its own account.
        """
        ...


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """How a fresh version is filled without keys: SQL before and after, and what was put aside, batch by batch."""

    drop_keys: Callable[[str], str]
    make_keys: Callable[[str], str]
    resolve: Callable[[Any, Transaction], int]
    """(projector, transaction) -> rows taken from what was put aside; 0 when nothing is left."""
    clean_up: Callable[[str], str]
    """When everything is resolved: drop what was needed for it, let PostgreSQL know the new tables."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One line of the registry."""

    name: str
    topics: tuple[str, ...]
    ddl: Callable[[str], str]
    """Schema name -> SQL that creates every table and view in it (the schema itself exists)."""
    views: Mapping[str, tuple[str, ...]]
    """Live views in `public` with their columns; the same names exist in every version's schema."""
    projector: Callable[[Target], Projector]
    checksums: Mapping[str, str]
    """Table -> a FROM clause and the hashed columns, as `columns | from`; see checksums.py."""
    events: frozenset[str] | None = None
    """The events that matter here, besides a CommandSettled whose reply is awaited; None: everything in its topics.

    What does not matter is not even decoded.
    """
    bulk: BulkLoad | None = None
    needs: str | None = None
    """A PostgreSQL extension whose types its tables have; it is made in `public`, once."""
