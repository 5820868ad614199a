"""The routes that seed 002's page reads: shapes, rounding, order, UTC days, and what is refused in which words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from api.routes import exports
from schemas.envelope import unseal
from tests.drivers import sales, sales_site
from tests.drivers.sales import POINT, REGISTER, made_id
from tests.drivers.sales_site import HEADERS, Log
from tests.integration.api.sales_day import OTHER_POINT, day

DAY = "date=2026-01-01"
UNKNOWN = made_id("nobody")


@pytest.fixture(scope="module")
def tables(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        sales_site.create(connection)
        connection.execute("INSERT INTO points VALUES (%s, 'Кофе на углу', 'devices.events', 0, 1)", (POINT,))
        yield connection


@pytest.fixture
def log(tables: psycopg.Connection[Any], database_url: str) -> Iterator[Log]:
    """The day, and nothing that another test has said."""
    made = Log(database_url)
    made.project(day(), tables)
    yield made
    tables.execute(
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'sales_dialogues_v1'"
        " LOOP EXECUTE 'TRUNCATE sales_dialogues_v1.' || t; END LOOP; END $$"
    )


@pytest.fixture
async def client(log: Log, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    wired = sales_site.api(database_url, log)
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://s", headers=HEADERS) as one:
        yield one


async def test_a_day_of_utc(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/api/v1/analytics/daily?{DAY}")
    assert answer.status_code == 200
    assert answer.json() == {
        "date": "2026-01-01", "point_id": None,
        "dialogues_total": 6, "dialogues_analyzed": 4, "dialogues_skipped": 1, "dialogues_error": 1,
        "attempted_yes": 2, "attempted_no": 1, "attempted_uncertain": 1,
        "accepted_count": 2, "rejected_count": 1, "unclear_count": 1,
        "attempted_rate": 0.5, "avg_quality": 1.5, "accepted_rate": 0.6667,
        "quality_distribution": {"0": 1, "1": 1, "2": 1, "3": 1},
        "top_categories": [
            {"category": "dessert", "count": 2}, {"category": "combo", "count": 1}, {"category": "syrup", "count": 1},
        ],
        "hourly": [
            {"hour": 9, "dialogues_total": 2, "attempted_yes": 1, "attempted_no": 1, "attempted_uncertain": 0,
             "avg_quality": 1.5, "accepted_count": 1, "rejected_count": 0},
            {"hour": 11, "dialogues_total": 1, "attempted_yes": 0, "attempted_no": 0, "attempted_uncertain": 1,
             "avg_quality": 1.0, "accepted_count": 0, "rejected_count": 1},
            {"hour": 23, "dialogues_total": 1, "attempted_yes": 1, "attempted_no": 0, "attempted_uncertain": 0,
             "avg_quality": 2.0, "accepted_count": 1, "rejected_count": 0},
        ],
    }  # fmt: skip


async def test_a_day_of_one_point_and_a_day_without_anything(client: httpx.AsyncClient) -> None:
    one = (await client.get(f"/api/v1/analytics/daily?{DAY}&point_id={OTHER_POINT.upper()}")).json()
    assert (one["point_id"], one["dialogues_total"], one["attempted_rate"]) == (OTHER_POINT, 1, 1.0)
    for date in ("2020-02-02", "0001-01-01", "9999-12-31"):
        none = (await client.get(f"/api/v1/analytics/daily?date={date}")).json()
        assert (none["avg_quality"], none["hourly"], none["top_categories"]) == (0.0, [], [])
        assert none["quality_distribution"] == {"0": 0, "1": 0, "2": 0, "3": 0}


async def test_the_list_of_a_day(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/api/v1/analytics/dialogues?{DAY}")).json()
    assert (answer["date"], answer["point_id"], answer["total"]) == ("2026-01-01", None, 4)
    assert [row["dialogue_id"] for row in answer["dialogues"]] == list(map(made_id, ("late", "uncertain", "no", "yes")))
    assert answer["dialogues"][3] == {
        "dialogue_id": made_id("yes"), "start_ts": "2026-01-01T09:00:00Z", "end_ts": "2026-01-01T09:01:00Z",
        "quality_score": 3, "attempted": "yes", "categories": ["dessert", "syrup", "dessert"],
        "customer_reaction": "accepted", "closing_question": True, "summary": "Продавец предложил десерт.",
        "text_snippet": sales.TEXT, "point_id": POINT, "point_name": "Кофе на углу", "register_id": REGISTER,
        "register_name": None,
    }  # fmt: skip
    assert answer["dialogues"][0]["start_ts"] == "2026-01-01T23:59:59.999999Z"


@pytest.mark.parametrize(
    ("query", "names", "total"),
    [
        ("&min_quality=2", ["late", "yes"], 2),
        ("&attempted=no", ["no"], 1),
        ("&attempted=whatever", [], 0),
        ("&attempted=%00", [], 0),
        (f"&point_id={OTHER_POINT}", ["late"], 1),
        ("&limit=1&offset=1", ["uncertain"], 4),
        ("&offset=99999999999999999999999", [], 4),
    ],
)
async def test_filters_and_pages(client: httpx.AsyncClient, query: str, names: list[str], total: int) -> None:
    answer = (await client.get(f"/api/v1/analytics/dialogues?{DAY}{query}")).json()
    assert [row["dialogue_id"] for row in answer["dialogues"]] == list(map(made_id, names))
    assert answer["total"] == total


async def test_one_dialogue(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/api/v1/analytics/dialogues/{made_id('yes').upper()}")).json()
    assert "text_snippet" not in answer
    assert (answer["evidence_quotes"], answer["confidence"]) == ([sales.OFFER], None)
    assert (answer["review_status"], answer["text"]) == ("NONE", sales.TEXT)
    assert (answer["point_id"], answer["register_id"]) == (POINT, REGISTER)
    skipped = (await client.get(f"/api/v1/analytics/dialogues/{made_id('skipped')}")).json()
    assert skipped["summary"] == "Skipped: transcript_too_short (3 chars)"


@pytest.mark.parametrize("name", ["nobody", "error", "untranscribed", "open"])
async def test_what_is_not_analysed_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/api/v1/analytics/dialogues/{made_id(name)}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Dialogue not found"})


async def test_points_count_everything_of_the_last_days(client: httpx.AsyncClient, log: Log) -> None:
    assert (await client.get("/api/v1/analytics/points?days=1")).json() == {"points": []}
    from time import time

    log.project([sales.dialogue(f"now {n}", start_us=int(time() * 10**6) - 10**9) for n in range(2)])
    found = (await client.get("/api/v1/analytics/points")).json()["points"]
    assert found[0] == {"point_id": POINT, "name": "Кофе на углу", "dialogue_count": 2}


@pytest.mark.parametrize(
    ("method", "path", "loc", "kind"),
    [
        ("GET", "/api/v1/analytics/daily", ["query", "date"], "missing"),
        ("GET", "/api/v1/analytics/daily?date=today", ["query", "date"], "date_from_datetime_parsing"),
        ("GET", f"/api/v1/analytics/daily?{DAY}&point_id=", ["query", "point_id"], "uuid_parsing"),
        ("GET", f"/api/v1/analytics/dialogues?{DAY}&min_quality=4", ["query", "min_quality"], "less_than_equal"),
        ("GET", f"/api/v1/analytics/dialogues?{DAY}&limit=0", ["query", "limit"], "greater_than_equal"),
        ("GET", f"/api/v1/analytics/dialogues?{DAY}&limit=201", ["query", "limit"], "less_than_equal"),
        ("GET", f"/api/v1/analytics/dialogues?{DAY}&offset=-1", ["query", "offset"], "greater_than_equal"),
        ("GET", "/api/v1/analytics/dialogues/seven", ["path", "dialogue_id"], "uuid_parsing"),
        ("GET", "/api/v1/analytics/points?days=366", ["query", "days"], "less_than_equal"),
        ("GET", "/api/v1/reviews?status=OPEN", ["query", "status"], "enum"),
        ("GET", "/api/v1/reviews?reason=why", ["query", "reason"], "enum"),
        ("PATCH", f"/api/v1/reviews/{UNKNOWN}?resolved=maybe", ["query", "resolved"], "bool_parsing"),
        ("GET", "/api/v1/exports/reviews?to=2026-01-01", ["query", "from"], "missing"),
        ("GET", "/api/v1/exports/reviews?from=2026-01-01&to=2026-01-01&format=xml", ["query", "format"],
         "string_pattern_mismatch"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_as_fastapi_does(
    client: httpx.AsyncClient, method: str, path: str, loc: list[str], kind: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (loc, kind)
    assert {"msg", "input"} <= error.keys() <= {"type", "loc", "msg", "input", "ctx"}


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({}, ["body", "reason"], "missing"),
        ({"reason": "why"}, ["body", "reason"], "enum"),
        ({"reason": "other", "corrected": {"quality_score": 4}}, ["body", "corrected", "quality_score"],
         "less_than_equal"),
        ({"reason": "other", "corrected": {"attempted": "maybe"}}, ["body", "corrected", "attempted"], "enum"),
        ({"reason": "other", "notes": 1}, ["body", "notes"], "string_type"),
    ],
)  # fmt: skip
async def test_bad_reviews(client: httpx.AsyncClient, body: Any, loc: list[str], kind: str) -> None:
    answer = await client.post(f"/api/v1/reviews/{made_id('yes')}", json=body)
    (error,) = answer.json()["detail"]
    assert (answer.status_code, error["loc"], error["type"]) == (422, loc, kind)


ROUTES = [
    ("GET", "/api/v1/analytics/daily"), ("GET", "/api/v1/analytics/dialogues"),
    ("GET", "/api/v1/analytics/dialogues/x"), ("GET", "/api/v1/analytics/points?days=0"),
    ("POST", "/api/v1/reviews/x"), ("GET", "/api/v1/reviews?limit=0"), ("PATCH", "/api/v1/reviews/x"),
    ("POST", "/api/v1/analysis/rerun/x"), ("GET", "/api/v1/exports/reviews"), ("GET", "/v1/sales/overview?zone=x"),
    ("GET", "/v1/sales/dialogues?limit=0"), ("GET", "/v1/sales/dialogues/x"), ("GET", "/v1/sales/costs?zone=x"),
    ("POST", "/v1/sales/analysis/rerun"), ("GET", "/v1/sales/analysis/compare?zone=x"),
    ("POST", "/v1/sales/dialogues/x/transcript"), ("GET", "/api/v1/sales/dialogues/x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_who_asks_comes_before_what_is_asked(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path, headers={"Authorization": ""}, content=b"{")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Missing Authorization header"})
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await client.request(method, path, headers={"Authorization": "Bearer wrong"}, content=b"{")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid admin token"})
    assert (await client.request(method, path, content=b"{")).status_code == 422


async def test_slashes_and_methods(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/api/v1/analytics/daily/?{DAY}")
    assert (answer.status_code, answer.headers["location"]) == (307, f"http://s/api/v1/analytics/daily?{DAY}")
    assert (await client.head(f"/api/v1/analytics/daily?{DAY}")).status_code == 405
    assert (await client.get("/api/v1/analytics")).json() == {"detail": "Not Found"}


async def flagged(client: httpx.AsyncClient, name: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/reviews/{made_id(name)}", json={"reason": "wrong_quality", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_review_flags_and_is_read_back(client: httpx.AsyncClient, log: Log) -> None:
    right = {"attempted": None, "quality_score": 1, "categories": ["tea"], "unknown": 1}
    made = await flagged(client, "yes", notes="нет", corrected=right, more="ignored")
    assert made == {
        "review_id": made["review_id"], "dialogue_id": made_id("yes"), "created_at": made["created_at"],
        "reviewer": None, "flag": True, "reason": "wrong_quality", "notes": "нет",
        "corrected": {"quality_score": 1, "categories": ["tea"]},
    }  # fmt: skip
    assert log.awaited == ["sales_dialogues"]
    assert log.appended[0][:2] == ("DialogueReviewed", made_id("yes"))
    listed = (await client.get("/api/v1/reviews")).json()
    assert listed["total"] == 1
    assert listed["reviews"][0] == made | {
        "dialogue_start_ts": "2026-01-01T09:00:00Z", "dialogue_end_ts": "2026-01-01T09:01:00Z", "point_id": POINT,
        "review_status": "FLAGGED", "attempted": "yes", "quality_score": 3,
        "categories": ["dessert", "syrup", "dessert"], "customer_reaction": "accepted", "text_snippet": sales.TEXT,
    }  # fmt: skip
    detail = (await client.get(f"/api/v1/analytics/dialogues/{made_id('yes')}")).json()
    assert (detail["review_status"], detail["quality_score"]) == ("FLAGGED", 3)


async def test_what_a_person_writes_is_sealed(client: httpx.AsyncClient, log: Log) -> None:
    await flagged(client, "yes", notes="секрет", reviewer="Анна")
    record = log.appended[0][2]
    assert "секрет" not in str(record)
    assert record["words"]["subject"] == f"register/{REGISTER}"
    assert unseal(sales.RING, record["words"], "ReviewWords") == {"notes": "секрет", "reviewer": "Анна"}


async def test_any_dialogue_can_be_flagged_and_an_unknown_one_not(client: httpx.AsyncClient) -> None:
    made = await flagged(client, "untranscribed", corrected={})
    assert made["corrected"] is None
    row = (await client.get("/api/v1/reviews?status=FLAGGED")).json()["reviews"][0]
    assert (row["attempted"], row["categories"], row["text_snippet"]) == (None, [], None)
    answer = await client.post(f"/api/v1/reviews/{UNKNOWN}", json={"reason": "other"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Dialogue not found"})


async def test_reviews_are_filtered_and_settled(client: httpx.AsyncClient) -> None:
    first, second = await flagged(client, "yes"), await flagged(client, "elsewhere", reason="other")
    for query, wanted in {
        "": [second, first], "?date=2026-01-01": [first], "?reason=other": [second], f"?point_id={OTHER_POINT}": [],
        "?limit=1&offset=1": [first],
    }.items():  # fmt: skip
        found = (await client.get(f"/api/v1/reviews{query}")).json()["reviews"]
        assert [row["review_id"] for row in found] == [review["review_id"] for review in wanted], query
    settled = await client.patch(f"/api/v1/reviews/{first['review_id']}")
    assert settled.json() == first
    assert (await client.get("/api/v1/reviews?status=RESOLVED")).json()["total"] == 1
    await client.patch(f"/api/v1/reviews/{first['review_id']}?resolved=false")
    assert (await client.get("/api/v1/reviews?status=FLAGGED")).json()["total"] == 2
    answer = await client.patch(f"/api/v1/reviews/{UNKNOWN}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Review not found"})


async def test_a_rerun_takes_the_dialogue_out_until_it_is_done(client: httpx.AsyncClient, log: Log) -> None:
    await flagged(client, "yes", corrected={"quality_score": 0})
    answer = await client.post(f"/api/v1/analysis/rerun/{made_id('yes')}")
    assert answer.json() == {
        "dialogue_id": made_id("yes"), "message": "Analysis queued for re-processing",
        "previous_analysis_archived": True,
    }  # fmt: skip
    assert (await client.get(f"/api/v1/analytics/dialogues?{DAY}")).json()["total"] == 3
    assert (await client.get(f"/api/v1/analytics/dialogues/{made_id('yes')}")).status_code == 404
    row = (await client.get("/api/v1/reviews")).json()["reviews"][0]
    assert (row["attempted"], row["review_status"]) == (None, "FLAGGED")
    event, _, record = log.appended[-1]
    assert (event, record["requested_by"], record["model"]) == ("AnalysisRequested", "ADMIN_TOKEN", None)
    assert unseal(sales.RING, record["words"], "TranscriptWords") == sales.words()
    log.project([sales.analysed("yes", 1, record["request_id"], quality_score=2)])
    detail = (await client.get(f"/api/v1/analytics/dialogues/{made_id('yes')}")).json()
    assert (detail["quality_score"], detail["review_status"]) == (2, "FLAGGED")


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [("nobody", 404, "Dialogue not found"), ("untranscribed", 400, "ASR not completed for this dialogue"),
     ("open", 400, "ASR not completed for this dialogue")],
)  # fmt: skip
async def test_what_cannot_be_analysed_again(client: httpx.AsyncClient, name: str, status: int, detail: str) -> None:
    answer = await client.post(f"/api/v1/analysis/rerun/{made_id(name)}")
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


async def test_an_error_is_revived_by_a_rerun(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/v1/analysis/rerun/{made_id('error')}")
    assert answer.json()["previous_analysis_archived"] is False


async def test_without_the_log_nothing_is_promised(client: httpx.AsyncClient, log: Log) -> None:
    log.is_away = True
    for call in (
        client.post(f"/api/v1/reviews/{made_id('yes')}", json={"reason": "other"}),
        client.post(f"/api/v1/analysis/rerun/{made_id('yes')}"),
        client.post(f"/v1/sales/dialogues/{made_id('yes')}/transcript", json={"text": "x"}),
        client.post("/v1/sales/analysis/rerun", json={"from": "2026-01-01"}),
    ):
        answer = await call
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await client.get("/api/v1/reviews")).json()["total"] == 0


EXPORT = "/api/v1/exports/reviews?from=2026-01-01&to=2026-01-01"


async def test_the_export_as_json(client: httpx.AsyncClient) -> None:
    made = await flagged(client, "yes", notes="=1+1", corrected={"categories": ["tea"], "quality_score": 2})
    await flagged(client, "yes")
    await flagged(client, "untranscribed")
    await flagged(client, "elsewhere")
    answer = await client.get(EXPORT)
    assert answer.headers["content-disposition"] == "attachment; filename=reviews_2026-01-01_2026-01-01.json"
    assert answer.text.startswith('[\n  {\n    "dialogue_id"')
    entries = json.loads(answer.text)
    assert [entry["dialogue_id"] for entry in entries] == list(map(made_id, ("yes", "yes", "untranscribed")))
    assert entries[0] == {
        "dialogue_id": made_id("yes"), "point_id": POINT, "register_id": REGISTER,
        "start_ts": "2026-01-01T09:00:00+00:00", "end_ts": "2026-01-01T09:01:00+00:00", "review_status": "FLAGGED",
        "transcript": sales.TEXT,
        "llm_analysis": {
            "attempted": "yes", "quality_score": 3, "categories": ["dessert", "syrup", "dessert"],
            "closing_question": True, "customer_reaction": "accepted", "summary": "Продавец предложил десерт.",
            "evidence_quotes": [sales.OFFER], "confidence": None,
        },
        "review": {
            "review_id": made["review_id"], "created_at": entries[0]["review"]["created_at"],
            "reason": "wrong_quality", "notes": "=1+1", "corrected": {"categories": ["tea"], "quality_score": 2},
        },
    }  # fmt: skip
    assert entries[0]["review"]["created_at"].endswith("+00:00")
    assert (entries[2]["llm_analysis"], entries[2]["transcript"]) == (None, None)


async def test_the_export_as_csv(client: httpx.AsyncClient) -> None:
    await flagged(client, "yes", notes='=1+1, "so"', corrected={"categories": ["tea"], "quality_score": 2})
    answer = await client.get(EXPORT + "&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.split("\r\n")
    assert lines[0] == (
        "dialogue_id,point_id,start_ts,end_ts,review_status,transcript,llm_attempted,llm_quality_score,llm_categories,"
        "llm_customer_reaction,llm_summary,review_reason,review_notes,corrected_attempted,corrected_quality_score,"
        "corrected_categories,corrected_customer_reaction"
    )
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["start_ts"] == "2026-01-01T09:00:00+00:00"
    assert json.loads(row["llm_categories"]) == ["dessert", "syrup", "dessert"]
    assert (row["review_notes"], row["corrected_quality_score"]) == ('\'=1+1, "so"', "2")
    assert (json.loads(row["corrected_categories"]), row["corrected_attempted"]) == (["tea"], "")
    assert (await client.get("/api/v1/exports/reviews?from=2020-01-01&to=2019-01-01")).json() == []


async def test_an_export_in_pages_of_one_is_the_same(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("yes", "yes", "no", "untranscribed"):
        await flagged(client, name)
    for kind in ("json", "csv"):
        whole = await client.get(f"{EXPORT}&format={kind}")
        with monkeypatch.context() as patched:
            patched.setattr(exports, "PAGE", 1)
            paged = await client.get(f"{EXPORT}&format={kind}")
        assert len(whole.text.splitlines()) > 4
        assert paged.content == whole.content


async def test_a_retried_review_is_the_same_review(client: httpx.AsyncClient, log: Log) -> None:
    key, path = {"Idempotency-Key": "k1"}, f"/api/v1/reviews/{made_id('yes')}"
    said = {"reason": "other", "notes": "нет", "corrected": {"quality_score": 1}}
    made = (await client.post(path, json=said, headers=key)).json()
    again = await client.post(path, json=said, headers=key)
    assert (again.status_code, again.json()) == (200, made)
    event, _, record = log.appended[-1]
    log.project([(event, dict(record))])  # as if the first had not been seen yet
    assert (await client.get("/api/v1/reviews")).json()["total"] == 1
    other = await client.post(path, json=said | {"notes": "да"}, headers=key)
    assert (other.status_code, other.json()) == (409, {"detail": "This id was used for another request"})
    elsewhere = await client.post(f"/api/v1/reviews/{made_id('no')}", json=said, headers=key)
    assert (
        elsewhere.json()["review_id"] != made["review_id"] != (await client.post(path, json=said)).json()["review_id"]
    )


async def test_a_retried_rerun_asks_for_the_same_analysis(client: httpx.AsyncClient, log: Log) -> None:
    key, path = {"Idempotency-Key": "k1"}, f"/api/v1/analysis/rerun/{made_id('yes')}"
    for _ in range(2):
        assert (await client.post(path, headers=key)).status_code == 200
    assert (await client.post(path)).status_code == 200
    asked = [record["request_id"] for event, _, record in log.appended if event == "AnalysisRequested"]
    assert asked[0] == asked[1] != asked[2]
