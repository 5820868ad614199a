"""A processor behind the wrapper beside a bare aiokafka loop that takes the same step and promises nothing.

Events of 100 points; from the first event processed to the last. `moments` is the real processor (few outputs),
`counting` emits an output per event, each of which the wrapper awaits before it goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka.admin import AdminClient, NewTopic

from ops.topics import ensure
from producers.publisher import Message, Publisher
from schemas import serde
from schemas.topics import TOPICS
from streams.runtime.committer import Committer, Group
from streams.runtime.faust_member import FaustMember, MemberSettings
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.runtime.past import KafkaPast
from streams.runtime.quiet import quieten
from streams.steps import Event
from streams.topology import PROCESSORS, Processor
from tests.drivers.emotion_points import traffic
from tests.drivers.streaming import counting

DEADLINE_S = 120


def prepare(bootstrap: str, posts: int) -> tuple[str, str]:
    """Topics of this run: a full one to read, an empty one to write."""
    ensure(bootstrap, TOPICS)
    name = f"bench{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(f"{name}.{end}", 4, 1) for end in ("in", "out")]).values():
        made.result(20)
    encode = serde.encoder("EmotionPointsRecorded")
    publisher = Publisher(bootstrap, client_id="bench", linger_ms=20, deadline_s=60)
    publisher.publish_all([Message(f"{name}.in", one["device_id"].encode(), encode(one), []) for one in traffic(posts)])
    publisher.close()
    return f"{name}.in", f"{name}.out"


async def rate_of(processed: Callable[[], int], posts: int) -> float:
    """Events/s between the first and the last one processed."""
    deadline = time.perf_counter() + DEADLINE_S
    while not (begun := processed()):  # noqa: ASYNC110 - the counter belongs to the code under measure
        await asyncio.sleep(0.001)
    begin = time.perf_counter()
    while processed() < posts:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{processed()} of {posts} events in {DEADLINE_S} s")
        await asyncio.sleep(0.005)
    return (posts - begun) / (time.perf_counter() - begin)


async def wrapped(bootstrap: str, processor: Processor[Any], posts: int) -> float:
    """Events/s through Faust and the wrapper, with a new group."""
    loop, executor = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    past, publisher = KafkaPast(bootstrap, processor.name, processor.topic_in), Publisher(bootstrap, client_id="bench")

    def blocking(call: Callable[[], Any], /) -> asyncio.Future[Any]:
        return loop.run_in_executor(executor, call)

    await blocking(past.establish)
    lanes = Lanes(Surroundings(processor, past, publisher, blocking))
    member = FaustMember(bootstrap, processor, lanes.take, instance="bench", settings=MemberSettings())
    committer = Committer(lanes, Group(member.generation, member.commit), publisher, blocking)
    committing = asyncio.create_task(committer.run(0.5))
    try:
        await member.start()
        return await rate_of(lambda: lanes.processed, posts)
    finally:
        committing.cancel()
        await member.stop()
        publisher.close()
        past.close()


async def bare(bootstrap: str, processor: Processor[Any], posts: int) -> float:
    """Events/s of aiokafka alone: no group, no positions, outputs not awaited, the step in the event loop."""
    consumer = AIOKafkaConsumer(processor.topic_in, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await consumer.start()
    await producer.start()
    state, done, begin = processor.state.empty(), 0, 0.0
    try:
        async for message in consumer:
            begin = begin or time.perf_counter()
            name, body = serde.decode(message.value)
            state, emitted = processor.step(state, Event(name, body, message.timestamp))
            for one in emitted:
                await producer.send(processor.topic_out, serde.encode(one.name, one.record), key=one.key)
            done += 1
            if done == posts:
                break
        await producer.flush()
        return posts / (time.perf_counter() - begin)
    finally:
        await producer.stop()
        await consumer.stop()


def measure(bootstrap: str, posts: int = 2000, rounds: int = 3) -> dict[str, float]:
    """Medians in events/s, and the ratio of both, per processor."""
    quieten()
    topic_in, topic_out = prepare(bootstrap, posts)
    lines: Sequence[tuple[str, Processor[Any]]] = (("moments", PROCESSORS[0]), ("counting", counting()))
    figures: dict[str, float] = {}
    for label, line in lines:
        rates: list[tuple[float, float]] = []
        for _ in range(rounds):
            one = replace(line, name=f"b{uuid.uuid4().hex[:8]}", topic_in=topic_in, topic_out=topic_out)
            rates.append((asyncio.run(bare(bootstrap, one, posts)), asyncio.run(wrapped(bootstrap, one, posts))))
        alone, guarded = (statistics.median(column) for column in zip(*rates, strict=True))
        figures |= {f"{label}_bare": alone, f"{label}_wrapped": guarded, f"{label}_ratio": guarded / alone}
    return figures


def main() -> None:
    """Print the figures for the Kafka named by the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name, value in measure(os.environ["KAFKA_BOOTSTRAP_SERVERS"], options.posts, options.rounds).items():
        print(f"{name:18} {value:,.2f}")


if __name__ == "__main__":
    main()
