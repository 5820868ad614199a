"""Writes what inserted points add to persons, sessions, buckets and heat maps, in key order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from projections.emotion_totals import CELLS, Buckets, Ints, PersonSums, Rows, heat, person_sums, pyramid
from projections.store import Transaction
from projections.store_arrays import f8, i2, i4, i8

SessionKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a number belongs to."""

    device_id: str
    session_id: str
    session_person_id: int
    partition: int
    is_new: bool = False


class Sums:
    """Adds to the aggregates; remembers heat maps while every transaction commits, else `forget`."""

    def __init__(self, capacity: int = 5_000) -> None:
        self._capacity = capacity
        self._maps: OrderedDict[SessionKey, Ints] = OrderedDict()

    def forget(self) -> None:
        """Read the heat maps again."""
        self._maps.clear()

    def add(self, transaction: Transaction, rows: Rows, owners: Mapping[int, Owner]) -> set[SessionKey]:
        """Add inserted rows, sorted by person and time; `owners` by number. Returns the sessions they are of."""
        if len(rows.person) == 0:
            return set()
        sums = person_sums(rows)
        people = [owners[number] for number in sums.person.tolist()]
        self._add_persons(transaction, sums, people)
        sessions = _add_sessions(transaction, sums, people)
        _add_buckets(transaction, pyramid(rows))
        self._add_maps(transaction, rows, sums, people, sessions)
        return set(sessions)

    @staticmethod
    def _add_persons(transaction: Transaction, sums: PersonSums, people: Sequence[Owner]) -> None:
        transaction.run(
            _PERSONS,
            i4(sums.person),
            [owner.device_id for owner in people],
            [owner.session_id for owner in people],
            [owner.session_person_id for owner in people],
            *(i8(column) for column in (sums.n, sums.sum_valence, sums.sum_arousal, sums.min_ms, sums.max_ms)),
            [owner.partition for owner in people],
            i8(sums.first_offset),
            i8(sums.last_offset),
        )

    def _add_maps(
        self,
        transaction: Transaction,
        rows: Rows,
        sums: PersonSums,
        people: Sequence[Owner],
        sessions: Sequence[SessionKey],
    ) -> None:
        index = {session: i for i, session in enumerate(sessions)}
        session_of_person = np.fromiter((index[o.device_id, o.session_id] for o in people), np.int64, len(people))
        session_of_row = np.repeat(session_of_person, sums.n)
        counts = heat(session_of_row, rows.valence, rows.arousal, len(sessions))
        self._read_maps(transaction, sessions)
        for session, added in zip(sessions, counts, strict=True):
            self._maps[session] = self._maps[session] + added
            self._maps.move_to_end(session)
        cells = np.concatenate([self._maps[session] for session in sessions])
        transaction.run(_MAPS, i4(cells), [s[0] for s in sessions], [s[1] for s in sessions])
        while len(self._maps) > self._capacity:
            self._maps.popitem(last=False)

    def _read_maps(self, transaction: Transaction, sessions: Sequence[SessionKey]) -> None:
        missing = [session for session in sessions if session not in self._maps]
        if not missing:
            return
        for device_id, session_id, cells in transaction.rows(
            _READ_MAPS, [m[0] for m in missing], [m[1] for m in missing]
        ):
            self._maps[device_id, session_id] = np.array(cells, np.int64)
        for session in missing:
            self._maps.setdefault(session, np.zeros(CELLS, np.int64))


def _add_sessions(transaction: Transaction, sums: PersonSums, people: Sequence[Owner]) -> list[SessionKey]:
    """Upsert the sessions; return them in key order."""
    added: dict[SessionKey, list[int]] = {}
    numbers = zip(sums.n.tolist(), sums.min_ms.tolist(), sums.max_ms.tolist(), people, strict=True)
    for n, min_ms, max_ms, owner in numbers:
        entry = added.setdefault((owner.device_id, owner.session_id), [0, 0, min_ms, max_ms, owner.partition])
        entry[0] += n
        entry[1] += owner.is_new
        entry[2] = min(entry[2], min_ms)
        entry[3] = max(entry[3], max_ms)
    sessions = sorted(added)
    columns = [list(column) for column in zip(*((*session, *added[session]) for session in sessions), strict=True)]
    transaction.run(_SESSIONS, *columns)
    return sessions


def _add_buckets(transaction: Transaction, buckets: Buckets) -> None:
    parameters = [i4(buckets.person), i2(buckets.level), i8(buckets.bucket_ms), i4(buckets.n)]
    for field in fields(Buckets)[4:]:
        values = getattr(buckets, field.name)
        parameters.append(f8(values) if values.dtype == np.float64 else i8(values))
    transaction.run(_BUCKETS, *parameters)


def owners_of(transaction: Transaction, numbers: Sequence[int]) -> dict[int, Owner]:
    """The persons that have these numbers."""
    rows = transaction.rows(
        "SELECT person_id, device_id, session_id, session_person_id, kafka_partition FROM persons"
        " WHERE person_id = ANY(%s)",
        list(numbers),
    )
    return {number: Owner(device, session, person, partition) for number, device, session, person, partition in rows}


_PERSONS: Final = """
INSERT INTO persons AS p
SELECT * FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[])
ON CONFLICT (person_id) DO UPDATE SET
    n_points = p.n_points + EXCLUDED.n_points,
    sum_valence = p.sum_valence + EXCLUDED.sum_valence,
    sum_arousal = p.sum_arousal + EXCLUDED.sum_arousal,
    min_ms = LEAST(p.min_ms, EXCLUDED.min_ms),
    max_ms = GREATEST(p.max_ms, EXCLUDED.max_ms),
    first_offset = LEAST(p.first_offset, EXCLUDED.first_offset),
    last_offset = GREATEST(p.last_offset, EXCLUDED.last_offset)
"""
_SESSIONS: Final = """
INSERT INTO sessions AS s
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[])
ON CONFLICT (device_id, session_id) DO UPDATE SET
    n_points = s.n_points + EXCLUDED.n_points,
    n_persons = s.n_persons + EXCLUDED.n_persons,
    min_ms = LEAST(s.min_ms, EXCLUDED.min_ms),
    max_ms = GREATEST(s.max_ms, EXCLUDED.max_ms)
"""
_MAPS: Final = """
WITH flat AS MATERIALIZED (SELECT %s::int[] AS cells)
INSERT INTO heatmaps
SELECT device_id, session_id, flat.cells[(nth - 1) * 400 + 1 : nth * 400]
FROM flat, unnest(%s::text[], %s::text[]) WITH ORDINALITY AS s(device_id, session_id, nth)
ON CONFLICT (device_id, session_id) DO UPDATE SET cells = EXCLUDED.cells
"""
_READ_MAPS: Final = """
SELECT device_id, session_id, cells FROM heatmaps
JOIN unnest(%s::text[], %s::text[]) AS wanted(device_id, session_id) USING (device_id, session_id)
"""


def _extremes() -> str:
    """SET clauses: the more extreme value, and of equal ones the earlier time."""
    clauses: list[str] = []
    for signal in ("valence", "arousal"):
        for side, best, beats in (("min", "LEAST", "<"), ("max", "GREATEST", ">")):
            value = f"{side}_{signal}"
            clauses.append(
                f"{value} = {best}(b.{value}, EXCLUDED.{value}), {value}_ms = CASE"
                f" WHEN EXCLUDED.{value} {beats} b.{value} THEN EXCLUDED.{value}_ms"
                f" WHEN EXCLUDED.{value} = b.{value} THEN LEAST(b.{value}_ms, EXCLUDED.{value}_ms)"
                f" ELSE b.{value}_ms END"
            )
    return ", ".join(clauses)


_BUCKETS: Final = f"""
INSERT INTO buckets AS b
SELECT * FROM unnest(%s::int[], %s::smallint[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[],
                     %s::float8[], %s::bigint[], %s::float8[], %s::bigint[],
                     %s::float8[], %s::bigint[], %s::float8[], %s::bigint[])
ON CONFLICT (person_id, level, bucket_ms) DO UPDATE SET
    n = b.n + EXCLUDED.n,
    sum_valence = b.sum_valence + EXCLUDED.sum_valence,
    sum_arousal = b.sum_arousal + EXCLUDED.sum_arousal,
    {_extremes()}
"""  # noqa: S608 - made of constants
