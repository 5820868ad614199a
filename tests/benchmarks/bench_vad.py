"""Voice activity through Kafka and a child process beside a bare loop over the same files: decode, then webrtcvad.

`vad_ratio`: the processor with one child against the bare loop in one process, the same files in the same run, seconds
of audio a second. `vad_both`: the processor with a child a core. Then an hour from each of 50 devices at once: how
long it takes and what the processes hold at most.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import webrtcvad
from confluent_kafka.admin import AdminClient, NewTopic

from ops.topics import ensure
from producers.publisher import Message, Publisher
from schemas import examples, serde
from schemas.topics import TOPICS
from streams.processors import voice_activity
from streams.runtime.committer import Committer, Group
from streams.runtime.faust_member import FaustMember, MemberSettings
from streams.runtime.lanes import Lanes, Surroundings
from streams.runtime.past import KafkaPast
from streams.runtime.patience import Patience
from streams.runtime.quiet import quieten
from streams.topology import STATELESS, Limits, Processor
from streams.workers.pool import ChildLimits, ChildPool
from tests.drivers.speech import MEDIA, RATE, stored
from tests.drivers.voices import encoded, spoken

CHUNK_S = 60
DEADLINE_S = 1200
PARTITIONS = 4


@dataclass(frozen=True)
class Recordings:
    """Chunks of a minute in an audio folder, and their claims."""

    folder: Path
    files: list[bytes]
    claims: list[dict[str, Any]]


def record(folder: Path, count: int = 6) -> Recordings:
    """Opus at 24 kbit/s, as recorders send it: the sample minute from different moments on, else a made voice."""
    files = [_opus(np.roll(_minute(), n * 5 * RATE)) for n in range(count)]
    return Recordings(folder, files, [stored(folder, data, f"{n}") for n, data in enumerate(files)])


def _minute() -> np.ndarray:
    sample = MEDIA / "speech" / "silero_test_60s.wav"
    if not sample.is_file():
        return spoken([(ms, ms + 2500) for ms in range(1000, 57_000, 6000)], CHUNK_S * 1000)
    with av.open(str(sample)) as file:
        blocks = [one.to_ndarray().reshape(-1) for one in file.decode(audio=0)]
    return np.concatenate(blocks)


def _opus(samples: np.ndarray) -> bytes:
    return encoded(samples, "ogg", "libopus", bit_rate=24_000)


def bare(recordings: Recordings, chunks: int) -> float:
    """Seconds of audio a second, in one loop without anything around it."""
    begin = time.perf_counter()
    for n in range(chunks):
        with av.open(io.BytesIO(recordings.files[n % len(recordings.files)])) as file:
            resampler = av.AudioResampler("s16", "mono", RATE)
            frames = [
                *(out for one in file.decode(audio=0) for out in resampler.resample(one)),
                *resampler.resample(None),
            ]
        sound = b"".join(bytes(one.planes[0])[: one.samples * 2] for one in frames)
        vad = webrtcvad.Vad(2)
        speech = [vad.is_speech(sound[at : at + 960], RATE) for at in range(0, len(sound) - 959, 960)]
        if not any(speech):
            raise AssertionError("no speech was found")
    return chunks * CHUNK_S / (time.perf_counter() - begin)


def fill(bootstrap: str, recordings: Recordings, devices: int, chunks: int) -> tuple[str, str]:
    """A topic with claims of so many chunks of each device, device by device in turn, and an empty one to write."""
    ensure(bootstrap, TOPICS)
    name = f"bench{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    made = admin.create_topics([NewTopic(f"{name}.{end}", PARTITIONS, 1) for end in ("in", "out")])
    for one in made.values():
        one.result(20)
    publisher = Publisher(bootstrap, client_id="bench", linger_ms=20, deadline_s=60)
    encode = serde.encoder("AudioChunkUploaded")
    messages = [
        Message(f"{name}.in", f"d{device}".encode(), encode(_claim(recordings, device, n)), [])
        for n in range(chunks)
        for device in range(devices)
    ]
    publisher.publish_all(messages)
    publisher.close()
    return f"{name}.in", f"{name}.out"


def _claim(recordings: Recordings, device: int, n: int) -> dict[str, Any]:
    claim = recordings.claims[(device + n) % len(recordings.claims)]
    example = examples.load("AudioChunkUploaded")
    start_us = example["start_us"] + n * CHUNK_S * 1_000_000
    times = {"start_us": start_us, "end_us": start_us + CHUNK_S * 1_000_000}
    where = {name: claim[name] for name in ("sha256", "stored_path")}
    return example | where | times | {"chunk_id": str(uuid.uuid4()), "device_id": f"d{device}"}


async def processed(bootstrap: str, topics: tuple[str, str], folder: Path, events: int, size: int) -> tuple[float, int]:
    """Seconds of audio a second through the wrapper, and the most memory its children held."""
    loop, executor = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    processor = Processor(
        name=f"b{uuid.uuid4().hex[:8]}",
        topic_in=topics[0],
        topic_out=topics[1],
        step=voice_activity.step,
        state=STATELESS,
        limits=Limits(parallel=2 * size),
        request=voice_activity.request,
        capability="voice",
    )
    past, publisher = KafkaPast(bootstrap, processor.name, processor.topic_in), Publisher(bootstrap, client_id="bench")
    pool = ChildPool("streams.workers.voice:open_worker", {"folder": str(folder)}, ChildLimits(1 << 29), size=size)

    def blocking(call: Callable[[], Any], /) -> asyncio.Future[Any]:
        return loop.run_in_executor(executor, call)

    await Patience().until_done(lambda: blocking(past.establish), "positions")
    lanes = Lanes(Surroundings(processor, past, publisher, blocking, pool))
    member = FaustMember(bootstrap, processor, lanes.take, instance="bench", settings=MemberSettings())
    committing = asyncio.create_task(
        Committer(lanes, Group(member.generation, member.commit), publisher, blocking).run(0.5)
    )
    try:
        await member.start()
        rate = await _rate(lanes, events)
        return rate, sum(map(_peak, psutil.Process().children()))
    finally:
        committing.cancel()
        await lanes.close()
        await member.stop()
        await pool.close()
        publisher.close()
        past.close()


async def _rate(lanes: Lanes[Any], events: int) -> float:
    deadline = time.perf_counter() + DEADLINE_S
    while not (begun := lanes.processed):  # noqa: ASYNC110 - the counter belongs to the code under measure
        await asyncio.sleep(0.001)
    begin = time.perf_counter()
    while lanes.processed < events:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{lanes.processed} of {events} chunks in {DEADLINE_S} s")
        await asyncio.sleep(0.002)
    return (events - begun) * CHUNK_S / (time.perf_counter() - begin)


def _peak(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status")
    found = (
        [line for line in lines.read_text("ascii").split("\n") if line.startswith("VmHWM")] if lines.exists() else []
    )
    return int(found[0].split()[1]) * 1024 if found else process.memory_info().rss


def measure(
    bootstrap: str, chunks: int = 200, rounds: int = 3, devices: int = 50, minutes: int = 60
) -> dict[str, float]:
    """Medians in seconds of audio a second, their ratios, and the long run's time and memory in MB."""
    quieten()
    with tempfile.TemporaryDirectory() as folder:
        recordings = record(Path(folder))
        topics = fill(bootstrap, recordings, 10, chunks // 10)
        rows: list[Sequence[float]] = []
        for _ in range(rounds):
            alone = bare(recordings, chunks)
            one, both = (
                asyncio.run(processed(bootstrap, topics, recordings.folder, chunks // 10 * 10, size))[0]
                for size in (1, os.cpu_count() or 1)
            )
            rows.append((alone, one, both, one / alone))
        medians = map(statistics.median, zip(*rows, strict=True))
        figures = dict(zip(("vad_bare", "vad_processor", "vad_both", "vad_ratio"), medians, strict=True))
        if minutes:
            figures |= _long_run(bootstrap, recordings, devices, minutes)
        return figures


def _long_run(bootstrap: str, recordings: Recordings, devices: int, minutes: int) -> dict[str, float]:
    topics = fill(bootstrap, recordings, devices, minutes)
    begin = time.perf_counter()
    rate, children = asyncio.run(
        processed(bootstrap, topics, recordings.folder, devices * minutes, os.cpu_count() or 1)
    )
    return {
        "long_run_s": time.perf_counter() - begin,
        "long_run_rate": rate,
        "long_run_children_mb": children / 1e6,
        "long_run_process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def main() -> None:
    """Print the figures for the Kafka named by the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--minutes", type=int, default=60, help="of each device in the long run; 0: none")
    options = parser.parse_args()
    bootstrap = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    figures = measure(bootstrap, options.chunks, options.rounds, options.devices, options.minutes)
    for name, value in figures.items():
        print(f"{name:22} {value:,.2f}")


if __name__ == "__main__":
    main()
