"""Numbers of persons: remembered, looked up, borrowed from the live version, or highest so far + 1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from projections.store import Transaction

PersonKey = tuple[str, str, int]
"""(device_id, session_id, session_person_id)."""
NEVER: Final = -(2**63)


@dataclass(slots=True)
class Known:
    """A person's number and the time of its newest point; `is_new` until its row is written."""

    number: int
    newest_ms: int
    is_new: bool = False


class Persons:
    """The persons of one version. What it remembers is right only while every transaction commits: else `forget`."""

    def __init__(self, live_schema: str | None, *, loading: bool, capacity: int = 100_000) -> None:
        self._live_schema = live_schema
        self._point_tables = ("emotion_points", "points_aside") if loading else ("emotion_points",)
        self._capacity = capacity
        self._known: OrderedDict[PersonKey, Known] = OrderedDict()
        self._highest: int | None = None

    def forget(self) -> None:
        """Look everything up again."""
        self._known.clear()
        self._highest = None

    def resolve(self, transaction: Transaction, keys: Iterable[PersonKey]) -> dict[PersonKey, Known]:
        """The entries of all keys, in the order of `keys`; new persons get their numbers in that order."""
        wanted = dict.fromkeys(keys)
        missing = [key for key in wanted if key not in self._known]
        if missing:
            self._load(transaction, missing)
            unknown = [key for key in missing if key not in self._known]
            if unknown:
                self._number(transaction, unknown)
        resolved = {key: self._known[key] for key in wanted}
        for key in wanted:
            self._known.move_to_end(key)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return resolved

    def _load(self, transaction: Transaction, keys: Sequence[PersonKey]) -> None:
        for *key, number, newest_ms in transaction.rows(_FIND.format(schema=""), *_columns(keys)):
            self._known[(key[0], key[1], key[2])] = Known(number, newest_ms)

    def _number(self, transaction: Transaction, keys: Sequence[PersonKey]) -> None:
        borrowed = self._borrow(transaction, keys)
        for key in keys:
            number = borrowed.get(key) or self._next(transaction)
            self._known[key] = Known(number, NEVER, is_new=True)

    def _borrow(self, transaction: Transaction, keys: Sequence[PersonKey]) -> dict[PersonKey, int]:
        """Numbers that users have seen stay: those of the live version, if it knows the person."""
        if self._live_schema is None:
            return {}
        rows = transaction.rows(_FIND.format(schema=f"{self._live_schema}."), *_columns(keys))
        borrowed = {(device, session, person): number for device, session, person, number, _ in rows}
        # Who gets a number of our own below must not get one that is just being borrowed.
        self._highest = max(self._newest(transaction), *borrowed.values(), 0)
        taken = transaction.rows("SELECT person_id FROM persons WHERE person_id = ANY(%s)", list(borrowed.values()))
        for (number,) in taken:
            self._move_away(transaction, number)
        return borrowed

    def _move_away(self, transaction: Transaction, number: int) -> None:
        """Free a number that the live version has given to somebody else since: it has been truncated meanwhile."""
        other = self._next(transaction)
        for table in (*self._point_tables, "buckets", "persons"):
            transaction.run(f"UPDATE {table} SET person_id = %s WHERE person_id = %s", other, number)  # noqa: S608
        for known in self._known.values():
            if known.number == number:
                known.number = other

    def _next(self, transaction: Transaction) -> int:
        self._highest = self._newest(transaction) + 1
        return self._highest

    def _newest(self, transaction: Transaction) -> int:
        if self._highest is None:
            own = int(transaction.rows(_HIGHEST.format(schema=""))[0][0])
            live = f"{self._live_schema}." if self._live_schema else ""
            self._highest = max(own, int(transaction.rows(_HIGHEST.format(schema=live))[0][0]))
        return self._highest


_FIND: Final = """
SELECT device_id, session_id, session_person_id, person_id, max_ms FROM {schema}persons
JOIN unnest(%s::text[], %s::text[], %s::bigint[]) AS wanted(device_id, session_id, session_person_id)
USING (device_id, session_id, session_person_id)
"""
_HIGHEST: Final = "SELECT COALESCE(max(person_id), 0) FROM {schema}persons"


def _columns(keys: Sequence[PersonKey]) -> tuple[list[str], list[str], list[int]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
