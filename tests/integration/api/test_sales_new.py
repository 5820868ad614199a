"""The new routes: zones, search in two languages, one dialogue with everything, versions, corrections, costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from api.routes.sales import ListQuery, wanted_by
from projections.queries import sales_search
from schemas.envelope import unseal
from tests.drivers import sales, sales_site
from tests.drivers.sales import NOON, POINT, made_id
from tests.drivers.sales_site import HEADERS, Log
from tests.integration.api.sales_day import OTHER_POINT
from tests.integration.api.test_sales_original import flagged, log, tables

__all__ = ["log", "tables"]
JANUARY_1 = "from=2026-01-01"


@pytest.fixture
async def client(log: Log, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    wired = sales_site.api(database_url, log)
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://s", headers=HEADERS) as one:
        yield one


async def ids(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"/v1/sales/dialogues?{query}")
    assert answer.status_code == 200, answer.text
    return [row["dialogue_id"] for row in answer.json()["dialogues"]]


def names(*given: str) -> list[str]:
    return list(map(made_id, given))


async def test_a_day_of_belgrade_is_not_a_day_of_utc(client: httpx.AsyncClient) -> None:
    there = (await client.get(f"/v1/sales/overview?{JANUARY_1}")).json()
    assert (there["zone"], there["start_ts"], there["end_ts"]) == (
        "Europe/Belgrade", "2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z",
    )  # fmt: skip
    assert (there["dialogues"], there["dialogues_total"], there["dialogues_analyzed"]) == (7, 5, 3)
    assert (there["not_transcribed"], there["quality_distribution"]) == (1, {"0": 1, "1": 1, "2": 0, "3": 1})
    busy = [(hour["hour"], hour["dialogues"]) for hour in there["hours"] if hour["dialogues"]]
    assert busy == [(10, 2), (12, 1), (14, 1), (15, 1), (16, 1), (17, 1)]
    utc = (await client.get(f"/v1/sales/overview?{JANUARY_1}&zone=UTC")).json()
    assert (utc["dialogues_analyzed"], len(utc["hours"])) == (4, 24)


async def test_several_days_and_one_point(client: httpx.AsyncClient) -> None:
    two = (await client.get(f"/v1/sales/overview?{JANUARY_1}&to=2026-01-02")).json()
    assert [(one["date"], one["dialogues_analyzed"]) for one in two["days"]] == [("2026-01-01", 3), ("2026-01-02", 2)]
    assert two["hours"][0]["dialogues"] == 1
    one = (await client.get(f"/v1/sales/overview?{JANUARY_1}&to=2026-01-02&point={OTHER_POINT}")).json()
    assert (one["dialogues"], one["top_categories"]) == (1, [{"category": "combo", "count": 1}])


async def test_both_clock_changes(client: httpx.AsyncClient, log: Log) -> None:
    autumn = 1_792_886_400_000_000  # 2026-10-25T00:00:00Z, 02:00 in Belgrade for the first time
    for n in range(3):
        log.project([sales.dialogue(f"autumn {n}", start_us=autumn + n * 3_600_000_000)])
    made = (await client.get("/v1/sales/overview?from=2026-10-25")).json()
    found = [(hour["hour"], hour["utc_offset"], hour["start_ts"]) for hour in made["hours"] if hour["dialogues"]]
    assert found == [
        (2, 7200, "2026-10-25T00:00:00Z"), (2, 3600, "2026-10-25T01:00:00Z"), (3, 3600, "2026-10-25T02:00:00Z"),
    ]  # fmt: skip
    assert (len(made["hours"]), made["days"][0]["hours"]) == (25, 25.0)
    log.project([sales.dialogue("spring", start_us=1_774_746_000_000_000)])  # 2026-03-29T01:00Z is 03:00
    made = (await client.get("/v1/sales/overview?from=2026-03-29")).json()
    assert [hour["hour"] for hour in made["hours"] if hour["dialogues"]] == [3]
    assert (len(made["hours"]), made["dialogues"]) == (23, 1)


async def test_a_persons_correction_counts_in_new_figures_and_not_in_the_originals(client: httpx.AsyncClient) -> None:
    await flagged(client, "no", corrected={"attempted": "yes", "quality_score": 3, "categories": ["tea"]})
    there = (await client.get(f"/v1/sales/overview?{JANUARY_1}")).json()
    assert (there["attempted_yes"], there["quality_distribution"]["3"], there["flagged"]) == (2, 2, 1)
    assert {"category": "tea", "count": 1} in there["top_categories"]
    old = (await client.get("/api/v1/analytics/daily?date=2026-01-01")).json()
    assert (old["attempted_no"], old["quality_distribution"]["3"]) == (1, 1)
    assert await ids(client, "quality=3") == names("no", "yes")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("attempted=yes", ["elsewhere", "late", "yes"]),
        ("attempted=yes&from=2026-01-01", ["yes"]),
        ("min_quality=2&quality=2", ["elsewhere", "late"]),
        ("category=dessert", ["uncertain", "yes"]),
        ("reaction=rejected", ["uncertain"]),
        ("analysis=SKIPPED", ["skipped"]),
        ("analysis=ERROR", ["error"]),
        (f"point={OTHER_POINT}", ["late"]),
        (f"device={OTHER_POINT}", []),
        ("register=0f9d3c1e-0000-4000-8000-000000000002&analysis=ERROR", ["error"]),
        ("text=десерты&limit=200&analysis=DONE", ["elsewhere", "uncertain", "no", "yes"]),
        ("text=сироп", ["late"]),
        ("text=coffees large", []),
        ("text=LARGE", ["late"]),
        ('text="десерт к кофе"&attempted=no', ["no"]),
        ("text=кофе -десерт", ["late"]),
        ("text=желаете or сиропы&analysis=DONE&from=2026-01-01&zone=UTC", ["late", "uncertain", "no", "yes"]),
        ("text=%27%29;%20DROP", []),
        ("text=", []),
    ],
)
async def test_dialogues_are_found(client: httpx.AsyncClient, query: str, wanted: list[str]) -> None:
    assert await ids(client, query) == names(*wanted)


async def test_found_words_are_marked_and_yo_is_ye(client: httpx.AsyncClient, log: Log) -> None:
    log.project([sales.dialogue("ё"), sales.transcript("ё", text="Ещё мёда? <b>Да</b>")])
    answer = (await client.get("/v1/sales/dialogues?text=меда")).json()
    assert answer["dialogues"][0]["snippet"] == [
        {"text": "Ещё ", "hit": False}, {"text": "мёда", "hit": True}, {"text": "? <b>Да</b>", "hit": False},
    ]  # fmt: skip
    assert (await client.get("/v1/sales/dialogues?text=МЁДА")).json()["count"] == 1


async def test_pages_by_key_cover_everything_once(client: httpx.AsyncClient, log: Log) -> None:
    log.project([sales.dialogue(f"same time {n}") for n in range(7)])
    everything = await ids(client, "limit=200")
    assert len(everything) == 16
    seen: list[str] = []
    answer = await client.get("/api/v1/sales/dialogues?limit=3")
    while True:
        seen += [row["dialogue_id"] for row in answer.json()["dialogues"]]
        if "next" not in answer.links:
            break
        answer = await client.get("/api/v1/sales/dialogues" + answer.links["next"]["url"])
    assert seen == everything
    assert (await client.get("/v1/sales/dialogues?after=nonsense")).status_code == 422


async def test_one_dialogue_with_everything(client: httpx.AsyncClient, log: Log) -> None:
    log.project([sales.dialogue("yes", 2, status="CLOSED", start_us=NOON - 3 * 3_600_000_000)])
    await flagged(client, "yes", corrected={"quality_score": 1})
    answer = await client.get(f"/v1/sales/dialogues/{made_id('yes')}")
    one = answer.json()
    assert (one["asr_status"], one["analysis_status"], one["review_status"]) == ("PENDING", "PENDING", "FLAGGED")
    assert (one["transcript"]["text"], one["transcript"]["revision"], one["revision"]) == (sales.TEXT, 1, 2)
    (quote,) = one["analysis"]["quotes"]
    assert sales.TEXT[quote["position"] :][: quote["length"]] == sales.OFFER
    assert (quote["start_s"], quote["segment_id"]) == (2.0, 1)
    assert len(one["segments"]) == 3
    assert one["words"][0]["word"] == "Здравствуйте!"
    assert (one["verdict"]["quality_score"], one["corrected"]) == (1, {"quality_score": 1})
    assert one["pieces"][0]["said_ts"] == "2026-01-01T09:00:01.200000Z"
    assert one["pieces"][0]["audio"] == f"/v1/sales/chunks/{made_id('chunk yes')}/audio"
    assert [revision["revision"] for revision in one["revisions"]] == [1, 2]
    assert [(version["current"], version["kind"]) for version in one["versions"]] == [(True, "revision")]
    assert (one["point_name"], one["point_id"], one["zone"]) == ("Кофе на углу", POINT, "Europe/Belgrade")
    assert (one["topic"], one["kafka_partition"]) == ("speech.dialogues", 0)
    again = await client.get(f"/v1/sales/dialogues/{made_id('yes')}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_an_open_dialogue_and_one_that_is_no_more(client: httpx.AsyncClient, log: Log) -> None:
    one = (await client.get(f"/v1/sales/dialogues/{made_id('open')}")).json()
    assert (one["cut"], one["transcript"], one["analysis"], one["words"]) == ("OPEN", None, None, [])
    log.project([sales.dialogue("open", 2, status="WITHDRAWN", merged_into=made_id("yes"), pieces=[])])
    answer = await client.get(f"/v1/sales/dialogues/{made_id('open')}")
    assert answer.status_code == 404
    assert made_id("yes") in answer.json()["detail"]
    assert made_id("open") not in await ids(client, "limit=200")
    assert (await client.get(f"/v1/sales/dialogues/{made_id('nobody')}")).json() == {"detail": "Dialogue not found"}


async def test_a_correction_is_read_found_and_analysed(client: httpx.AsyncClient, log: Log) -> None:
    written = sales.TEXT.replace("капучино", "латте") + "\n Пирог!"
    answer = await client.post(
        f"/v1/sales/dialogues/{made_id('yes')}/transcript", json={"text": written, "reanalyse": True}
    )
    made = answer.json()
    assert (answer.status_code, made["visible"], made["text"]) == (
        200,
        True,
        sales.TEXT.replace("капучино", "латте") + " Пирог!",
    )
    assert await ids(client, "text=пироги") == await ids(client, "text=латте") == names("yes")
    assert made_id("yes") not in await ids(client, "text=капучино")
    request = log.appended[-1][2]
    words: Any = unseal(sales.RING, request["words"], "TranscriptWords")
    assert words["text"] == made["text"]
    assert [segment["start"] for segment in words["segments"]] == [0.0, 2.0, 4.0]
    log.project([sales.analysed("yes", 1, made["request_id"])])
    one = (await client.get(f"/v1/sales/dialogues/{made_id('yes')}")).json()
    assert (one["transcript"]["text"], one["transcript"]["heard_text"]) == (made["text"], sales.TEXT)
    assert (one["transcript"]["corrected"], one["corrections"][0]["corrected_by"]) == (True, "ADMIN_TOKEN")
    assert [version["current"] for version in one["versions"]] == [False, True]
    assert one["versions"][1]["quotes"][0]["position"] == made["text"].index(sales.OFFER)
    assert (await client.get(f"/api/v1/analytics/dialogues/{made_id('yes')}")).json()["text"] == made["text"]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [("yes", {"text": " \n"}, 422), ("yes", {}, 422), ("nobody", {"text": "x"}, 404), ("open", {"text": "x"}, 400)],
)
async def test_corrections_that_are_none(client: httpx.AsyncClient, name: str, body: Any, status: int) -> None:
    answer = await client.post(f"/v1/sales/dialogues/{made_id(name)}/transcript", json=body)
    assert answer.status_code == status


async def test_a_range_is_analysed_again_and_compared(client: httpx.AsyncClient, log: Log) -> None:
    order = {"from": "2026-01-01", "to": "2026-01-01", "model": "better", "prompt_version": "v2"}
    answer = await client.post("/v1/sales/analysis/rerun", json=order)
    assert answer.status_code == 202
    assert (answer.json()["requested"], answer.json()["model"]) == (5, "better")
    asked = [record for event, _, record in log.appended if event == "AnalysisRequested"]
    assert {record["prompt_version"] for record in asked} == {"v2"}
    assert log.awaited[-5:] == [None] * 4 + ["sales_dialogues"]
    by_dialogue = {record["dialogue_id"]: record["request_id"] for record in asked}
    for name, score in (("yes", 3), ("no", 2)):
        request = by_dialogue[made_id(name)]
        log.project([sales.analysed(name, 1, request, model="better", prompt_version="v2", quality_score=score,
                                    finished_us=NOON + 10**9)])  # fmt: skip
    found = (await client.get(f"/v1/sales/analysis/compare?{JANUARY_1}")).json()
    assert [(one["model"], one["dialogues"]) for one in found["versions"]] == [("better", 2), ("base", 3)]
    assert (found["a_version"]["model"], found["b_version"]["model"]) == ("base", "better")
    assert (found["comparison"]["dialogues"], found["comparison"]["disagreements"]) == (2, 1)
    assert found["comparison"]["quality_difference"] == 1.0
    (shown,) = found["comparison"]["shown"]
    assert (shown["dialogue_id"], shown["a_quality_score"], shown["b_quality_score"]) == (made_id("no"), 0, 2)
    other = (await client.get(f"/v1/sales/analysis/compare?{JANUARY_1}&a_model=better&b_model=base")).json()
    assert other["comparison"]["quality_difference"] == -1.0
    none = (await client.get("/v1/sales/analysis/compare?from=2020-01-01")).json()
    assert (none["versions"], none["comparison"]) == ([], None)


async def test_costs_of_days(client: httpx.AsyncClient) -> None:
    costs = (await client.get(f"/v1/sales/costs?{JANUARY_1}&to=2026-01-02")).json()
    assert costs["cost_micros"] == 57
    assert [
        (one["day"], one["model"], one["analyses"], one["failures"], one["cost_micros"]) for one in costs["costs"]
    ] == [("2026-01-01", "base", 5, 1, 57)] or sum(one["cost_micros"] for one in costs["costs"]) == 57


async def test_the_past_can_be_asked(client: httpx.AsyncClient, tables: psycopg.Connection[Any]) -> None:
    assert (await client.get("/v1/sales/overview?as_of=monday")).status_code == 404
    model = sales_site.sales_dialogues.READ_MODEL
    sales_site.read_models.create_version(tables, "sales_dialogues_at_monday", model.ddl("sales_dialogues_at_monday"))
    tables.execute(
        "INSERT INTO sensorium.models"
        " VALUES ('sales_dialogues_at_monday', 'sales_dialogues', NULL, 'as_of', 'monday', 1)"
    )
    for path in ("overview", "dialogues", "dialogues?text=x", "analysis/compare"):
        answer = await client.get(f"/v1/sales/{path}{'&' if '?' in path else '?'}as_of=monday")
        assert answer.status_code == 200, answer.text
    assert (await client.get("/v1/sales/dialogues?as_of=monday")).json()["count"] == 0


@pytest.fixture(scope="module")
def many(tables: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """A hundred thousand dialogues over a year, one in a hundred about pistachios."""
    with tables.transaction():
        tables.execute("SET LOCAL search_path TO sales_dialogues_v1")
        tables.execute(MANY)
    tables.execute("ANALYZE")
    return tables


MANY = """
CREATE TEMP TABLE n ON COMMIT DROP AS SELECT i, ('00000000-0000-4000-9000-' || lpad(i::text, 12, '0'))::uuid AS id,
    ('00000000-0000-4000-a000-' || lpad((i % 50)::text, 12, '0'))::uuid AS place,
    timestamptz '2030-01-01Z' + i * interval '5 minutes' AS at FROM generate_series(1, 100000) AS i;
INSERT INTO dialogue_heads
SELECT id, 1, 'CLOSED', NULL, place, place, place, at, at + interval '1 minute', at, 't', 0, i FROM n;
INSERT INTO transcriptions (dialogue_id, revision, done) SELECT id, 1, true FROM n;
INSERT INTO transcripts (dialogue_id, transcript_id, revision, asr_pass, final, language, model, worker, text, pieces,
    audio_s, elapsed_s, forgotten, first_at, created_at, topic, kafka_partition, kafka_offset)
SELECT id, id, 1, 'fast', true, 'ru', 'base', 'w',
    CASE i % 100 WHEN 0 THEN 'фисташка ' ELSE '' END || 'кофе номер ' || i, '[]', 1, 1, false, at, at, 't', 0, i FROM n;
INSERT INTO analysis_wants SELECT id, 'revision/1', 'revision', 1, i, NULL, NULL, NULL, at FROM n;
INSERT INTO analysis_wanted SELECT id, 'revision/1', 'revision', 1 FROM n;
INSERT INTO analysis_runs (dialogue_id, run, revision, outcome, finished_at, analysis_id, model, prompt_version,
    attempted, quality_score, categories, closing_question, customer_reaction, evidence_quotes, quotes, summary,
    forgotten, topic, kafka_partition, kafka_offset)
SELECT id, 'revision/1', 1, 'DONE', at, id, 'm', 'v1', (ARRAY['yes', 'no', 'uncertain'])[1 + i % 3], i % 4,
    '["dessert"]', true, 'accepted', '[]', '[]', '', false, 't', 0, i FROM n;
"""
QUESTIONS = {
    "a day": ("from=2030-06-01", "heads_by_start"),
    "a point": ("point=00000000-0000-4000-a000-000000000007", "heads_of_point"),
    "a device's day": ("device=00000000-0000-4000-a000-000000000007&from=2030-06-01", "heads_of_device"),
    "a month's verdict": ("attempted=yes&min_quality=2&from=2030-06-01&to=2030-06-30", "heads_by_start"),
    "rare words": ("text=фисташки номер 4200", "transcripts_search"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_hundred_thousand_dialogues_are_asked_by_index(many: psycopg.Connection[Any], question: str) -> None:
    query, index = QUESTIONS[question]
    asked = ListQuery.model_validate(dict(httpx.QueryParams(query)))
    sql, parameters = sales_search.statement(wanted_by(asked, "Europe/Belgrade", datetime(2030, 6, 1, tzinfo=UTC)))
    row = many.execute("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + sql, parameters).fetchone()  # pyright: ignore
    assert row is not None
    (plan,) = row[0]
    nodes = list(walked(plan["Plan"]))
    assert index in {node.get("Index Name") for node in nodes}
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    assert scanned.isdisjoint({"dialogue_heads", "transcriptions", "transcripts", "analysis_runs"})
    assert plan["Execution Time"] < 250  # ms; a page of a day, a point or of words takes under 1 here


def walked(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from walked(child)


async def test_a_retried_correction_is_the_same_and_analysed_once(client: httpx.AsyncClient, log: Log) -> None:
    key, path = {"Idempotency-Key": "k1"}, f"/v1/sales/dialogues/{made_id('yes')}/transcript"
    said = {"text": "Ещё пирог?", "reanalyse": True}
    made = (await client.post(path, json=said, headers=key)).json()
    correction = log.appended[-2]
    assert (await client.post(path, json=said, headers=key)).json() == made
    log.project([(correction[0], dict(correction[2]))])  # as if the first had not been seen yet
    one = (await client.get(f"/v1/sales/dialogues/{made_id('yes')}")).json()
    assert [kept["correction_id"] for kept in one["corrections"]] == [made["correction_id"]]
    requests = {record["request_id"] for event, _, record in log.appended if event == "AnalysisRequested"}
    assert requests == {made["request_id"]}
    assert (await client.post(path, json={"text": "Нет."}, headers=key)).status_code == 409
    assert (await client.post(path, json=said)).json()["correction_id"] != made["correction_id"]
