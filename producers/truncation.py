"""Empty the emotion log: one `EmotionLogsTruncated` in every partition, answered when the read model has taken all."""

from __future__ import annotations

import asyncio
import time
import uuid

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producers.answers import Answer, Headers, unavailable, unless_async
from producers.appending import Appender
from schemas.serde import encode

TIMEOUT_S = 5.0


async def truncate(appender: Appender, bootstrap: str, topic: str, request: Headers, *, wait: bool) -> Answer:
    """Append the copies and wait for every one's reply.

    The answer is `ok` true; `applied` false is added when the read model has not emptied everything yet (the
    truncation stands in the log and will be applied).

    Raises:
        answers.Refused: 503 when Kafka has no such topic or does not take every copy;
            ask again, another truncation does no harm.
    """
    try:
        ends = await asyncio.to_thread(end_offsets, bootstrap, topic)
    except KafkaException as error:
        raise unavailable("Kafka does not tell the ends of the log") from error
    if not ends:
        raise unavailable(f"Kafka has no topic {topic}")
    value = encode(
        "EmotionLogsTruncated",
        {
            "truncation_id": str(uuid.uuid4()),
            "requested_at_ms": time.time_ns() // 1_000_000,
            "end_offsets": [{"partition": partition, "offset": offset} for partition, offset in ends],
        },
    )
    drafts = [appender.draft("EmotionLogsTruncated", topic, None, value, request, partition) for partition, _ in ends]
    replies = await appender.append(drafts, wait=wait)
    applied = wait and all(reply is not None for reply in replies)
    return unless_async(wait, {"ok": True} if applied else {"ok": True, "applied": False})


def end_offsets(bootstrap: str, topic: str) -> list[tuple[int, int]]:
    """The end of every partition, in order of partition; none when the topic is missing.

    Blocks; raises `KafkaException` when Kafka is away.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    try:
        partitions = sorted(consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions)
        return [
            (partition, consumer.get_watermark_offsets(TopicPartition(topic, partition), TIMEOUT_S)[1])
            for partition in partitions
        ]
    finally:
        consumer.close()
