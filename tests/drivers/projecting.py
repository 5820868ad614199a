"""Read models on a real log: own topics, posts into them, projectors in threads, and SQL on what they wrote."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ops import topics
from ops.errors import OperatorError
from producers.publisher import Message, Publisher
from projections import checksum, runner
from projections.read_model import ReadModel
from projections.registry import READ_MODELS
from schemas import cloudevents, serde
from schemas.envelope import KeyRing, seal
from schemas.errors import TransientFailure
from schemas.record import Record
from schemas.topics import TOPICS
from streams.log_reader import LogReader, TopicPartition
from tests.drivers.waiting import eventually

PARTITIONS = 4
RING = KeyRing({"k1": bytes(range(32))}, "k1")


class Site:
    """One database, and topics under a random prefix."""

    def __init__(self, bootstrap: str, database_url: str, models: Sequence[str] = tuple(READ_MODELS)) -> None:
        self.bootstrap, self.database_url = bootstrap, database_url
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.models: dict[str, ReadModel] = {
            name: replace(READ_MODELS[name], topics=tuple(self.prefix + topic for topic in READ_MODELS[name].topics))
            for name in models
        }
        self.publisher = Publisher(bootstrap, client_id="site", linger_ms=0)
        self.reader = LogReader(bootstrap, "site")
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        # Each once: a name that stands twice in one request crashes confluent-kafka (2.16).
        self.create(*{topic: None for model in self.models.values() for topic in model.topics})
        eventually(self._ensured)
        for model in self.models.values():
            for topic in model.topics:
                eventually(lambda topic=topic: self._answers(topic, PARTITIONS))
        for topic in ("replies", "dead.letters"):
            eventually(lambda topic=topic: self._answers(topic, TOPICS[topic].partitions))

    def create(self, *names: str) -> None:
        """Make topics under this site's prefix."""
        assert all(name.startswith(self.prefix) for name in names), names
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "4194304"}
        wanted = [NewTopic(name, PARTITIONS, 1, config=config) for name in names]
        for future in self.admin.create_topics(wanted).values() if wanted else ():
            future.result()

    def _ensured(self) -> bool:
        """Make the shared topics as the product makes them; a broker may not know yet what it has just made."""
        try:
            return bool(topics.ensure(self.bootstrap, TOPICS))
        except OperatorError as error:
            if "Unknown topic" in str(error):
                return False
            raise

    def _answers(self, topic: str, partitions: int) -> bool:
        """Whether every partition of a fresh topic has its leader."""
        try:
            return len(self.reader.end_offsets(topic)) == partitions
        except TransientFailure:
            return False

    def close(self) -> None:
        """Give the connections back."""
        self.publisher.close()
        self.reader.close()

    def message(self, event: str, body: Mapping[str, Any], *, partition: int = -1, **headers: bytes) -> Message:
        """An event on the topic of its read model."""
        topic = {
            "EmotionPointsRecorded": "emotion.points",
            "EmotionLogsTruncated": "emotion.points",
            "EmotionTotalsReported": "emotion.totals",
            "EmotionMomentDetected": "emotion.moments",
        }[event]
        key = body["device_id"].encode() if "device_id" in body else None
        every = cloudevents.headers(event, id=str(uuid.uuid4()), source="/tests")
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return Message(self.prefix + topic, key, serde.encode(event, body), every + named, partition)

    def post(self, *bodies: Mapping[str, Any], **headers: bytes) -> None:
        """Append posts of points."""
        self.publisher.publish_all([self.message("EmotionPointsRecorded", body, **headers) for body in bodies], 30)

    def report(
        self, device: str, people: Sequence[tuple[Any, ...]], *, at_us: int, ring: KeyRing = RING, **headers: bytes
    ) -> None:
        """Append cumulative times: (person, happy, sad, angry, neutral)."""
        names = ("person_id", "happy", "sad", "angry", "neutral")
        content = {"people": [dict(zip(names, person, strict=True)) for person in people]}
        envelope = seal(ring, device, "PeopleTotals", content)
        body = {"device_id": device, "reported_at_us": at_us, "people": envelope}
        self.publisher.publish_all([self.message("EmotionTotalsReported", body, **headers)])

    def truncate(self, partitions: Sequence[int] = range(PARTITIONS), **headers: bytes) -> None:
        """Append a truncation: a copy in every partition."""
        ends = self.reader.end_offsets(self.prefix + "emotion.points")
        body = {
            "truncation_id": str(uuid.uuid4()),
            "requested_at_ms": 0,
            "end_offsets": [{"partition": p, "offset": o} for p, o in ends.items()],
        }
        self.publisher.publish_all(
            [self.message("EmotionLogsTruncated", body, partition=p, **headers) for p in partitions]
        )

    @contextmanager
    def projector(self, instance: str = "a", ring: KeyRing = RING) -> Generator[None]:
        """A projector process's main function in a thread."""
        stop = threading.Event()
        arguments = (self.bootstrap, self.database_url, ring, instance, stop, self.models)
        thread = threading.Thread(target=runner.run, args=arguments, name=f"projector-{instance}")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def caught_up(self, model: str, *, schema: str | None = None, timeout: float = 30) -> None:
        """Wait until a version (default: the live one) has read its topics to their ends."""
        topics = self.models[model].topics
        ends = {(topic, p): o for topic in topics for p, o in self.reader.end_offsets(topic).items()}
        eventually(lambda: self.positions(model, schema) == ends, timeout)

    def positions(self, model: str, schema: str | None = None) -> dict[tuple[str, int], int]:
        """Stored positions; empty while there are none."""
        try:
            rows = self.sql(
                "SELECT topic, partition, next_offset FROM sensorium.checkpoints JOIN sensorium.models m USING"
                " (schema_name) WHERE m.model = %s AND CASE WHEN %s::text IS NULL THEN state = 'live'"
                " ELSE schema_name = %s END",
                model, schema, schema,
            )  # fmt: skip
        except psycopg.errors.UndefinedTable:
            return {}
        return {(topic, partition): offset for topic, partition, offset in rows}

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)  # pyright: ignore[reportArgumentType]
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *parameters: Any) -> Any:
        """The only value of the only row."""
        return self.sql(statement, *parameters)[0][0]

    def checksum(self, schema: str, model: str) -> dict[str, dict[str, int]]:
        """Of one version."""
        with psycopg.connect(self.database_url) as connection:
            return checksum(connection, schema, model)

    def records(self, topic: str, starts: Mapping[int, int] | None = None) -> list[Record]:
        """Everything on a topic, from the given offsets on."""
        begin = starts or self.reader.beginning_offsets(topic)
        ends = {TopicPartition(topic, p): o for p, o in self.reader.end_offsets(topic).items()}
        found: list[Record] = []
        with LogReader(self.bootstrap, "records") as reader:
            reader.assign({TopicPartition(topic, p): o for p, o in begin.items()})
            while not reader.at_end(ends):
                found += reader.poll_batch(timeout_s=0.5)
        return found

    def live(self, model: str) -> str:
        """Schema of the live version."""
        return str(self.one("SELECT schema_name FROM sensorium.models WHERE model = %s AND state = 'live'", model))


@contextmanager
def site(bootstrap: str, database_url: str, *models: str) -> Generator[Site]:
    """A fresh site in an emptied database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ %s", (f"^(sensorium|{'|'.join(READ_MODELS)})",)
        ).fetchall()
        for (schema,) in rows:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")  # pyright: ignore[reportArgumentType]
    made = Site(bootstrap, database_url, models or tuple(READ_MODELS))
    try:
        yield made
    finally:
        made.close()


EXPECTED_SUMS = """
WITH p AS (SELECT * FROM {s}.emotion_points)
SELECT
  (SELECT count(*) FROM {s}.persons) = (SELECT count(DISTINCT person_id) FROM p) AS persons,
  NOT EXISTS (
    (SELECT person_id, n_points, sum_valence, sum_arousal, min_ms, max_ms, first_offset, last_offset FROM {s}.persons)
    EXCEPT
    (SELECT person_id, count(*), sum((valence * 1e9)::bigint), sum((arousal * 1e9)::bigint), min(t_ms), max(t_ms),
            min(kafka_offset), max(kafka_offset) FROM p GROUP BY 1)) AS person_sums,
  NOT EXISTS (
    (SELECT device_id, session_id, n_points, n_persons, min_ms, max_ms FROM {s}.sessions)
    EXCEPT
    (SELECT device_id, session_id, count(*), count(DISTINCT q.person_id), min(q.t_ms), max(q.t_ms)
     FROM p q JOIN {s}.persons USING (person_id) GROUP BY 1, 2)) AS session_sums,
  (SELECT count(*) FROM {s}.buckets) = (
    SELECT sum(n) FROM (SELECT count(DISTINCT (person_id, floor(t_ms / (4000 * 8 ^ level)))) AS n
    FROM p, generate_series(0, 4) AS level GROUP BY level) AS levels) AS bucket_count,
  NOT EXISTS (
    (SELECT person_id, level::int, bucket_ms, n::bigint, sum_valence, sum_arousal, min_valence, min_valence_ms,
            max_valence, max_valence_ms, min_arousal, min_arousal_ms, max_arousal, max_arousal_ms FROM {s}.buckets)
    EXCEPT
    (SELECT person_id, level, (floor(t_ms / (4000 * 8 ^ level)) * 4000 * 8 ^ level)::bigint, count(*),
            sum((valence * 1e9)::bigint), sum((arousal * 1e9)::bigint),
            min(valence), (array_agg(t_ms ORDER BY valence, t_ms))[1],
            max(valence), (array_agg(t_ms ORDER BY valence DESC, t_ms))[1],
            min(arousal), (array_agg(t_ms ORDER BY arousal, t_ms))[1],
            max(arousal), (array_agg(t_ms ORDER BY arousal DESC, t_ms))[1]
     FROM p, generate_series(0, 4) AS level GROUP BY 1, 2, 3)) AS bucket_sums,
  NOT EXISTS (
    (SELECT device_id, session_id, cell, count FROM {s}.heatmaps, unnest(cells) WITH ORDINALITY AS c(count, cell)
     WHERE count > 0)
    EXCEPT
    (SELECT device_id, session_id,
            1 + 20 * least(19, greatest(0, floor((arousal + 1) * 10)))
              + least(19, greatest(0, floor((valence + 1) * 10))), count(*)
     FROM p JOIN {s}.persons USING (person_id) GROUP BY 1, 2, 3)) AS heat,
  (SELECT COALESCE(sum(c), 0) FROM {s}.heatmaps, unnest(cells) AS c) = (SELECT count(*) FROM p) AS heat_total
"""


def wrong_sums(made: Site, schema: str) -> list[int]:
    """Which aggregates of emotion_logs differ from what SQL makes of the points; empty when none does."""
    row = made.sql(EXPECTED_SUMS.format(s=schema))[0]
    return [i for i, right in enumerate(row) if not right]
