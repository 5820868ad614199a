"""GET /v1/sessions, /v1/persons and /v1/logs against real tables: seed 000's shapes, orders, defaults and refusals."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import DAY, HOSTILE, START

SESSION = {"device_id": DAY[0], "session_id": DAY[1]}


async def test_sessions_are_ordered_by_newest_activity(client: httpx.AsyncClient) -> None:
    rows = (await client.get("/v1/sessions")).json()
    assert [row["device_id"] for row in rows] == [HOSTILE, DAY[0], "b"]
    assert rows[1] == {**SESSION, "n_points": 30_060, "n_persons": 3, "min_ms": START, "max_ms": START + 29_999 * 40}


@pytest.mark.parametrize(("query", "n"), [("?device_id=b", 1), ("?device_id=", 3), ("?device_id=nobody", 0)])
async def test_sessions_of_a_device_and_empty_means_all(client: httpx.AsyncClient, query: str, n: int) -> None:
    answer = await client.get("/api/v1/sessions" + query)
    assert (answer.status_code, len(answer.json())) == (200, n)


async def test_persons_of_a_session_ascend_with_exact_averages(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/persons", params=SESSION)
    rows = answer.json()
    assert [row["session_person_id"] for row in rows] == [-9, 2, 5]
    assert set(rows[0]) == {"session_person_id", "n_points", "avg_valence", "avg_arousal", "min_ms", "max_ms"}
    assert b'"avg_valence":0,"avg_arousal":0,' in answer.content  # exactly 0 is the integer 0


async def test_persons_of_all_devices_descend_with_rounded_averages(client: httpx.AsyncClient) -> None:
    rows = (await client.get("/api/v1/persons")).json()
    assert [row["person_id"] for row in rows] == [5, 4, 3, 2, 1]
    assert rows[0] == {
        "person_id": 5, "device_id": "b", "session_id": "old", "n_points": 1,
        "avg_valence": 0.0, "avg_arousal": -0.123, "min_ms": START - 10**6, "max_ms": START - 10**6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("/v1/persons?device_id=a", ["session_id"]),
        ("/v1/persons?session_id=a", ["device_id"]),
        ("/v1/logs", ["device_id", "session_id"]),
        ("/v1/logs?session_person_id=3", ["device_id", "session_id"]),
    ],
)
async def test_what_is_missing_is_named_as_fastapi_does(client: httpx.AsyncClient, url: str, names: list[str]) -> None:
    answer = await client.get(url)
    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"type": "missing", "loc": ["query", name], "msg": "Field required", "input": None} for name in names
    ]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("person_id=1&limit=0", "greater_than_equal"),
        ("person_id=1&limit=10001", "less_than_equal"),
        ("person_id=1&limit=x", "int_parsing"),
        ("person_id=", "int_parsing"),
        ("device_id=a&session_id=b&session_person_id=", "int_parsing"),
        ("person_id=1&after=nonsense", "cursor"),
        ("person_id=1&from=yesterday", "iso_time"),
        ("person_id=1&format=xml", "literal_error"),
    ],
)
async def test_what_is_wrong_is_refused_in_fastapis_shape(client: httpx.AsyncClient, query: str, kind: str) -> None:
    answer = await client.get("/v1/logs?" + query)
    assert answer.status_code == 422
    (entry,) = answer.json()["detail"]
    assert entry["type"] == kind
    assert entry["loc"] == ["query", query.rpartition("&")[2].partition("=")[0]]
    assert {"type", "loc", "msg", "input"} <= set(entry)


async def test_logs_of_one_person_have_boxes(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/logs", params={**SESSION, "session_person_id": 2})).json()
    assert set(answer) == {"count", "records"}
    assert answer["count"] == 10
    assert answer["records"][:2] == [
        {"t_ms": START, "valence": 0.0, "arousal": 0.0, "track_id": 7, "bbox": [10, 20, 110, 220]},
        {"t_ms": START + 1000, "valence": 0.0, "arousal": 0.0, "track_id": 7, "bbox": [None] * 4},
    ]


async def test_logs_by_person_id_echo_it_and_keep_the_oldest(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/logs?person_id=1")).json()
    assert (answer["person_id"], answer["count"]) == (1, 1000)
    assert [record["t_ms"] for record in answer["records"]] == [START + i * 40 for i in range(1000)]
    assert set(answer["records"][0]) == {"t_ms", "valence", "arousal", "track_id", "bbox"}


async def test_logs_of_a_session_mix_all_its_persons_without_boxes(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/logs", params={**SESSION, "limit": 3000})).json()
    records = answer["records"]
    assert answer["count"] == 3000
    assert set(records[0]) == {"t_ms", "valence", "arousal", "session_person_id", "track_id"}
    assert [record["t_ms"] for record in records] == sorted(record["t_ms"] for record in records)
    assert {record["session_person_id"] for record in records} == {5, 2, -9}
    assert len({(record["t_ms"], record["session_person_id"]) for record in records}) == 3000


@pytest.mark.parametrize(
    "query",
    [
        "person_id=99", f"person_id={10**30}", "device_id=a&session_id=b", "device_id=a%00&session_id=b",
        f"device_id={DAY[0]}&session_id={DAY[1]}&session_person_id={-(10**40)}",
    ],
)  # fmt: skip
async def test_nobody_is_an_empty_answer_never_404(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get("/v1/logs?" + query)
    assert (answer.status_code, answer.json()["count"], answer.json()["records"]) == (200, 0, [])


async def test_head_and_post_are_405(client: httpx.AsyncClient) -> None:
    for path in ("/v1/sessions", "/v1/persons", "/api/v1/logs"):
        assert (await client.head(path)).status_code == 405
        assert (await client.post(path)).json() == {"detail": "Method Not Allowed"}


async def _all(client: httpx.AsyncClient, url: str, rows: str | None = None) -> tuple[list[Any], int]:
    """Follow Link to the end."""
    found: list[Any] = []
    pages = 0
    while True:
        answer = await client.get(url)
        found += answer.json()[rows] if rows else answer.json()
        pages += 1
        if "next" not in answer.links:
            return found, pages
        url = str(httpx.URL("http://sensorium" + url).join(answer.links["next"]["url"]).raw_path, "ascii")


async def test_pages_of_sessions_and_persons_join_up(client: httpx.AsyncClient) -> None:
    for path in ("/v1/sessions", "/v1/persons", f"/api/v1/persons?device_id={DAY[0]}&session_id={DAY[1]}"):
        whole = (await client.get(path)).json()
        joined, pages = await _all(client, f"{path}{'&' if '?' in path else '?'}limit=1")
        assert (joined, pages) == (whole, len(whole))


@pytest.mark.parametrize("who", ["person_id=1", "device_id={}&session_id={}".format(*DAY)])
async def test_pages_of_points_join_up(client: httpx.AsyncClient, who: str) -> None:
    joined, pages = await _all(client, f"/v1/logs?{who}&limit=701&to_ms={START + 200_000}", "records")
    whole = (await client.get(f"/v1/logs?{who}&limit=10000&to_ms={START + 200_000}")).json()["records"]
    assert joined == whole
    assert pages == -(-len(whole) // 701)


async def test_ranges_are_half_open_and_take_iso(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/v1/logs?person_id=2&from_ms={START + 2000}&to_ms={START + 5000}")).json()
    assert [record["t_ms"] - START for record in answer["records"]] == [2000, 3000, 4000]
    iso = (await client.get("/v1/logs?person_id=2&from=2025-12-09T17:15:36+03:00&to=2025-12-09T14:15:39Z")).json()
    assert iso == answer
    assert len((await client.get(f"/v1/sessions?to_ms={START}")).json()) == 1
    assert [row["person_id"] for row in (await client.get(f"/v1/persons?from_ms={START + 10**8}")).json()] == [4]


async def test_an_etag_saves_the_body(client: httpx.AsyncClient) -> None:
    for url in ("/v1/sessions", "/v1/persons", "/v1/logs?person_id=1", "/v1/heatmap?device_id=a&session_id=b"):
        first = await client.get(url)
        again = await client.get(url, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert (await client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
