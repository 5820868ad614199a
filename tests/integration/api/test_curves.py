"""GET /v1/logs?max_points=N: few points are themselves, many become buckets that keep their extremes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import DAY, START

SESSION = "device_id={}&session_id={}".format(*DAY)
SPIKES = {"max_valence": (0.987, START + 10_000 * 40), "min_valence": (-0.991, START + 15_000 * 40)}


async def _curve(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    answer = await client.get("/v1/logs?" + query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_few_points_are_the_points_themselves(client: httpx.AsyncClient) -> None:
    curve = await _curve(client, "person_id=2&max_points=100")
    assert (curve["bucket_ms"], curve["count"]) == (None, 10)
    assert curve["records"] == (await _curve(client, "person_id=2"))["records"]


@pytest.mark.parametrize("max_points", [20, 100, 600, 1200])
async def test_many_points_become_buckets_with_their_extremes(client: httpx.AsyncClient, max_points: int) -> None:
    curve = await _curve(client, f"person_id=1&max_points={max_points}")
    records = curve["records"]
    assert max_points / 20 <= 2 * len(records) <= max_points
    assert sum(record["n"] for record in records) == 30_000
    assert [record["t_ms"] for record in records] == sorted({record["t_ms"] for record in records})
    assert all(record["t_ms"] % curve["bucket_ms"] == 0 for record in records)
    highest = max(records, key=lambda record: record["max_valence"])
    lowest = min(records, key=lambda record: record["min_valence"])
    assert (highest["max_valence"], highest["max_valence_ms"]) == SPIKES["max_valence"]
    assert (lowest["min_valence"], lowest["min_valence_ms"]) == SPIKES["min_valence"]
    assert lowest["max_arousal"] == 0.95


async def test_zooming_in_gets_finer_and_ends_in_points(client: httpx.AsyncClient) -> None:
    middle = START + 15_000 * 40
    widths = []
    for half in (600_000, 150_000, 60_000, 5_000):
        curve = await _curve(client, f"person_id=1&max_points=600&from_ms={middle - half}&to_ms={middle + half}")
        widths.append(curve["bucket_ms"])
    assert widths[-1] is None
    assert widths[:-1] == sorted(widths[:-1], reverse=True)
    assert curve["count"] == 250
    assert min(curve["records"], key=lambda record: record["valence"])["t_ms"] == middle


async def test_a_bucket_from_few_points_says_what_the_points_say(client: httpx.AsyncClient) -> None:
    window = f"person_id=1&from_ms={START + 4000}&to_ms={START + 44_000}"
    points = (await _curve(client, window + "&limit=10000"))["records"]
    curve = await _curve(client, window + "&max_points=40")
    assert curve["bucket_ms"] is not None
    for record in curve["records"]:
        inside = [p for p in points if record["t_ms"] <= p["t_ms"] < record["t_ms"] + curve["bucket_ms"]]
        assert record["n"] == len(inside)
        assert record["valence"] == pytest.approx(sum(p["valence"] for p in inside) / len(inside))
        assert record["min_arousal"] == min(p["arousal"] for p in inside)
        assert record["max_arousal_ms"] == max(inside, key=lambda p: (p["arousal"], -p["t_ms"]))["t_ms"]


async def test_a_session_is_a_curve_of_everybody(client: httpx.AsyncClient) -> None:
    curve = await _curve(client, SESSION + "&max_points=600")
    assert sum(record["n"] for record in curve["records"]) == 30_060
    assert max(record["max_valence"] for record in curve["records"]) == 0.987


@pytest.mark.parametrize("window", [f"to_ms={START}", f"from_ms={START + 29_999 * 40 + 1}", "from_ms=9&to_ms=3"])
@pytest.mark.parametrize("who", ["person_id=1", SESSION])
async def test_beyond_everybodys_time_there_is_nothing(client: httpx.AsyncClient, who: str, window: str) -> None:
    assert (await _curve(client, f"{who}&max_points=10&{window}"))["records"] == []


async def test_a_curve_has_no_pages_and_no_file(client: httpx.AsyncClient) -> None:
    for query in ("person_id=1&max_points=100&after=WzEsMSwxXQ", "person_id=1&max_points=100&format=csv"):
        assert (await client.get("/v1/logs?" + query)).status_code == 422
    assert (await client.get("/v1/logs?person_id=1&max_points=9")).status_code == 422


async def test_heatmap_counts_every_point(client: httpx.AsyncClient) -> None:
    plane = (await client.get("/v1/heatmap?" + SESSION)).json()
    assert (plane["side"], plane["n"], len(plane["cells"]), len(plane["cells"][0])) == (20, 30_060, 20, 20)
    assert plane["cells"][0][19] == 1  # valence 0.987, arousal -0.9: lowest row but one point only
    assert (await client.get("/v1/heatmap?device_id=a&session_id=b")).json()["n"] == 0
