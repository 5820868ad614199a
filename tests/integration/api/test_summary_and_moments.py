"""GET /api/dashboard/summary (seed 001) and GET /v1/moments against real tables."""

from __future__ import annotations

import re
from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.api.conftest import DAY, START

SESSION = "device_id={}&session_id={}".format(*DAY)
PEOPLE = [
    ("Zoë", (1.5, 1.5, 0, 0), "2025-11-14T12:34:56Z", "happy", "2025-11-14T12:34:56Z"),
    ("Adam", (0, 0, 0, 0), "2025-11-14T15:34:56.5+03:00", "neutral", "2025-11-14T12:34:56.500000Z"),
    ("<b>", (0, 2, 2, 2), "2025-11-14T12:00:00Z", "sad", "2025-11-14T12:00:00Z"),
    ("Eve", (0.1, 0.2, 0.25, 9), "2025-11-14T12:00:01Z", "neutral", "2025-11-14T12:00:01Z"),
]
MOMENT = """
    INSERT INTO emotion_moments VALUES
    (%s, %s, %s, %s, 'VALENCE', 'STRONG', 'UP', %s, %s, 0.8, 0.1, 0.9, %s, 'emotion.moments', 2, 17)
"""


@pytest.fixture(scope="module")
def reported(filled: psycopg.Connection[Any]) -> None:
    """Totals of jetson_1, and three moments of which one is still open."""
    for name, times, seen, *_ in PEOPLE:
        filled.execute(
            "INSERT INTO person_emotions (device_id, person_id, time_happy, time_sad, time_angry, time_neutral,"
            " last_seen, reported_us, topic, kafka_partition, kafka_offset)"
            " VALUES ('jetson_1', %s, %s, %s, %s, %s, %s, 0, 'emotion.totals', 0, 0)",
            (name, *times, seen),
        )
    filled.execute("INSERT INTO device_totals VALUES ('jetson_1', 1600000, 3700000, 2250000, 11000000)")
    for i, (person, end) in enumerate([(5, START + 2000), (5, None), (2, START + 9000)]):
        start = START + 1000 * i
        filled.execute(MOMENT, (f"00000000-0000-0000-0000-00000000000{i}", *DAY, person, start, end, start + 1))


@pytest.mark.usefixtures("reported")
async def test_summary_is_what_every_page_of_the_seed_reads(client: httpx.AsyncClient) -> None:
    summary = (await client.get("/api/dashboard/summary")).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", summary.pop("updated_at"))
    people = summary.pop("current_people")
    assert summary == {
        "device_id": "jetson_1", "device_name": "Entrance Camera",
        "emotion_totals": {"happy": 1.6, "sad": 3.7, "angry": 2.25, "neutral": 11.0},
        "model_fps": 12.5, "frontend_fps": 0.0,
    }  # fmt: skip
    assert [(p["person_id"], p["current_emotion"], p["last_seen"]) for p in people] == [
        (name, emotion, seen) for name, _, _, emotion, seen in PEOPLE
    ]
    assert [people[3][f"time_{emotion}"] for emotion in ("happy", "sad", "angry", "neutral")] == [0.1, 0.2, 0.25, 9]


@pytest.mark.parametrize(("device", "name"), [("jetson_2", "Back door"), ("", "Entrance Camera")])
async def test_an_unknown_device_is_zeros_not_404(client: httpx.AsyncClient, device: str, name: str) -> None:
    answer = await client.get("/api/dashboard/summary", params={"device_id": device})
    summary = answer.json()
    assert (answer.status_code, summary["device_id"], summary["device_name"]) == (200, device, name)
    assert summary["emotion_totals"] == {"happy": 0.0, "sad": 0.0, "angry": 0.0, "neutral": 0.0}
    assert (summary["current_people"], summary["model_fps"]) == ([], 0.0)


@pytest.mark.usefixtures("reported")
async def test_devices_with_totals_are_listed(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/dashboard/devices")).json()
    assert listed == [{"device_id": "jetson_1", "device_name": "Entrance Camera"}]


@pytest.mark.usefixtures("reported")
async def test_moments_name_their_person_and_their_event(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/moments?" + SESSION)).json()
    assert answer["count"] == 3
    assert answer["records"][1] == {
        "moment_id": "00000000-0000-0000-0000-000000000001", "device_id": DAY[0], "session_id": DAY[1],
        "session_person_id": 5, "signal": "VALENCE", "kind": "STRONG", "direction": "UP",
        "start_ms": START + 1000, "end_ms": None, "value": 0.8, "baseline": 0.1, "peak": 0.9, "peak_ms": START + 1001,
        "topic": "emotion.moments", "kafka_partition": 2, "kafka_offset": 17,
    }  # fmt: skip


@pytest.mark.usefixtures("reported")
async def test_moments_have_pages_persons_and_times(client: httpx.AsyncClient) -> None:
    first = await client.get(f"/v1/moments?{SESSION}&limit=2")
    rest = await client.get("/v1/moments" + first.links["next"]["url"])
    assert [row["start_ms"] - START for row in first.json()["records"] + rest.json()["records"]] == [0, 1000, 2000]
    assert "next" not in rest.links
    assert (await client.get(f"/v1/moments?{SESSION}&session_person_id=2")).json()["count"] == 1
    assert (await client.get(f"/v1/moments?{SESSION}&to_ms={START + 1000}")).json()["count"] == 1
    assert (await client.get(f"/v1/moments?{SESSION}&from_ms={START + 5000}")).json()["count"] == 1
    assert (await client.get("/v1/moments")).status_code == 422
