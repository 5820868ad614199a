"""Rows of the sales read models in a batch: loaded by their owner, changed in memory, written back in key order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from projections.store import Transaction
from schemas.errors import InvalidEvent

Row = dict[str, Any]
Key = tuple[Any, ...]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns with their types, its key, the column it is loaded by, and what a fold looks at."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    known: tuple[str, ...] = ()
    owner: str = "dialogue_id"

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """The row's key."""
        return tuple(row[name] for name in self.key)


@dataclass(slots=True)
class Loaded:
    """What a batch knows of one table, and what it changes."""

    table: Table
    rows: dict[Key, Row] = field(default_factory=dict[Key, Row])
    changed: set[Key] = field(default_factory=set[Key])

    def get(self, *key: Any) -> Row | None:
        """The row of that key; of a stored one only the columns that the table calls known."""
        return self.rows.get(key)

    def put(self, row: Row) -> None:
        """A whole row, new or in the place of another."""
        key = self.table.key_of(row)
        self.rows[key] = row
        self.changed.add(key)

    def changes(self) -> list[Row]:
        """Changed rows in key order: two projectors never lock the same rows in different orders."""
        return [self.rows[key] for key in sorted(self.changed, key=_sortable)]


Tables = Mapping[str, Loaded]


def _sortable(key: Key) -> tuple[str, ...]:
    return tuple(str(part) for part in key)


def load(transaction: Transaction, table: Table, owners: Sequence[UUID]) -> Loaded:
    """Everything the table has of these owners, in the columns that folds look at."""
    wanted = tuple(dict.fromkeys((*table.key, *table.known)))
    loaded = Loaded(table)
    if owners:
        rows = transaction.rows(
            f"SELECT {', '.join(wanted)} FROM {table.name} WHERE {table.owner} = ANY(%s)",  # noqa: S608 - own names
            list(owners),
        )
        for values in rows:
            row = dict(zip(wanted, values, strict=True))
            loaded.rows[table.key_of(row)] = row
    return loaded


def write(transaction: Transaction, table: Table, rows: Sequence[Row]) -> None:
    """Insert whole rows, or replace those of the same key."""
    if rows:
        transaction.run(upsert(table), *columns_of(table, rows))


def upsert(table: Table) -> str:
    """The statement: one array parameter a column."""
    names = ", ".join(table.columns)
    arrays = ", ".join(f"%s::{array_of(kind)}" for kind in table.columns.values())
    others = [name for name in table.columns if name not in table.key]
    action = f"DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in others)}" if others else "DO NOTHING"
    return (
        f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - own names
        f" ON CONFLICT ({', '.join(table.key)}) {action}"
    )


def array_of(kind: str) -> str:
    """The type a column of values is cast to; JSON is sent as text."""
    return f"text[]::{kind}[]" if kind in ("json", "jsonb") else f"{kind}[]"


def columns_of(table: Table, rows: Sequence[Row]) -> list[list[Any]]:
    """The parameters of `upsert`."""
    return [[_stored(row[name], kind) for row in rows] for name, kind in table.columns.items()]


def _stored(value: Any, kind: str) -> Any:
    return orjson.dumps(value).decode() if kind == "jsonb" and value is not None else value


def uuid_of(text: str, name: str) -> UUID:
    """Raises InvalidEvent when an event's id is no UUID."""
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidEvent(f"{name} {text!r} is not a UUID.") from error


def moment(us: int) -> datetime:
    """UTC of epoch microseconds. Raises InvalidEvent outside the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError as error:
        raise InvalidEvent(f"{us} microseconds are no date.") from error


def optional_moment(us: int | None) -> datetime | None:
    """The same for a time that may be missing."""
    return None if us is None else moment(us)


def storable(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\x00", "\ufffd")


def storable_all(value: Any) -> Any:
    """The same for every text inside a JSON value."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {key: storable_all(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [storable_all(item) for item in value]
    return value
