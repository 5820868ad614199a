"""Rows of a table in a batch that are changed, removed or added: loaded together, written in a few statements.

What a batch knows and changes are `sales_rows.Loaded`s; here rows can go, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from projections.sales_rows import Key, Loaded, Row, Table, array_of, columns_of, write
from projections.store import Transaction


@dataclass(slots=True)
class Kept(Loaded):
    """What a batch knows of one table, what it changes and what it removes."""

    dropped: set[Key] = field(default_factory=set[Key])

    def put(self, row: Row) -> None:
        """A whole row, new or in the place of another."""
        self.dropped.discard(self.table.key_of(row))
        Loaded.put(self, row)

    def drop(self, *key: Any) -> None:
        """No such row any more."""
        self.rows.pop(key, None)
        self.changed.discard(key)
        self.dropped.add(key)

    def forget(self, key: Key) -> None:
        """Nothing is known of the row, and nothing becomes of it."""
        self.rows.pop(key, None)
        self.changed.discard(key)
        self.dropped.discard(key)


def load(transaction: Transaction, table: Table, owners: Sequence[Any]) -> Kept:
    """Every column of the rows that the table has of these owners."""
    kept = Kept(table)
    if owners:
        names = tuple(table.columns)
        found = transaction.rows(
            f"SELECT {', '.join(names)} FROM {table.name} WHERE {table.owner} = ANY(%s)",  # noqa: S608 - own names
            list(owners),
        )
        for values in found:
            row = dict(zip(names, values, strict=True))
            kept.rows[table.key_of(row)] = row
    return kept


def flush(transaction: Transaction, kept: Kept) -> int:
    """Write what changed; return how many rows that were."""
    if kept.dropped:
        gone = sorted(kept.dropped, key=str)
        keys = ", ".join(f"%s::{array_of(kept.table.columns[name])}" for name in kept.table.key)
        transaction.run(
            f"DELETE FROM {kept.table.name} WHERE ({', '.join(kept.table.key)})"  # noqa: S608 - own names
            f" IN (SELECT * FROM unnest({keys}))",
            *(list(column) for column in zip(*gone, strict=True)),
        )
    changes = kept.changes()
    write(transaction, kept.table, changes)
    return len(changes) + len(kept.dropped)


def append(transaction: Transaction, table: Table, rows: Sequence[Row], returning: str) -> list[tuple[Any, ...]]:
    """Insert; a row whose key is there already changes nothing. Gives `returning` of those that are new."""
    if not rows:
        return []
    names, arrays = ", ".join(table.columns), ", ".join(f"%s::{array_of(kind)}" for kind in table.columns.values())
    statement = (
        f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - own names
        f" ON CONFLICT ({', '.join(table.key)}) DO NOTHING RETURNING {returning}"
    )
    return transaction.rows(statement, *columns_of(table, rows))


def add(transaction: Transaction, table: Table, column: str, sums: Mapping[Key, int]) -> None:
    """Add to the integer `column` of the rows of these keys, in key order; what is not there begins at 0."""
    found = [(key, number) for key, number in sorted(sums.items(), key=lambda one: str(one[0])) if number]
    if found:
        names = (*table.key, column)
        arrays = ", ".join(f"%s::{array_of(table.columns[name])}" for name in names)
        transaction.run(
            f"INSERT INTO {table.name} AS t ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608
            f" ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {column} = t.{column} + EXCLUDED.{column}",
            *(list(values) for values in zip(*((*key, number) for key, number in found), strict=True)),
        )
