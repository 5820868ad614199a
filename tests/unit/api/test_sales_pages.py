"""Long answers and orders of sales audio are read page by page, and say the same as if they were read at once."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter

from api.routes import exports, sales_analyses
from api.sales_commands import Commands
from projections.queries import sales_reviews, sales_versions
from projections.queries.errors import Unavailable
from schemas.errors import TransientFailure
from tests.drivers.deciding import RING
from tests.drivers.desk import app_of

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
RERUN = "/v1/sales/analysis/rerun"
DAY = {"from": "2026-01-01"}


def reviewed(n: int) -> dict[str, Any]:
    analysis = {"attempted": "yes", "quality_score": 3, "categories": ["чай"], "closing_question": True,
                "customer_reaction": "accepted", "summary": "-", "evidence_quotes": [], "confidence": None}  # fmt: skip
    review = {"review_id": uuid.UUID(int=n), "created_at": START, "reason": "other", "notes": "=1+1", "corrected": None}
    return {
        "dialogue_id": uuid.UUID(int=n), "point_id": uuid.UUID(int=1), "register_id": uuid.UUID(int=2),
        "start_ts": START + timedelta(seconds=n), "end_ts": START + timedelta(seconds=n + 1),
        "review_status": "FLAGGED", "transcript": f"Слова {n}", "analysis_id": n % 2 or None, **analysis, **review,
    }  # fmt: skip


class Reviews:
    """A database that has some reviewed dialogues."""

    def __init__(self, n: int) -> None:
        self.rows = [reviewed(i) for i in range(n)]
        self.asked: list[int] = []

    async def read(self, read: Any, **_: Any) -> Any:
        assert read.func is sales_reviews.export
        after, limit = read.keywords["after"], read.keywords["limit"]
        self.asked.append(limit)
        return [row for row in self.rows if after is None or sales_reviews.place(row) > after][:limit]


async def fetched(router: APIRouter, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(router)), base_url="http://t") as session:
        return await session.get(path)


@pytest.mark.parametrize("n", [0, 1, 10, 25])
async def test_an_export_of_many_pages_has_the_bytes_of_one(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/api/v1/exports/reviews?from=2026-01-01&to=2026-01-01&format="
    there: dict[str, list[httpx.Response]] = {"json": [], "csv": []}
    for size in (1000, 10):
        monkeypatch.setattr(exports, "PAGE", size)
        for kind, answers in there.items():
            reviews = Reviews(n)
            answers.append(await fetched(exports.build(reviews), path + kind))  # pyright: ignore[reportArgumentType]
            assert max(reviews.asked) <= size
    whole, paged = there["json"]
    entries = orjson.loads(whole.content)
    assert [entry["dialogue_id"] for entry in entries] == [str(uuid.UUID(int=i)) for i in range(n)]
    assert whole.content == paged.content == orjson.dumps(entries, option=orjson.OPT_INDENT_2)
    assert whole.headers["content-type"] == "application/json"
    whole, paged = there["csv"]
    assert whole.content == paged.content
    assert len(list(csv.reader(io.StringIO(whole.text, newline="")))) == n + 1
    assert whole.headers["content-type"] == "text/csv; charset=utf-8"


class Dialogues:
    """A database of transcribed dialogues, and a log that takes `room` events."""

    def __init__(self, n: int, room: int = 10_000) -> None:
        self.ids = [uuid.UUID(int=i + 1) for i in range(n)]
        self.room, self.reads = room, 0
        self.most, self.away_after = 0, 1000
        self.asked: list[str] = []
        self.awaited: list[str | None] = []

    async def read(self, read: Any, **_: Any) -> Any:
        if read.func is sales_versions.transcribed:
            return self.ids[: read.keywords["limit"]]
        assert read.func is sales_versions.words
        if self.reads == self.away_after:
            raise Unavailable("PostgreSQL does not answer.")
        wanted = read.keywords["dialogue_ids"]
        self.reads, self.most = self.reads + 1, max(self.most, len(wanted))
        same = {"device_id": "d", "point_id": "p", "register_id": "r", "start_ts": START, "end_ts": START}
        transcript = {"transcript_revision": 1, "language": "ru", "transcript_pieces": [], "correction_id": None}
        return [same | transcript | {"dialogue_id": one, "segments_json": None, "words_json": None} for one in wanted]

    async def append(self, event: str, key: str, record: Any, **options: Any) -> bool:
        assert event == "AnalysisRequested"
        if len(self.asked) == self.room:
            raise TransientFailure("Kafka does not answer.")
        self.asked.append(key)
        self.awaited.append(options["await_model"])
        return True


async def rerun(dialogues: Dialogues) -> httpx.Response:
    async def admin() -> str:
        return "anna"

    router = sales_analyses.build(dialogues, "UTC", Commands(dialogues, RING), admin)  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(router)), base_url="http://t") as session:
        return await session.post(RERUN, json=DAY)


async def test_words_are_read_for_a_few_dialogues_at_a_time() -> None:
    dialogues = Dialogues(120)
    answer = await rerun(dialogues)
    assert (answer.status_code, answer.json()["requested"]) == (202, 120)
    assert dialogues.asked == list(map(str, dialogues.ids))
    assert dialogues.most == sales_analyses.AT_ONCE
    assert dialogues.awaited == [None] * 119 + ["sales_dialogues"]


async def test_a_range_that_is_cut_short_says_how_far_it_came() -> None:
    answer = await rerun(Dialogues(120, room=70))
    assert answer.status_code == 503
    assert "Kafka does not answer. (70 of 120 were queued)" in answer.text
    assert answer.headers["retry-after"] == "2"
    dialogues = Dialogues(120)
    dialogues.away_after = 1
    assert "PostgreSQL does not answer. (50 of 120 were queued)" in (await rerun(dialogues)).text
