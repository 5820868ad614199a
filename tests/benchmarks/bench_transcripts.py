"""End of speech to transcript on the whole system: how long after the silence gap is known a dialogue can be read.

A dialogue of `--speech` seconds is posted as one chunk, then a chunk of quiet that proves the gap. The clock starts
with the post of the quiet chunk and ends when the row says DONE: gap and chunk length are not in it. One dialogue after
the other, then `--at-once` counters at the same time; what Whisper itself took is told beside it.
"""

from __future__ import annotations

import argparse
import statistics
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import psycopg

from tests.drivers.speech import RATE
from tests.drivers.stack import Stack, fresh_stack
from tests.drivers.voices import encoded, quiet
from tests.drivers.waiting import eventually

GAP_S = 12
QUIET_S = GAP_S + 3
SILENT_TAIL_S = 1


class Counter:
    """A registered recorder and its clock, which only moves when it posts."""

    def __init__(self, stack: Stack, http: httpx.Client) -> None:
        self._http = http
        self._ids = {name: str(uuid.uuid4()) for name in ("point_id", "register_id", "device_id")}
        self._token = uuid.uuid4().hex
        self._now = datetime.now(UTC) - timedelta(hours=1)
        device = self._ids | {"token_plain": self._token}
        answer = http.post(
            "/api/v1/admin/devices", json=device, headers={"Authorization": f"Bearer {stack.admin_token}"}
        )
        assert answer.status_code == 201, answer.text

    @property
    def device_id(self) -> str:
        return self._ids["device_id"]

    def post(self, samples: np.ndarray) -> None:
        end = self._now + timedelta(seconds=samples.size / RATE)
        fields = self._ids | {
            "start_ts": self._now.isoformat(), "end_ts": end.isoformat(),
            "codec": "opus", "sample_rate": "48000", "channels": "1",
        }  # fmt: skip
        sound = encoded(samples, "ogg", "libopus", bit_rate=24_000)
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._http.post(
            "/api/v1/chunks", data=fields, files={"chunk_file": ("c.ogg", sound, "audio/ogg")}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        self._now = end


def speech(seconds: float) -> np.ndarray:
    """A line of the demo's script, spoken again and again up to this length."""
    from edge_agents.recorder.voices import Synthesiser

    voice = Synthesiser()
    line = voice.say("Good morning, what can I get for you today?", "en", "seller").astype(np.float32)
    count = int(line.size * RATE / voice.sample_rate)
    line = np.interp(np.linspace(0, line.size - 1, count), np.arange(line.size), line).astype(np.int16)
    said = np.concatenate([line, quiet(0.6)])
    return np.tile(said, int(seconds * RATE / said.size) + 1)[: int(seconds * RATE)]


def until_read(database: str, device_id: str, count: int) -> None:
    """Until so many dialogues of a device can be read."""
    with psycopg.connect(database, autocommit=True) as connection:

        def done() -> bool:
            row = connection.execute(
                "SELECT count(*) FROM dialogues WHERE device_id = %s AND asr_status = 'DONE'", (device_id,)
            ).fetchone()
            return row is not None and row[0] >= count

        eventually(done, timeout=300)


def one(stack: Stack, counter: Counter, sound: np.ndarray, nth: int) -> float:
    """Seconds from the proof of the gap to the transcript."""
    counter.post(np.concatenate([sound, quiet(SILENT_TAIL_S)]))
    begin = time.perf_counter()
    counter.post(quiet(QUIET_S))
    until_read(stack.database_url, counter.device_id, nth)
    return time.perf_counter() - begin


def hearing(database: str) -> float:
    """Median of the seconds that recognition itself took, without anything around it."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM asr_finished_at - asr_started_at))"
            " FROM dialogues WHERE asr_status = 'DONE'"
        ).fetchone()
    return float(row[0]) if row else 0.0


def told(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{name}: p50 {statistics.median(ordered):.2f} s, p99 {p99:.2f} s ({len(ordered)} dialogues)", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--speech", type=float, default=8.0)
    options = parser.parse_args(arguments)
    sound = speech(options.speech)
    with (
        fresh_stack({"WHISPER_MODEL_ACCURATE": "base", "WHISPER_LANGUAGE": "en"}) as stack,
        httpx.Client(base_url=stack.base_url, timeout=60) as http,
    ):
        counter = Counter(stack, http)
        one(stack, counter, sound, 1)  # loads the model
        told("one after the other", [one(stack, counter, sound, 2 + n) for n in range(options.dialogues)])
        print(f"   of which recognition: {hearing(stack.database_url):.2f} s", flush=True)
        counters = [Counter(stack, http) for _ in range(options.at_once)]
        run: Callable[[Counter], float] = lambda at: one(stack, at, sound, 1)  # noqa: E731
        with ThreadPoolExecutor(options.at_once) as pool:
            told(f"{options.at_once} counters at once", list(pool.map(run, counters)))


if __name__ == "__main__":
    main()
