"""Synthetic posts of face sensors, as their events: 100 points at about 10 Hz of one person, many devices. Seeded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MOSCOW = timezone(timedelta(hours=3))


def post(
    device: str = "raspberry_pi_001",
    session: str = "20260302_120000",
    person: int = 1,
    *,
    t_ms: list[int] | None = None,
    points: int = 3,
    start_ms: int = 1_772_442_000_000,
    seed: int = 0,
    **columns: Any,
) -> dict[str, Any]:
    """One EmotionPointsRecorded; `columns` replaces whole columns."""
    times = t_ms if t_ms is not None else [start_ms + 100 * i for i in range(points)]
    n, rng = len(times), np.random.default_rng(seed)
    body: dict[str, Any] = {
        "device_id": device,
        "session_id": session,
        "dialect": "V2",
        "site_zone": None,
        "session_person_id": [person] * n,
        "track_id": [72] * n,
        "t_ms": times,
        "absolute_time": [sent_time(t) for t in times],
        "valence": np.round(np.clip(rng.normal(0.1, 0.3, n), -1, 1), 4).tolist(),
        "arousal": np.round(np.clip(rng.normal(0.2, 0.3, n), -1, 1), 4).tolist(),
        "bbox_x1": rng.integers(0, 500, n).tolist(),
        "bbox_y1": rng.integers(0, 500, n).tolist(),
        "bbox_x2": rng.integers(500, 900, n).tolist(),
        "bbox_y2": rng.integers(500, 900, n).tolist(),
    }
    return body | columns


def sent_time(t_ms: int) -> str:
    """A time as a sensor in Moscow writes it, to the second."""
    if not 0 <= t_ms < 10**13:
        return "1900-01-01T00:00:00+03:00"
    return datetime.fromtimestamp(t_ms / 1000, MOSCOW).isoformat(timespec="seconds")


def traffic(posts: int, *, points: int = 100, devices: int = 40, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Posts as they come in: devices take turns, each person is seen for some posts, then the next one."""
    rng = np.random.default_rng(seed)
    clock_ms = int(START.timestamp() * 1000)
    person, left, at = [1] * devices, rng.integers(1, 6, devices), [clock_ms] * devices
    for i in range(posts):
        d = i % devices
        step = rng.integers(80, 121, points)
        times = (at[d] + np.cumsum(step)).tolist()
        at[d] = times[-1]
        session = f"20260302_{9 + i // (devices * 50):06d}"
        yield post(f"raspberry_pi_{d:03d}", session, person[d], t_ms=times, seed=seed + i)
        left[d] -= 1
        if left[d] == 0:
            person[d] += 1
            left[d] = rng.integers(1, 6)
            at[d] += 5000
