"""Devices that post for ever and keep what they were told: duplicates, late and reordered posts included."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

import httpx

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SITE = timezone(timedelta(hours=3))
PACE_S = 0.02
START_MS = 1_765_289_734_000
POINTS = 20

Point = tuple[str, str, int, int, int]
"""device, session, person, track, t_ms: a point's identity."""


@dataclass
class Device:
    """One device: posts its points in order, repeats some, sends some late; a refused post is sent again, unchanged."""

    name: str
    url: str
    seed: int
    stop: threading.Event
    sent: dict[Point, tuple[float, float]] = field(default_factory=dict)
    acknowledged: set[Point] = field(default_factory=set)
    in_order: list[int] = field(default_factory=list)
    posts: int = 0
    refusals: int = 0

    def run(self) -> None:
        draw = random.Random(f"{self.seed}/{self.name}")
        late: dict | None = None
        number = 0
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stop.wait(PACE_S):
                post = self.make(number, draw)
                number += 1
                if late is None and draw.random() < 0.15:
                    late = post  # reordered: the next one goes first
                    continue
                self.deliver(client, post, draw)
                self.in_order.append(post["records"][0]["t_ms"])
                if draw.random() < 0.2:
                    self.deliver(client, post, draw)
                if late is not None:
                    self.deliver(client, late, draw)
                    late = None
            if late is not None:
                self.deliver(client, late, draw)

    def make(self, number: int, draw: random.Random) -> dict:
        """Post `number`: a person is seen for five posts; a smile comes and goes."""
        person, session = number // 5, f"session_{number // 50}"
        records = []
        for at in range(POINTS):
            t_ms = START_MS + (number * POINTS + at) * 100
            excited = number % 5 in (2, 3)
            affect = round(draw.uniform(0.7, 0.95) if excited else draw.uniform(-0.1, 0.1), 4)
            records.append({"person": person, "t_ms": t_ms, "valence": affect, "arousal": round(affect / 2, 4)})
        return {"session": session, "records": records}

    def deliver(self, client: httpx.Client, post: dict, draw: random.Random) -> None:
        body = {"device_id": self.name, "session_id": post["session"], "records": [as_sent(r) for r in post["records"]]}
        points = {(self.name, post["session"], r["person"], 1, r["t_ms"]): r for r in post["records"]}
        self.sent |= {point: (r["valence"], r["arousal"]) for point, r in points.items()}
        headers = {"Prefer": "respond-async"} if draw.random() < 0.5 else {}
        while True:
            try:
                answer = client.post("/api/v1/logs/bulk", json=body, headers=headers)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code in (200, 202) and answer.json()["ok"]:
                break
            assert answer is None or answer.status_code >= 500 or answer.status_code == 429, answer.text
            self.refusals += 1
            threading.Event().wait(0.05)
        self.acknowledged |= points.keys()
        self.posts += 1


def as_sent(record: dict) -> dict:
    """A record in the words of seed 000."""
    moment = EPOCH + timedelta(milliseconds=record["t_ms"])
    return {
        "session_person_id": record["person"],
        "track_id": 1,
        "absolute_time": moment.astimezone(SITE).isoformat(timespec="milliseconds"),
        "valence": record["valence"],
        "arousal": record["arousal"],
    }


class Load:
    """Several devices at once, each in a thread; `stop` waits until every post under way was acknowledged."""

    def __init__(self, url: str, seed: int, devices: int = 4, prefix: str = "device") -> None:
        self._stop = threading.Event()
        self.devices = [Device(f"{prefix}_{n}", url, seed, self._stop) for n in range(devices)]
        self._threads = [threading.Thread(target=device.run, daemon=True) for device in self.devices]
        for thread in self._threads:
            thread.start()

    @property
    def posts(self) -> int:
        """Posts acknowledged so far."""
        return sum(device.posts for device in self.devices)

    def stop(self, timeout: float = 90) -> None:
        """End the load; AssertionError when a device cannot get rid of its posts."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)
            assert not thread.is_alive(), "a device still waits for an acknowledgement"
