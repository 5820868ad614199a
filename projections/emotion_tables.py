"""Tables, views and checksums of the read model `emotion_logs`, as SQL in a schema of any name. Text only."""

from __future__ import annotations

from typing import Final

FIRST_MONTH: Final = (2015, 1)
LAST_MONTH: Final = (2040, 12)
"""Points outside these months have absurd dates and lie in partitions of their own."""
PAST_END_MS: Final = 1_420_070_400_000  # 2015-01-01T00:00Z
FUTURE_START_MS: Final = 2_240_611_200_000  # 2041-01-01T00:00Z

POINT_COLUMNS: Final = (
    "id", "t_ms", "track_id", "kafka_offset", "valence", "arousal", "person_id",
    "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "kafka_partition", "absolute_time",
)  # fmt: skip
"""In the order of the table: eight-byte columns first, so that nothing is lost to alignment."""

VIEWS: Final = {
    "emotion_logs": (
        "id", "device_id", "session_id", "session_person_id", "person_id", "track_id", "t_ms", "absolute_time",
        "valence", "arousal", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "topic", "kafka_partition", "kafka_offset",
    ),
    "emotion_points": POINT_COLUMNS,
    "persons": (
        "person_id", "device_id", "session_id", "session_person_id", "n_points", "sum_valence", "sum_arousal",
        "min_ms", "max_ms", "kafka_partition", "first_offset", "last_offset",
    ),
    "sessions": ("device_id", "session_id", "n_points", "n_persons", "min_ms", "max_ms", "kafka_partition"),
    "buckets": (
        "person_id", "level", "bucket_ms", "n", "sum_valence", "sum_arousal",
        "min_valence", "min_valence_ms", "max_valence", "max_valence_ms",
        "min_arousal", "min_arousal_ms", "max_arousal", "max_arousal_ms",
    ),
    "heatmaps": ("device_id", "session_id", "cells"),
}  # fmt: skip

_TABLES: Final = """
CREATE TABLE {s}.persons (
    person_id         int PRIMARY KEY,
    device_id         text NOT NULL,
    session_id        text NOT NULL,
    session_person_id bigint NOT NULL,
    n_points          bigint NOT NULL,
    sum_valence       bigint NOT NULL,  -- fixed point, 1e-9
    sum_arousal       bigint NOT NULL,
    min_ms            bigint NOT NULL,
    max_ms            bigint NOT NULL,
    kafka_partition   smallint NOT NULL,
    first_offset      bigint NOT NULL,
    last_offset       bigint NOT NULL,
    UNIQUE (device_id, session_id, session_person_id)
) WITH (fillfactor = 80);

CREATE TABLE {s}.sessions (
    device_id       text NOT NULL,
    session_id      text NOT NULL,
    n_points        bigint NOT NULL,
    n_persons       bigint NOT NULL,
    min_ms          bigint NOT NULL,
    max_ms          bigint NOT NULL,
    kafka_partition smallint NOT NULL,
    PRIMARY KEY (device_id, session_id)
) WITH (fillfactor = 80);
CREATE INDEX sessions_newest ON {s}.sessions (max_ms DESC, device_id, session_id);

CREATE SEQUENCE {s}.points_id_seq;
CREATE TABLE {s}.emotion_points (
    id              bigint NOT NULL DEFAULT nextval('{s}.points_id_seq'),
    t_ms            bigint NOT NULL,
    track_id        bigint NOT NULL,
    kafka_offset    bigint NOT NULL,
    valence         double precision NOT NULL,
    arousal         double precision NOT NULL,
    person_id       int NOT NULL,
    bbox_x1         int,
    bbox_y1         int,
    bbox_x2         int,
    bbox_y2         int,
    kafka_partition smallint NOT NULL,
    absolute_time   text NOT NULL,
    CONSTRAINT points_pkey PRIMARY KEY (person_id, t_ms, track_id)
) PARTITION BY RANGE (t_ms);
ALTER SEQUENCE {s}.points_id_seq OWNED BY {s}.emotion_points.id;
CREATE TABLE {s}.points_past PARTITION OF {s}.emotion_points FOR VALUES FROM (MINVALUE) TO ({past});
CREATE TABLE {s}.points_future PARTITION OF {s}.emotion_points FOR VALUES FROM ({future}) TO (MAXVALUE);

CREATE TABLE {s}.buckets (
    person_id      int NOT NULL,
    level          smallint NOT NULL,  -- buckets of 4 s * 8^level, aligned to the epoch
    bucket_ms      bigint NOT NULL,
    n              int NOT NULL,
    sum_valence    bigint NOT NULL,
    sum_arousal    bigint NOT NULL,
    min_valence    double precision NOT NULL,
    min_valence_ms bigint NOT NULL,    -- of the earliest point with that value
    max_valence    double precision NOT NULL,
    max_valence_ms bigint NOT NULL,
    min_arousal    double precision NOT NULL,
    min_arousal_ms bigint NOT NULL,
    max_arousal    double precision NOT NULL,
    max_arousal_ms bigint NOT NULL,
    PRIMARY KEY (person_id, level, bucket_ms)
) WITH (fillfactor = 80);

CREATE TABLE {s}.heatmaps (
    device_id  text NOT NULL,
    session_id text NOT NULL,
    cells      int[] NOT NULL,         -- 20 x 20 over -1..1: cells[arousal_row * 20 + valence_column + 1]
    PRIMARY KEY (device_id, session_id)
) WITH (fillfactor = 50);

CREATE VIEW {s}.emotion_logs AS
SELECT q.id, p.device_id, p.session_id, p.session_person_id, q.person_id, q.track_id, q.t_ms, q.absolute_time,
       q.valence, q.arousal, q.bbox_x1, q.bbox_y1, q.bbox_x2, q.bbox_y2,
       'emotion.points'::text AS topic, q.kafka_partition, q.kafka_offset
FROM {s}.emotion_points q JOIN {s}.persons p USING (person_id);
"""

_LOOSE_POINTS: Final = """
ALTER TABLE {s}.emotion_points DROP CONSTRAINT points_pkey;
CREATE TABLE {s}.points_aside (LIKE {s}.emotion_points);
"""
_KEYED_POINTS: Final = (
    "ALTER TABLE {s}.emotion_points ADD CONSTRAINT points_pkey PRIMARY KEY (person_id, t_ms, track_id)"
)

_PERSON: Final = "p.device_id, p.session_id, p.session_person_id"
# Offsets are left out: what live has from a redriven dead letter, a replay has from the original, which lies earlier.
CHECKSUMS: Final = {
    "emotion_points": (
        f"{_PERSON}, q.track_id, q.t_ms, q.absolute_time, (q.valence * 1e9)::bigint, (q.arousal * 1e9)::bigint,"
        " q.bbox_x1, q.bbox_y1, q.bbox_x2, q.bbox_y2, q.kafka_partition"
        " | {s}.emotion_points q JOIN {s}.persons p USING (person_id)"
    ),
    "persons": (
        f"{_PERSON}, p.n_points, p.sum_valence, p.sum_arousal, p.min_ms, p.max_ms, p.kafka_partition"
        " | {s}.persons p"
    ),
    "sessions": (
        "device_id, session_id, n_points, n_persons, min_ms, max_ms, kafka_partition | {s}.sessions"
    ),
    "buckets": (
        f"{_PERSON}, b.level, b.bucket_ms, b.n, b.sum_valence, b.sum_arousal, (b.min_valence * 1e9)::bigint,"
        " b.min_valence_ms, (b.max_valence * 1e9)::bigint, b.max_valence_ms, (b.min_arousal * 1e9)::bigint,"
        " b.min_arousal_ms, (b.max_arousal * 1e9)::bigint, b.max_arousal_ms"
        " | {s}.buckets b JOIN {s}.persons p USING (person_id)"
    ),
    "heatmaps": "device_id, session_id, cells | {s}.heatmaps",
}  # fmt: skip


def tables(schema: str) -> str:
    """SQL that makes every table and view of one version."""
    return _TABLES.format(s=schema, past=PAST_END_MS, future=FUTURE_START_MS)


def loose(schema: str) -> str:
    """SQL for a fresh load: points without their key, and a table for rows that may be there already."""
    return _LOOSE_POINTS.format(s=schema)


def keyed(schema: str) -> str:
    """SQL that gives the points their key, on every partition."""
    return _KEYED_POINTS.format(s=schema)


def month_table(year: int, month: int) -> str:
    """Name of a month's partition."""
    return f"points_y{year:04d}m{month:02d}"


def month_partition(schema: str, year: int, month: int, bounds: tuple[int, int]) -> str:
    """SQL for one month's partition of `bounds` [from, to) in ms; readers of the others are not held up."""
    name = f"{schema}.{month_table(year, month)}"
    return (
        f"CREATE TABLE {name} (LIKE {schema}.emotion_points INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
        f"ALTER TABLE {schema}.emotion_points ATTACH PARTITION {name} FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]});"
    )
