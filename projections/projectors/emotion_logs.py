"""Read model `emotion_logs`: every point once, with the aggregates that answer the queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from projections import emotion_tables as sql
from projections.emotion_months import Months
from projections.emotion_persons import Known, PersonKey, Persons
from projections.emotion_rows import Ints, Layout, Points, columns_of, gather, lay_out
from projections.emotion_sums import Owner, Sums, owners_of
from projections.emotion_totals import Rows
from projections.read_model import BulkLoad, Effects, Event, ReadModel, Reply, Target
from projections.store import Transaction
from projections.store_arrays import f8, i2, i4, i8
from schemas.emotion_columns import decode_posts
from schemas.emotions import NO_BOX
from schemas.record import Record

Mask = NDArray[np.bool_]
RESOLVED_AT_ONCE: Final = 20_000
LONGEST_LOCK_WAIT: Final = "1s"
_TABLES: Final = ("emotion_points", "buckets", "heatmaps", "sessions", "persons")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch: truncations first (offset of the newest one per partition), then the points that come after them."""

    truncated: dict[tuple[str, int], int]
    settled: list[Record]
    """Truncations, and posts that one of them undoes at once: nothing is known of what they would have inserted."""
    points: Points
    layout: Layout

    def __bool__(self) -> bool:
        return bool(self.truncated or self.settled or self.points.records)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a batch's rows before the database is asked; `order` sorts rows by person and time."""

    number: Ints
    order: Ints
    new: Mask
    doubtful: Mask


class EmotionLogs:
    """Writes points and their aggregates."""

    def __init__(self, target: Target) -> None:
        self._loading = target.loading
        self._tables = (*_TABLES, "points_aside") if target.loading else _TABLES
        self._persons = Persons(target.live_schema, loading=target.loading)
        self._months = Months(target.schema)
        self._sums = Sums()
        self._suspicious = False

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Lay the points out for COPY; what a truncation in the same batch undoes is left out."""
        truncated = {_place(event): event.record.offset for event in events if event.name == "EmotionLogsTruncated"}
        settled = [event.record for event in events if event.record.offset <= truncated.get(_place(event), -1)]
        left = [event for event in events if event.record.offset > truncated.get(_place(event), -1)]
        posts = [event for event in left if event.name == "EmotionPointsRecorded"]
        points = gather([post.record for post in posts], columns_of([post.body for post in posts]))
        return Prepared(truncated, settled, points, lay_out(points))

    def prepare_undecoded(self, records: Sequence[Record]) -> Prepared | None:
        """The same at once for a batch of nothing but ordinary posts; else None."""
        columns = decode_posts([record.value for record in records])
        if columns is None:
            return None
        points = gather(records, columns)
        return Prepared({}, [], points, lay_out(points))

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Truncate, then insert what is new; replies tell how many of a post's points were."""
        effects = Effects(replies=[Reply(record) for record in prepared.settled])
        if prepared.truncated:
            self._truncate(transaction, sorted(partition for _, partition in prepared.truncated))
            effects.truncated |= prepared.truncated
        if prepared.points.records:
            self._insert(transaction, prepared.points, prepared.layout, effects)
        self._suspicious = False
        return effects

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing that was remembered is sure; with `distrust`, neither is what looks new in the next batch."""
        self._persons.forget()
        self._months.forget()
        self._sums.forget()
        self._suspicious = distrust

    def resolve(self, transaction: Transaction) -> int:
        """Take the next points that a load put aside, first offset first; return how many there were."""
        aside = transaction.rows(_RESOLVE, RESOLVED_AT_ONCE)
        kept = sorted(row for row in aside if row[0] is not None)
        if kept:
            person, t_ms, valence, arousal, offset = (np.array(column) for column in zip(*kept, strict=True))
            rows = Rows(person, t_ms, valence, arousal, offset)
            self._sums.add(transaction, rows, owners_of(transaction, sorted(set(person.tolist()))))
        return len(aside)

    def _insert(self, transaction: Transaction, points: Points, layout: Layout, effects: Effects) -> None:
        keys = _keys_of_runs(points)
        people = self._persons.resolve(transaction, keys)
        verdict = _judge(points, keys, people, distrust=self._suspicious)
        inserted = np.zeros(0, np.bool_)
        if len(points):
            inserted = self._store(transaction, points, layout, verdict)
            effects.sessions |= self._sums.add(
                transaction, _rows(points, verdict, inserted), _owners(points, keys, people)
            )
        for known in people.values():
            known.is_new = False
        effects.rows += int(inserted.sum())
        effects.replies += _replies(points, keys, people, inserted)

    def _store(self, transaction: Transaction, points: Points, layout: Layout, verdict: Verdict) -> Mask:
        """Insert; return which rows went in."""
        last = int(transaction.rows(_TAKE_IDS, len(points) - 1)[0][0])
        row_id = np.arange(last - len(points) + 1, last + 1)
        table = self._months.ensure(transaction, points.columns.t_ms)
        if verdict.new.all():
            transaction.copy(_COPY.format(table), layout.payload(verdict.number, row_id))
            return verdict.new
        if verdict.new.any():
            transaction.copy(_COPY.format(table), layout.payload(verdict.number, row_id, verdict.new))
        if not verdict.doubtful.any():
            return verdict.new
        if self._loading:
            transaction.copy(_COPY.format("points_aside"), layout.payload(verdict.number, row_id, verdict.doubtful))
            return verdict.new
        return verdict.new | _insert_doubtful(transaction, points, verdict, row_id)

    def _truncate(self, transaction: Transaction, partitions: list[int]) -> None:
        survivors = "SELECT EXISTS (SELECT FROM persons WHERE kafka_partition <> ALL(%s))"
        if transaction.rows(survivors, partitions)[0][0]:
            for table in self._tables:
                transaction.run(_delete(table), partitions)
        else:
            tables = ", ".join(self._tables)
            # Whoever asks for rows queues behind this lock while it waits for earlier readers. So it gives up soon,
            # and the batch is tried again.
            transaction.run(f"SET LOCAL statement_timeout TO '{LONGEST_LOCK_WAIT}'")
            transaction.run(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
            transaction.run("SET LOCAL statement_timeout TO DEFAULT")
            transaction.run(f"TRUNCATE {tables} RESTART IDENTITY")
        self._persons.forget()
        self._sums.forget()


def _place(event: Event) -> tuple[str, int]:
    return event.record.topic, event.record.partition


def _judge(points: Points, keys: list[PersonKey], people: dict[PersonKey, Known], *, distrust: bool) -> Verdict:
    """Tell apart: surely new (later than all points of its person), double within the batch, doubtful.

    Moves the persons' newest times on.
    """
    lengths = np.diff(np.append(points.run_start, len(points)))
    run_number = np.fromiter((people[key].number for key in keys), np.int64, len(keys))
    run_newest = np.fromiter((people[key].newest_ms for key in keys), np.int64, len(keys))
    number = np.repeat(run_number, lengths)
    rises = bool(points.run_rises.all())
    if len(points):
        first = points.columns.t_ms[points.run_start].tolist()
        last = np.maximum.reduceat(points.columns.t_ms, points.run_start).tolist()
        for key, first_ms, last_ms in zip(keys, first, last, strict=True):
            known = people[key]
            rises = rises and first_ms > known.newest_ms
            known.newest_ms = max(known.newest_ms, last_ms)
    everything = np.ones(len(points), np.bool_)
    if rises and not distrust:
        return Verdict(number, _order_of_runs(run_number, points.run_start, lengths), everything, ~everything)
    order = np.lexsort((points.columns.track_id, points.columns.t_ms, number))
    double = np.zeros(len(points), np.bool_)
    same = (
        (np.diff(number[order]) == 0)
        & (np.diff(points.columns.t_ms[order]) == 0)
        & (np.diff(points.columns.track_id[order]) == 0)
    )
    double[order[1:]] = same
    doubtful = ~double & ((points.columns.t_ms <= np.repeat(run_newest, lengths)) | distrust)
    return Verdict(number, order, ~double & ~doubtful, doubtful)


def _order_of_runs(run_number: Ints, run_start: Ints, lengths: Ints) -> Ints:
    """Row positions with the runs sorted by person, those of one person staying in order."""
    order = np.argsort(run_number, kind="stable")
    starts, sizes = run_start[order], lengths[order]
    shift = np.repeat(starts - np.concatenate(([0], np.cumsum(sizes)[:-1])) if len(sizes) else starts, sizes)
    return np.arange(int(sizes.sum())) + shift


def _rows(points: Points, verdict: Verdict, inserted: Mask) -> Rows:
    order = verdict.order if inserted.all() else verdict.order[inserted[verdict.order]]
    return Rows(
        verdict.number, points.columns.t_ms, points.columns.valence, points.columns.arousal, points.offset
    ).take(order)


def _keys_of_runs(points: Points) -> list[PersonKey]:
    columns = points.columns
    posts = points.post_of_row[points.run_start].tolist()
    persons = columns.session_person_id[points.run_start].tolist()
    return [
        (columns.device_id[post], columns.session_id[post], person) for post, person in zip(posts, persons, strict=True)
    ]


def _owners(points: Points, keys: list[PersonKey], people: dict[PersonKey, Known]) -> dict[int, Owner]:
    partitions = points.partition[points.run_start].tolist()
    return {
        people[key].number: Owner(*key, partition, people[key].is_new)
        for key, partition in zip(keys, partitions, strict=True)
    }


def _replies(points: Points, keys: list[PersonKey], people: dict[PersonKey, Known], inserted: Mask) -> list[Reply]:
    counts = np.bincount(points.post_of_row[inserted], minlength=len(points.records)).tolist()
    first: dict[int, int] = {}
    for post, key in zip(points.post_of_row[points.run_start].tolist(), keys, strict=True):
        first.setdefault(post, people[key].number)
    return [Reply(record, inserted=counts[i], person_id=first.get(i)) for i, record in enumerate(points.records)]


def _insert_doubtful(transaction: Transaction, points: Points, verdict: Verdict, row_id: Ints) -> Mask:
    at = np.flatnonzero(verdict.doubtful)
    texts = points.columns.absolute_time
    done = transaction.rows(
        _INSERT_DOUBTFUL,
        i8(row_id[at]), i8(points.columns.t_ms[at]), i8(points.columns.track_id[at]), i8(points.offset[at]),
        f8(points.columns.valence[at]), f8(points.columns.arousal[at]), i4(verdict.number[at]),
        *(i4(box[at]) for box in points.columns.boxes), i2(points.partition[at]), [texts.at(i) for i in at.tolist()],
    )  # fmt: skip
    inserted = np.zeros(len(points), np.bool_)
    inserted[np.fromiter((row[0] for row in done), np.int64, len(done)) - int(row_id[0])] = True
    return inserted


def _delete(table: str) -> str:
    """SQL that deletes what came from some partitions; persons and sessions, which know theirs, go last."""
    if table in ("persons", "sessions", "points_aside"):
        return f"DELETE FROM {table} WHERE kafka_partition = ANY(%s)"  # noqa: S608
    owner, key = ("sessions", "device_id, session_id") if table == "heatmaps" else ("persons", "person_id")
    return f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {owner} WHERE kafka_partition = ANY(%s))"  # noqa: S608


_COLUMNS: Final = ", ".join(sql.POINT_COLUMNS)
_COPY: Final = f"COPY {{}} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_TAKE_IDS: Final = "SELECT setval('points_id_seq', nextval('points_id_seq') + %s)"
_INSERT_DOUBTFUL: Final = f"""
INSERT INTO emotion_points ({_COLUMNS})
SELECT id, t_ms, track_id, kafka_offset, valence, arousal, person_id, NULLIF(x1, {NO_BOX}), NULLIF(y1, {NO_BOX}),
       NULLIF(x2, {NO_BOX}), NULLIF(y2, {NO_BOX}), kafka_partition, absolute_time
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::int[],
            %s::int[], %s::int[], %s::int[], %s::int[], %s::smallint[], %s::text[])
     AS n(id, t_ms, track_id, kafka_offset, valence, arousal, person_id, x1, y1, x2, y2, kafka_partition, absolute_time)
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608 - made of constants
# One row per point put aside; its columns are null where the point had been there before.
_RESOLVE: Final = f"""
WITH next AS MATERIALIZED (
    SELECT kafka_partition, kafka_offset, id FROM points_aside ORDER BY kafka_partition, kafka_offset, id LIMIT %s
), gone AS (
    DELETE FROM points_aside a USING next
    WHERE (a.kafka_partition, a.kafka_offset, a.id) = (next.kafka_partition, next.kafka_offset, next.id) RETURNING a.*
), added AS (
    INSERT INTO emotion_points ({_COLUMNS})
    SELECT DISTINCT ON (person_id, t_ms, track_id) {_COLUMNS} FROM gone
    ORDER BY person_id, t_ms, track_id, kafka_offset, id
    ON CONFLICT DO NOTHING RETURNING id, person_id, t_ms, valence, arousal, kafka_offset
)
SELECT added.person_id, added.t_ms, added.valence, added.arousal, added.kafka_offset
FROM gone LEFT JOIN added USING (id)
"""  # noqa: S608 - made of constants


def _make_keys(schema: str) -> str:
    return f"{sql.keyed(schema)}; CREATE INDEX ON {schema}.points_aside (kafka_partition, kafka_offset, id)"


def _clean_up(schema: str) -> str:
    # The points are found by their key, whose making has counted them; autovacuum looks at the rest.
    counted = ", ".join(f"{schema}.{table}" for table in _TABLES if table != "emotion_points")
    return f"DROP TABLE IF EXISTS {schema}.points_aside; ANALYZE {counted}"


def _resolve(projector: EmotionLogs, transaction: Transaction) -> int:
    return projector.resolve(transaction)


READ_MODEL = ReadModel(
    name="emotion_logs",
    topics=("emotion.points",),
    ddl=sql.tables,
    views=sql.VIEWS,
    projector=EmotionLogs,
    checksums=sql.CHECKSUMS,
    bulk=BulkLoad(drop_keys=sql.loose, make_keys=_make_keys, resolve=_resolve, clean_up=_clean_up),
)
